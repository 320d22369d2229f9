import { benchmarks } from "./benchmarks";
import { common, login, shell } from "./common";
import { devices } from "./devices";
import { exports_ } from "./exports";
import { fleet } from "./fleet";
import { models } from "./models";
import { alerts, overview } from "./overview";
import { recipes } from "./recipes";
import { services, settings } from "./settings";
import { studio } from "./studio";

/** Every word that the pages say, in one place. */
export const w = { ...common, shell, login, overview, alerts, fleet, services, settings, studio, models, recipes, devices, exports_, benchmarks };
