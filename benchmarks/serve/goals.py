"""What serving must reach (the issue's table), and whether a run reached it and by how much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

IN_PROCESS_US, SOCKET_US, HTTP_US = 5.0, 20.0, 40.0
RATE, CPU_SHARE = 40_000.0, 0.1
TIE = 1.02
"""Two that run the same model for milliseconds differ by this from run to run: no peer is ahead within it."""
RELOADS, PAUSE_RATIO = 1000, 2.0
MET, GOODPUT, LATE_MS = 0.999, 0.9, 1.0
TILE_MS, MEMORY_MB, START_S = 5.0, 120.0, 1.0
OURS, PLACE = "Edgewright", "one core"
BATCHING, URGENT = "Edgewright, batches of 32", "Edgewright, nice -3"


@dataclass(frozen=True)
class Check:
    """One clause. ``met`` None: there was nothing to judge by, or it is told for comparison alone."""

    what: str
    wanted: str
    found: str
    met: bool | None


def checks(result: Mapping[str, Any]) -> list[Check]:
    """Every clause of the parts that ran."""
    found: list[Check] = []
    if compare := result.get("compare"):
        rows = compare["rows"]
        found += [*_added(rows), *_rates(rows), *_cpu(rows), *_peers(rows), *_small(compare["servers"])]
    if tiles := result.get("tiles"):
        found += _tile(tiles)
    if reloads := result.get("reloads"):
        found += _reloads(reloads)
    if overload := result.get("overload"):
        found += _overload(overload)
    if priorities := result.get("priorities"):
        shares = ", ".join(f"{row['who']} {row['met_share']:.1%}" for row in priorities["rows"])
        found.append(Check("critical requests in time beside a flood", "told alone", shares, None))
    return found


def pick(rows: Sequence[Mapping[str, Any]], **wanted: Any) -> Mapping[str, Any] | None:
    """The row with these fields, if it has figures."""
    return next((r for r in rows if all(r[k] == v for k, v in wanted.items()) and r.get("requests")), None)


def _added(rows: Sequence[Mapping[str, Any]]) -> Iterator[Check]:
    base = {"model": "mlp", "clients": 1, "placement": PLACE}
    bare = pick(rows, server="bare session.run", **base)
    floor = pick(rows, server="echo", **base)
    for lane, encoding, limit in (
        ("in process", "", IN_PROCESS_US), ("frames, Unix socket", "binary", SOCKET_US),
        ("HTTP, Unix socket", "binary", None), ("HTTP", "binary", HTTP_US), ("HTTP", "JSON", None),
    ):  # fmt: skip
        what = f"added p50, {lane} {encoding}".strip()
        wanted = "told alone" if limit is None else f"<= {limit:g} us"
        row = pick(rows, server=OURS, lane=lane, encoding=encoding, **base)
        if row is None or bare is None:
            yield Check(what, wanted, "no such lane", None if limit is None else False)
            continue
        added = row["p50_us"] - bare["p50_us"]
        note = ""
        if floor is not None and lane != "in process":
            note = f" (an echo over HTTP takes {floor['p50_us']:.1f})"
        yield Check(what, wanted, f"{added:+.1f} us{note}", None if limit is None else added <= limit)


def _rates(rows: Sequence[Mapping[str, Any]]) -> Iterator[Check]:
    for placement in (PLACE, "two cores"):
        for clients in (8, 32):
            same = {"lane": "HTTP", "encoding": "binary", "model": "mlp", "clients": clients, "placement": placement}
            found = {name: pick(rows, server=name, **same) for name in (OURS, BATCHING, URGENT)}
            rates = {name: row["rate"] for name, row in found.items() if row is not None}
            if rates:
                judged = placement == PLACE
                wanted = f">= {RATE:,.0f}/s" if judged else "told alone"
                told = f"{rates.get(OURS, 0.0):,.0f}/s, with batches {rates.get(BATCHING, 0.0):,.0f}/s, "
                told += f"at nice -3 {rates.get(URGENT, 0.0):,.0f}/s"
                yield Check(f"requests a second, {clients} connections, {placement}", wanted, told,
                            max(rates.values()) >= RATE if judged else None)  # fmt: skip


def _cpu(rows: Sequence[Mapping[str, Any]]) -> Iterator[Check]:
    for clients in (1, 8, 32):
        key = {"model": "mlp", "clients": clients, "placement": PLACE, "lane": "HTTP", "encoding": "JSON"}
        ours, theirs = pick(rows, server=OURS, **key), pick(rows, server="MLServer", **key)
        if ours is not None and theirs is not None:
            share = ours["cpu_us"] / theirs["cpu_us"]
            found = f"{share:.3f} ({ours['cpu_us']:.0f} us of {theirs['cpu_us']:.0f} us)"
            yield Check(f"CPU a request over MLServer's, JSON, {clients} connections", f"<= {CPU_SHARE:g}", found,
                        share <= CPU_SHARE)  # fmt: skip


def _peers(rows: Sequence[Mapping[str, Any]]) -> Iterator[Check]:
    """Each figure of our HTTP lane beside the best peer's with the same encoding, model and clients."""
    servers = {"bare session.run", "echo", OURS, BATCHING, URGENT}
    for key in sorted({(r["model"], r["encoding"], r["clients"]) for r in rows if r["placement"] == PLACE}):
        model, encoding, clients = key
        same = [r for r in rows if (r["model"], r["encoding"], r["clients"], r["placement"]) == (*key, PLACE)]
        ours = pick(same, server=OURS, lane="HTTP")
        for quantile in ("p50_us", "p99_us"):
            told = [r for r in same if r["server"] not in servers and r.get(quantile)]
            if ours is None or not told or not ours.get(quantile):
                continue
            best = min(told, key=lambda r: float(r[quantile]))
            ratio = ours[quantile] / best[quantile]
            yield Check(
                f"no peer ahead: {model}, {encoding}, {clients} connections, {quantile.removesuffix('_us')}",
                f"<= {TIE:g}x the best", f"{ratio:.2f}x ({best['server']})", ratio <= TIE,
            )  # fmt: skip


