"""``edgewright optimize``: search, report, seal."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from edgewright.cli._data import add_data, again, reading
from edgewright.cli._duration import duration
from edgewright.core.errors import InputError

_WEIGHTS = ("latency", "size", "memory", "energy", "accuracy")


def add(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("model", help="a trained model: .onnx, .pt2, .skops")
    parser.add_argument("--target", default="host", help="a target's name or .toml (default: this machine)")
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-latency-ms", type=float, metavar="MS")
    limits.add_argument("--max-size-mb", type=float, metavar="MB", help="of the model's files; MB are 10^6 bytes")
    limits.add_argument(
        "--max-memory-mb", type=float, metavar="MB", help="peak that opening and running it adds to a process"
    )
    limits.add_argument("--max-energy-mj", type=float, metavar="MJ", help="millijoules per inference")
    limits.add_argument("--max-accuracy-drop", type=float, metavar="POINTS", help="default: keep 95%% of the baseline")
    search = parser.add_argument_group("search")
    search.add_argument("--budget", type=duration, default=300.0, metavar="TIME", help="90s, 5m, 1h (default 5m)")
    search.add_argument("--seed", type=int, default=0, metavar="N", help="of splits and search (default 0)")
    search.add_argument("--threads", type=int, default=1, metavar="N", help="of every engine (default 1)")
    search.add_argument("--keep-structure", action="store_true", help="remove no channels")
    search.add_argument("--engine", action="append", metavar="NAME", help="only this engine; may be repeated")
    search.add_argument(
        "--only",
        type=Path,
        metavar="PATH",
        help="no search: make and judge the candidate in this folder of a run alone",
    )
    search.add_argument("--metric", help="a metric or module:function (default: chosen from the data)")
    search.add_argument(
        "--prefer", type=weights, metavar="NAME=WEIGHT,...", help=f"weights of the choice: {', '.join(_WEIGHTS)}"
    )
    add_data(parser, required=True)
    parser.add_argument(
        "--name", default="", help="of the bundle, and of the model where it is served (default: the file's)"
    )
    parser.add_argument("-o", "--out", type=Path, default=Path("out"), help="the same again resumes (default out)")
    parser.add_argument("--json", action="store_true", help="print report.json alone on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 with a feasible candidate, 3 without."""
    from edgewright.cli._results import results_only
    from edgewright.flows.interrupts import Interrupts
    from edgewright.flows.run import Request, compile_into

    request = Request(
        model=arguments.model,
        data=arguments.data,
        target=arguments.target,
        reading=reading(arguments),
        options=_options(arguments),
        arguments=tuple(_again(arguments)),
        name=arguments.name,
    )
    line = ProgressLine()
    with Interrupts() as interrupts, results_only():
        try:
            report = compile_into(request, arguments.out, line.show, interrupts.finishing())
        finally:
            line.clear()
    if arguments.json:
        print(json.dumps(report, indent=1, ensure_ascii=False))
    else:
        print("\n".join(summary(report, arguments.out)))
    return 0 if report["best"] is not None else 3


def weights(text: str) -> dict[str, float]:
    """Weights of ``latency=1,size=0.5``."""
    chosen: dict[str, float] = dict.fromkeys(_WEIGHTS, 0.0)
    for part in text.split(","):
        name, _, value = part.partition("=")
        try:
            chosen[name.strip()] = float(value)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{part!r} is no weight; write latency=1,size=0.5") from error
    unknown = sorted(set(chosen) - set(_WEIGHTS))
    if unknown:
        raise argparse.ArgumentTypeError(f"no weight is named {unknown[0]!r}; there are: {', '.join(_WEIGHTS)}")
    return chosen


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    from edgewright.compression.verdict import Preference
    from edgewright.flows.kept import read_spec

    names = ("max_latency_ms", "max_size_mb", "max_memory_mb", "max_energy_mj", "max_accuracy_drop")
    options: dict[str, Any] = {name: getattr(arguments, name) for name in names}
    options |= {"budget_s": arguments.budget, "seed": arguments.seed, "threads": arguments.threads}
    options |= {"keep_structure": arguments.keep_structure, "metric": arguments.metric}
    options["engines"] = tuple(arguments.engine or ())
    if arguments.only is not None:
        if arguments.only.resolve().is_relative_to(arguments.out.resolve()):
            raise InputError(f"the result would take the place of the run in {arguments.out}, whose candidate this is; "
                             "choose another -o")  # fmt: skip
        options["only"] = read_spec(arguments.only)
    if arguments.prefer is not None:
        options["preference"] = Preference(**arguments.prefer)
    return options


def _again(arguments: argparse.Namespace) -> Iterator[str]:
    """The arguments that give this run again, defaults left out."""
    for name in ("max_latency_ms", "max_size_mb", "max_memory_mb", "max_energy_mj", "max_accuracy_drop", "metric"):
        value = getattr(arguments, name)
        if value is not None:
            yield from (f"--{name.replace('_', '-')}", str(value))
    yield from (
        "--target",
        str(arguments.target),
        "--budget",
        f"{Decimal(str(arguments.budget)):f}s",
        "--seed",
        str(arguments.seed),
    )
    if arguments.threads != 1:
        yield from ("--threads", str(arguments.threads))
    for name in arguments.engine or ():
        yield from ("--engine", name)
    if arguments.keep_structure:
        yield "--keep-structure"
    if arguments.prefer is not None:
        yield from ("--prefer", ",".join(f"{k}={v}" for k, v in arguments.prefer.items() if v))
    if arguments.only is not None:
        yield from ("--only", str(arguments.only))
    if arguments.name:
        yield from ("--name", arguments.name)
    yield from again(arguments)
    yield from ("-o", str(arguments.out))


