"use strict";
// Sorting, filtering, the panel beside the map, copying. The page reads well without any of it.
(() => {
  const all = (query, within = document) => [...within.querySelectorAll(query)];
  const table = document.getElementById("table");
  const panel = document.querySelector(".panel");
  let kept = "";

  // The panel shows a copy of the card that stands in the table: one source for both.
  const show = (anchor) => {
    const row = document.getElementById(anchor);
    const card = row && row.querySelector(".card");
    if (!card || !panel) return;
    panel.replaceChildren(card.cloneNode(true));
    for (const mark of all("a.mark")) mark.classList.toggle("on", target(mark) === anchor);
    for (const body of all("tbody.row")) body.classList.toggle("on", body.id === anchor);
  };
  const keep = (anchor) => {
    kept = anchor;
    show(anchor);
    history.replaceState(null, "", `#${anchor}`);
  };
  const target = (mark) => mark.getAttribute("href").slice(1);
  const open = (body, wanted) => {
    body.classList.toggle("opened", wanted);
    body.querySelector(".open").setAttribute("aria-expanded", String(body.classList.contains("opened")));
  };

  for (const drawing of all(".plot .marks")) {
    // One stop for Tab; the arrows walk from the fastest to the slowest.
    const marks = all("a.mark", drawing).sort((a, b) => place(a) - place(b));
    const first = marks.find((mark) => mark.classList.contains("best")) || marks[0];
    for (const mark of marks) {
      mark.setAttribute("tabindex", mark === first ? "0" : "-1");
      mark.addEventListener("mouseenter", () => show(target(mark)));
      mark.addEventListener("mouseleave", () => kept && show(kept));
      mark.addEventListener("focus", () => show(target(mark)));
      mark.addEventListener("click", (event) => { event.preventDefault(); keep(target(mark)); });
      mark.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        const at = marks.indexOf(mark);
        const next = step ? marks[at + step] : { Home: marks[0], End: marks[marks.length - 1] }[event.key];
        if (!next) return;
        event.preventDefault();
        mark.setAttribute("tabindex", "-1");
        next.setAttribute("tabindex", "0");
        next.focus();
      });
    }
  }
  function place(mark) {
    return parseFloat(mark.querySelector(".target").getAttribute("cx"));
  }

  if (table) {
    const bodies = all("tbody.row", table);
    for (const body of bodies) {
      body.querySelector(".open").addEventListener("click", () => open(body));
    }
    for (const head of all("thead th[data-key]", table)) {
      head.firstElementChild.addEventListener("click", () => {
        const key = head.dataset.key;
        const down = head.getAttribute("aria-sort") === "ascending" || (key === "2" && !head.hasAttribute("aria-sort"));
        for (const other of all("th[aria-sort]", table)) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const value = (body) => { const text = body.dataset.sort.split(",")[key]; return text === "" ? null : Number(text); };
        const rank = (body) => Number(body.dataset.sort.split(",")[0]);
        // What has no figure comes last, whichever way.
        bodies.sort((a, b) => {
          const x = value(a), y = value(b);
          if (x === null || y === null) return (x === null) - (y === null) || rank(a) - rank(b);
          return (down ? y - x : x - y) || rank(a) - rank(b);
        });
        bodies.forEach((body, index) => {
          body.classList.toggle("late", index >= Number(table.dataset.first));
          table.append(body);
        });
      });
    }
    const wanted = {
      all: () => true,
      final: (body) => body.matches(".final, .baseline"),
      good: (body) => body.matches(".best, .front, .kept"),
      refused: (body) => body.matches(".refused"),
    };
    for (const button of all(".filters button")) {
      button.addEventListener("click", () => {
        for (const other of all(".filters button")) other.setAttribute("aria-pressed", String(other === button));
        for (const body of bodies) body.classList.toggle("filtered", !wanted[button.dataset.filter](body));
        table.classList.toggle("all", button.dataset.filter !== "all" || revealed);
      });
    }
    let revealed = false;
    const more = document.querySelector(".more");
    if (more) more.addEventListener("click", () => { revealed = true; table.classList.add("all"); more.hidden = true; });
  }

  // An address with a candidate in it opens that candidate.
  const follow = () => {
    const body = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!body || !body.matches("tbody.row")) return;
    if (table && body.classList.contains("late")) table.classList.add("all");
    body.classList.remove("filtered");
    open(body, true);
    kept = body.id;
    show(kept);
    body.scrollIntoView({ block: "center" });
  };
  addEventListener("hashchange", follow);
  if (location.hash) follow();

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    const said = await copied(button.parentElement.querySelector("code").textContent, button);
    button.textContent = said ? "Copied" : "Press Ctrl-C";
    setTimeout(() => { button.textContent = "Copy"; }, 1600);
  });
  async function copied(text, button) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Without the right to the clipboard: select it, so that the keys copy it.
      getSelection().selectAllChildren(button.parentElement.querySelector("code"));
      return document.execCommand ? document.execCommand("copy") : false;
    }
  }

  // The section in view is marked in the rail.
  const links = new Map(all(".rail a").map((link) => [link.getAttribute("href").slice(1), link]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      const link = links.get(entry.target.id);
      if (link) link.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-20% 0px -70% 0px" });
  for (const section of all("main > section")) seen.observe(section);
})();
