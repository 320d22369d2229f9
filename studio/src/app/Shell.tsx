import { Suspense, useEffect, useRef, useState } from "react";
import { Route, Switch, useLocation } from "wouter";
import { Bones } from "../ui/Bones";
import { ButtonLink } from "../ui/Button";
import { w } from "../words";
import { Broken } from "./Broken";
import { Header } from "./Header";
import { PAGES } from "./pages";
import { Rail } from "./Rail";

export function Shell() {
  const [open, setOpen] = useState(false);
  const [path] = useLocation();
  const main = useRef<HTMLElement>(null);
  const entry = PAGES.find((one) => (one.path === "/" ? path === "/" : path.startsWith(one.path)));
  useEffect(() => {
    setOpen(false);
    document.title = entry ? `${entry.name} · ${w.product}` : w.product;
  }, [entry]);
  return (
    <div className="h-full flex flex-col">
      <a href="#page" className="sr-only focus:not-sr-only focus:absolute focus:z-50 focus:bg-paper focus:p-2" onClick={() => main.current?.focus()}>
        {w.skip}
      </a>
      <Header onMenu={() => setOpen(!open)} />
      <div className="flex-1 min-h-0 flex">
        <Rail open={open} onClose={() => setOpen(false)} />
        <main id="page" ref={main} tabIndex={-1} className="relative flex-1 min-w-0 overflow-y-auto outline-none">
          <Broken key={path}>
            <Suspense fallback={<div className="p-6"><Bones rows={4} height={72} /></div>}>
              <Switch>
                {PAGES.map((one) => <Route key={one.path} path={one.path} component={one.page} />)}
                {PAGES.filter((one) => one.under).map((one) => <Route key={one.path} path={one.path + one.under} component={one.page} />)}
                <Route><Lost /></Route>
              </Switch>
            </Suspense>
          </Broken>
        </main>
      </div>
    </div>
  );
}

function Lost() {
  return (
    <div className="p-8 space-y-3">
      <h1 className="text-xl">{w.lost.title}</h1>
      <p className="text-mute">{w.lost.told}</p>
      <ButtonLink href="/">{w.lost.back}</ButtonLink>
    </div>
  );
}
