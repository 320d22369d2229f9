"""The results as a page of markdown: conditions, goals, then every table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

LEGEND = (
    "One interleaved run: rounds over all rows in random order, all other servers stopped meanwhile. Latencies are in "
    "microseconds, of all turns together, with the client's own cost, which the echo's row shows. One connection is "
    "a blocking client in Python, more are h2load (frames, which it does not speak: a Python client on an epoll, whose "
    "CPU is several times h2load's, so their rates are the client's as much as the server's). A dash: too few requests "
    "for that quantile. CPU is that of the server's whole tree of processes. Every server answers the same inputs with "
    "the same outputs, checked before the run."
)
_HEAD = ("server", "lane", "encoding", "p50", "p99", "p99.9", "requests/s", "CPU us/request", "requests", "failed")


def page(found: Mapping[str, Any]) -> str:
    """``found`` is the results file's value."""
    return "\n".join(_page(found)) + "\n"


def _page(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"# Serve benchmark, {found['date']}{', quick' if found['quick'] else ''}"
    yield ""
    yield from _conditions(found)
    yield from _goals(found.get("goals", ()))
    if compare := found.get("compare"):
        yield from _servers(compare["servers"])
        yield ""
        yield LEGEND
        yield from _compare(compare)
    if tiles := found.get("tiles"):
        yield from _tiles(tiles)
    if overload := found.get("overload"):
        yield from _overload(overload)
    if priorities := found.get("priorities"):
        yield from _priorities(priorities)
    if reloads := found.get("reloads"):
        yield from _reloads(reloads)


def _conditions(found: Mapping[str, Any]) -> Iterator[str]:
    machine = found["environment"]
    load = machine.get("load_average", ["?"])[0]
    yield (
        f"Conditions: {machine.get('cpu', 'unknown CPU')}, {machine.get('cores', '?')} cores; "
        f"{machine.get('system', '')}, "
        f"Python {machine.get('python', '')}; one thread a session, batch 1; load average {load} before the run, "
        f"{found.get('load_average_end', ['?'])[0]} at its end; {found.get('seconds', 0):.0f} s."
    )
    yield ""
    for name, place in found.get("compare", {}).get("placements", {}).items():
        server, client = (", ".join(map(str, place[side])) for side in ("server", "client"))
        yield f"- {name}: server on CPU {server}, client on CPU {client}"
    for name, versions in found["versions"].items():
        yield f"- {name}: {', '.join(f'{k} {v}' for k, v in versions.items())}"


def _goals(goals: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield ""
    yield "## What it must reach"
    yield ""
    words = {True: "met", False: "NOT MET", None: ""}
    rows = [(g["what"], g["wanted"], g["found"], words[g["met"]]) for g in goals]
    yield from table(("what", "wanted", "found", ""), rows)


def _servers(servers: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "## Start and memory"
    yield ""
    rows = []
    for name, told in servers.items():
        start = f"{min(told['start_s']):.2f} to {max(told['start_s']):.2f}" if "start_s" in told else "-"
        notes = [*([told["failure"]] if told.get("failure") else []),
                 *(f"no {lane}: {why}" for lane, why in told["missing"].items())]  # fmt: skip
        rows.append((name, start, *(_mb(told.get(k)) for k in ("idle_bytes", "loaded_bytes")), "; ".join(notes)))
    head = ("server", "start to first answer, s", "idle, small model, MB", "all models, after the run, MB", "notes")
    yield from table(head, rows)


def _compare(compare: Mapping[str, Any]) -> Iterator[str]:
    rows = compare["rows"]
    groups = dict.fromkeys((r["placement"], r["model"], r["clients"]) for r in rows)
    for placement, model, clients in groups:
        own = [r for r in rows if (r["placement"], r["model"], r["clients"]) == (placement, model, clients)]
        yield ""
        yield f"## {model}, {clients} connection{'s' * (clients > 1)}, {placement}"
        yield ""
        yield from table(_HEAD, [_row(r) for r in sorted(own, key=lambda r: r.get("p50_us") or float("inf"))])


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    name = (row["server"], row["lane"], row["encoding"])
    if row.get("failure") and not row.get("requests"):
        return *name, f"failed: {row['failure']}", *([""] * (len(_HEAD) - 4))
    return (
        *name, *(_us(row[key]) for key in ("p50_us", "p99_us", "p999_us")), f"{row['rate']:,.0f}", _us(row["cpu_us"]),
        f"{row['requests']:,}", str(row["failed"]),
    )  # fmt: skip


def _tiles(tiles: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "## The tile detector, JPEG to decision, one connection, one core"
    yield ""
    if tiles.get("failure"):
        yield f"Not measured: {tiles['failure']}."
        return
    rows = []
    for row in tiles["rows"]:
        name = (row["server"], row["lane"])
        if row.get("failure"):
            rows.append((*name, f"failed: {row['failure']}", "", "", ""))
        else:
            rows.append((*name, *(_us(row[k]) for k in ("p50_us", "p99_us", "p999_us")), f"{row['requests']:,}"))
    yield from table(("server", "lane", "p50", "p99", "p99.9", "requests"), rows)


def _overload(overload: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield f"## Deadlines under {overload['load']:g} times saturation"
    yield ""
    saturation = ", ".join(f"{row['saturation']:,.0f}/s {row['where']} ({row['who']})"
                           for row in overload["rows"] if row["clock"] == "server")  # fmt: skip
    seconds = f"{overload['seconds']:g} s each"
    yield f"Poisson arrivals, deadlines of 3 to 10 service times, {seconds}."
    yield f"Saturation, measured before and after each turn: {saturation}."
    yield ""
    head = ("where", "who", "seen by", "requests", "admitted", "met of admitted", "answered late", "expired",
            "goodput/s", "of saturation", "No after the deadline, ms: p50", "p99.9", "failed")  # fmt: skip
    rows = [
        (r["where"], r["who"], r["clock"], f"{r['requests']:,}", f"{r['admitted']:,}", _share(r["met_of_admitted"]),
         str(r["answered_late"]), str(r["expired"]), f"{r['goodput']:,.0f}", _share(r["goodput_share"]),
         _ms(r["late_p50_ms"]), _ms(r["late_p999_ms"]), str(r["failed"]))
        for r in overload["rows"]
    ]  # fmt: skip
    yield from table(head, rows)


def _priorities(priorities: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "## Critical requests beside a flood"
    yield ""
    yield (
        "Critical requests at a tenth of saturation, each with 3 service times until its deadline; others at one and a "
        f"half times saturation, in batches of 8 at most; in process, {priorities['seconds']:g} s each."
    )
    yield ""
    head = ("treated", "critical requests", "in time", "p50", "p99", "p99.9", "others/s")
    rows = [
        (r["who"], f"{r['critical']:,}", _share(r["met_share"]), *(_us(r[k]) for k in ("p50_us", "p99_us", "p999_us")),
         f"{r['others_rate']:,.0f}")
        for r in priorities["rows"]
    ]  # fmt: skip
    yield from table(head, rows)


def _reloads(reloads: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "## Reloads under load"
    yield ""
    head = ("model", "MB", "requests/s", "reloads", "one takes, ms", "", "requests", "failed", "p50", "p99", "p99.9",
            "longest, ms")  # fmt: skip
    rows = []
    for row in reloads["rows"]:
        first = (row["model"], f"{row['bytes'] / 1e6:.1f}", f"{row['rate']:g}", f"{row['reloads']:,}",
                 row["failure"] or _ms(row["reload_p50_ms"]))  # fmt: skip
        for name, lead in (("without", first), ("with", ("",) * 5)):
            seen = row[name]
            wrong = str(seen["failed"] + seen["strange"])
            figures = (*(_us(seen[k]) for k in ("p50_us", "p99_us", "p999_us")), _ms(seen["longest_ms"]))
            rows.append((*lead, f"{name} reloads", f"{seen['requests']:,}", wrong, *figures))
    yield from table(head, rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a markdown table."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '/').replace(chr(10), ' ') for cell in row)} |"


def _us(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}" if value < 1000 else f"{value:,.0f}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"


def _mb(value: int | None) -> str:
    return "-" if not value else f"{value / 1e6:,.0f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"