class ProgressLine:
    """One live line on a terminal, a line for each stage elsewhere; always on standard error."""

    def __init__(self) -> None:
        self._live = sys.stderr is not None and sys.stderr.isatty()
        self._last = ""

    def show(self, now: Any) -> None:
        """Redraw."""
        text = progress_text(now)
        if self._live:
            self._write(f"\r\x1b[2K{text[: _columns() - 1]}")
        elif now.stage != self._last:
            self._write(f"{text}\n")
        self._last = now.stage

    def clear(self) -> None:
        """Leave the line empty for what comes next."""
        if self._live:
            self._write("\r\x1b[2K")

    def _write(self, text: str) -> None:
        if sys.stderr is not None:
            with suppress(OSError):  # nobody watches any more: no reason to stop
                sys.stderr.write(text)
                sys.stderr.flush()


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns


def progress_text(now: Any) -> str:
    """``[#####     ]  42 s, 51 s left at most | 17 tried | best 4.1x, 0.2 points lost | 25% of the multiplies``"""
    share = now.elapsed_s / max(now.elapsed_s + now.left_s, 1e-9)
    bar = ("#" * round(10 * share)).ljust(10)
    best = "no feasible candidate yet"
    if now.best is not None and now.baseline is not None:
        ratio = now.baseline.metrics["latency_ms"].value / now.best.metrics["latency_ms"].value
        drop = now.best.metrics["accuracy_drop"]
        best = f"best {ratio:.2f}x, {max(drop.value, 0.0):.2g} {drop.unit} lost"
    times = f"{now.elapsed_s:3.0f} s, {now.left_s:3.0f} s left at most"
    return f"[{bar}] {times} | {now.tried:2d} tried | {best} | {now.stage}"


def summary(report: dict[str, Any], out: Path) -> list[str]:
    """Where the result lies, and last, where eyes rest, what was won."""
    from edgewright.flows.outcome import NOTHING_WON
    from edgewright.flows.place import KEPT
    from edgewright.flows.readiness import verdict_line

    best = next((c for c in report["candidates"] if c["id"] == report["best"]), None)
    lines = []
    if report["stopped"]:
        lines.append(f"stopped early: {report['stopped']}; the same command goes on from here")
    if best is not None:
        lines.append(f"bundle    {out / 'bundle'}")
        lines.append(f"gates     {verdict_line(report['readiness'])}")
    elif (out / KEPT).is_dir():
        lines.append(f"bundle    none from this run; the earlier one is kept in {out / KEPT}")
    last = [note for note in report["notes"] if note.startswith(NOTHING_WON)]
    notes = (note for note in (*report["notes"], *report["data"]["notes"]) if note not in last)
    lines += [f"note      {note}" for note in notes]
    lines.append(f"report    {out / 'report.html'}")
    return [*lines, *(_stuck(report) if best is None else _won(report, best["metrics"])), *last]


def _stuck(report: dict[str, Any]) -> list[str]:
    if report["stopped"] and not any(c["metrics"] for c in report["candidates"]):
        return ["the search ended before any candidate was measured, so nothing is known yet; give it more time"]
    lines = [f"nothing feasible among {len(report['candidates'])} candidates"]
    bound = report["binding"]
    refused = [c["refused"][0] for c in report["candidates"] if c["refused"]]
    if refused and (bound is None or bound["kept"]):
        lines.append(f"what stood in the way, of the last one: {refused[-1]}")
    elif bound is not None:
        seen = "unknown" if bound["value"] is None else f"{bound['value']:.4g}"
        limit = f"{bound['metric']} <= {bound['limit']:.4g} {bound['unit']}"
        lines.append(f"what stood in the way: {limit} (nearest: {seen})")
    return lines


def _won(report: dict[str, Any], now: dict[str, Any]) -> list[str]:
    base = report["baseline"]["metrics"]

    def figures(metric: str) -> tuple[float, float]:
        return base[metric]["value"], now[metric]["value"]

    before, after = figures("latency_ms")
    kind = now["latency_ms"]["kind"]
    label = "" if kind == "measured" else f" ({kind})"
    drop = now["accuracy_drop"]
    lines = [f"latency   {before:.4g} -> {after:.4g} ms{label}: {before / after:.2f}x as fast"]
    before, after = figures("size_bytes")
    size = f"{before / after:.2f}x smaller" if after <= before else f"{after / before:.2f}x larger"
    lines.append(f"size      {before:,.0f} -> {after:,.0f} bytes: {size}")
    before, after = figures("accuracy")
    interval = "" if drop["low"] is None else f", 95% interval {drop['low']:+.2g} to {drop['high']:+.2g}"
    lines.append(
        f"accuracy  {before:.4g} -> {after:.4g} {drop['unit']} of {report['metric']['title']} "
        f"on {drop['n']} held-out samples ({drop['value']:+.2g} lost{interval})"
    )
    return lines
