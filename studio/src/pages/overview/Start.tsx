import { ButtonLink } from "../../ui/Button";
import { Copy } from "../../ui/Copy";
import { w } from "../../words";

const words = w.overview.empty;

/** Three ways to start, where there is nothing yet. */
export function Start() {
  return (
    <section className="rounded border border-line bg-paper p-6">
      <h2 className="text-lg">{words.title}</h2>
      <p className="text-mute mb-5">{words.told}</p>
      <div className="grid gap-6 md:grid-cols-3">
        <Way {...words.optimize}><ButtonLink href="/accelerator-studio?job=new">{words.optimize.action}</ButtonLink></Way>
        <Way {...words.enrol}><ButtonLink href="/fleet?enrol=1">{words.enrol.action}</ButtonLink></Way>
        <Way {...words.demo}><Copy text={words.demo.action} /></Way>
      </div>
    </section>
  );
}

function Way({ title, told, children }: { title: string; told: string; children: React.ReactNode }) {
  return (
    <div className="flex flex-col gap-3 border-t border-line pt-4 md:border-t-0 md:pt-0 md:border-l md:pl-6 md:first:border-l-0 md:first:pl-0">
      <div><h3 className="text-base">{title}</h3><p className="text-mute">{told}</p></div>
      <div className="mt-auto">{children}</div>
    </div>
  );
}