def _small(servers: Mapping[str, Any]) -> Iterator[Check]:
    told = servers.get(OURS, {})
    if "start_s" in told:
        memory, start = told["idle_bytes"] / 1e6, max(told["start_s"])
        yield Check("idle memory, a small model", f"<= {MEMORY_MB:g} MB", f"{memory:.0f} MB", memory <= MEMORY_MB)
        yield Check("cold start to ready", f"<= {START_S:g} s", f"{start:.2f} s at the worst", start <= START_S)


def _tile(tiles: Mapping[str, Any]) -> Iterator[Check]:
    for lane in ("in process", "HTTP"):
        row = next((r for r in tiles["rows"] if r["server"] == OURS and r["lane"] == lane), {})
        p99, why = row.get("p99_us"), row.get("failure") or tiles.get("failure", "too few requests")
        found = f"{p99 / 1e3:.2f} ms" if p99 else why
        yield Check(f"tile detector, JPEG to decision, {lane}, p99", f"< {TILE_MS:g} ms", found,
                    p99 < 1e3 * TILE_MS if p99 else None)  # fmt: skip


def _reloads(reloads: Mapping[str, Any]) -> Iterator[Check]:
    for row in reloads["rows"]:
        name, during, without = row["model"], row["with"], row["without"]
        if row["failure"] or not row["reloads"]:
            yield Check(f"reloads of {name}", "no failure", row["failure"] or "none was done", False)
            continue
        wrong = during["failed"] + during["strange"]
        yield Check(f"failed requests during reloads of {name}", f"0 over {RELOADS:,} reloads",
                    f"{wrong} of {during['requests']:,} over {row['reloads']:,} reloads",
                    wrong == 0 and row["reloads"] >= RELOADS)  # fmt: skip
        ratio = during["p999_us"] / without["p999_us"] if during["p999_us"] and without["p999_us"] else None
        judged = name == "big"
        yield Check(f"p99.9 during reloads of {name} over without", f"<= {PAUSE_RATIO:g}x" if judged else "told alone",
                    f"{ratio:.2f}x" if ratio else "too few requests",
                    ratio <= PAUSE_RATIO if judged and ratio else None)  # fmt: skip
        yield Check(f"longest wait of a request during reloads of {name}", "told alone",
                    f"{during['longest_ms']:.1f} ms, {without['longest_ms']:.1f} ms without", None)  # fmt: skip


def _overload(overload: Mapping[str, Any]) -> Iterator[Check]:
    for row in overload["rows"]:
        if row["who"] != "edgewright":
            continue
        where = f"{row['where']}, as the {row['clock']} saw it"
        # Over HTTP the client's view is what counts; in process there is one view.
        judged = row["clock"] == "client" or row["where"] == "in process"
        base = next(r for r in overload["rows"]
                    if (r["who"], r["where"], r["clock"]) == ("firstcome", row["where"], row["clock"]))  # fmt: skip
        for what, wanted, key, limit, form in (
            ("deadlines met of those admitted", f">= {MET:.1%}", "met_of_admitted", MET, ".2%"),
            ("goodput over saturation", f">= {GOODPUT:.0%}", "goodput_share", GOODPUT, ".1%"),
        ):
            value, other = row[key] or 0.0, base[key] or 0.0
            yield Check(f"{what}, {where}", wanted if judged else "told alone",
                        f"{value:{form}} (first come, first served: {other:{form}})",
                        value >= limit if judged else None)  # fmt: skip
        late = row["late_p999_ms"]
        if late is not None:
            yield Check(f"told No after the deadline, p99.9, {where}", f"<= {LATE_MS:g} ms", f"{late:.2f} ms",
                        late <= LATE_MS if row["clock"] == "server" else None)  # fmt: skip
