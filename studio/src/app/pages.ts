import { type ComponentType, lazy } from "react";
import type { IconName } from "../ui/Icon";
import { w } from "../words";

export type Entry = { path: string; name: string; icon: IconName; page: ComponentType; under?: string };

const Overview = lazy(() => import("../pages/overview/Overview"));
const Fleet = lazy(() => import("../pages/fleet/Fleet"));
const Alerts = lazy(() => import("../pages/alerts/Alerts"));
const Settings = lazy(() => import("../pages/settings/Settings"));
const Services = lazy(() => import("../pages/services/Services"));
const Models = lazy(() => import("../pages/models/Models"));
const Accelerator = lazy(() => import("../pages/accelerator/Accelerator"));
const Benchmarks = lazy(() => import("../pages/benchmarks/Benchmarks"));
const Devices = lazy(() => import("../pages/devices/Devices"));
const Exports = lazy(() => import("../pages/exports/Exports"));

/** The rail, in its order. A page that is not there yet is not promised. */
export const PAGES: Entry[] = [
  { path: "/", name: w.shell.pages.overview, icon: "overview", page: Overview },
  { path: "/accelerator-studio", name: w.shell.pages.accelerator, icon: "accelerator", page: Accelerator },
  { path: "/models", name: w.shell.pages.models, icon: "models", page: Models },
  { path: "/benchmarks", name: w.shell.pages.benchmarks, icon: "benchmarks", page: Benchmarks, under: "/:id" },
  { path: "/device-analyzer", name: w.shell.pages.devices, icon: "devices", page: Devices },
  { path: "/fleet", name: w.shell.pages.fleet, icon: "fleet", page: Fleet },
  { path: "/sdk-export", name: w.shell.pages.exports, icon: "exports", page: Exports },
  { path: "/alerts", name: w.shell.pages.alerts, icon: "alerts", page: Alerts },
  { path: "/services", name: w.shell.pages.services, icon: "user", page: Services },
  { path: "/settings", name: w.shell.pages.settings, icon: "settings", page: Settings, under: "/:tab" },
];
