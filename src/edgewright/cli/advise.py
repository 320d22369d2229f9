"""``edgewright advise``: which engine, number types and recipe to try on a target, each with its reason."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.cli._figures import hanging, scaled, share
from edgewright.cli.inspect import read_dims

if TYPE_CHECKING:
    from edgewright.advice.choose import Advice, NumberAdvice, Step
    from edgewright.core.measurement import Measurement


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model", type=Path, help="a model file in any format Edgewright reads as a graph")
    parser.add_argument("--target", required=True, metavar="NAME", help="a target's name or .toml file, or host")
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="batch size of the figures (default 1)")
    parser.add_argument(
        "--dim", action="append", default=[], metavar="NAME=SIZE",
        help="size of a named dynamic dimension (default 1); repeatable",
    )  # fmt: skip
    parser.add_argument("--sources", action="store_true", help="where each reason comes from")
    parser.add_argument("--json", action="store_true", help="print JSON alone")


def run(arguments: argparse.Namespace) -> int:
    """Advise and print."""
    from edgewright.advice.choose import advise
    from edgewright.formats import load
    from edgewright.targets import target

    dims, machine = read_dims(arguments.dim), target(arguments.target)
    found = advise(load(arguments.model), machine, arguments.batch, dims)
    if arguments.json:
        print(json.dumps({"path": str(arguments.model), **found.to_json()}, indent=2))
        return 0
    print("\n".join(lines(str(arguments.model), arguments, found)))
    return 0


def lines(path: str, arguments: argparse.Namespace, found: Advice) -> Iterator[str]:
    """The whole page."""
    sources = arguments.sources
    inspection, kin = found.inspection, found.inspection.kinship
    assert kin is not None  # noqa: S101 - advice is given on graphs alone, and these have one
    assert inspection.workload is not None  # noqa: S101 - likewise
    yield hanging(
        "model",
        f"{path}: {kin.family}, {kin.domain}; {inspection.workload.parameters:,} parameters, "
        f"{scaled(inspection.workload.macs, 'MAC')}, {scaled(inspection.model.size_bytes, 'B')}",
    )
    yield hanging("target", f"{found.target.name}: {found.target.title} ({found.platform})")
    yield hanging("latency", _latency(found.latency, "as it is, on the CPU"))
    for one in found.accelerated:
        told = f"{one.conditions['number_type']} on {one.conditions['device']}, if converted for it"
        yield hanging("", _latency(one, told))
    yield hanging("fits", "yes" if not found.problems else "no: " + "; ".join(found.problems))
    for remedy in found.remedies:
        yield hanging("", f"-> {remedy}")
    yield ""
    yield hanging("framework", f"{found.framework.value}: {found.framework.reason}")
    yield from _source(found.framework.source, sources)
    also = f" (measure {' and '.join(found.also)} too)" if found.also else ""
    yield hanging("engine", f"{found.engine.value}{also}: {found.engine.reason}")
    yield from _source(found.engine.source, sources)
    yield ""
    yield "number types"
    for number in found.number_types:
        yield from _number(number, sources)
    if found.recipe:
        yield ""
        yield "recipe"
        for place, step in enumerate(found.recipe, 1):
            yield from _step(f"  {place}", step, sources)
    if found.fallbacks:
        yield ""
        yield "instead, if the gate says no"
        for step in found.fallbacks:
            yield from _step("  -", step, sources)
    yield ""
    yield hanging(
        "then",
        f"edgewright optimize {path} --data DATA --target {arguments.target}{_threads(found)}   "
        "(predictions above are no measurements: optimize measures)",
    )


def _threads(found: Advice) -> str:
    """The option that has ``optimize`` count as these predictions do; "" for one thread, its default."""
    threads = int(found.latency.conditions.get("threads", 1))
    return f" --threads {threads}" if threads > 1 else ""


def _number(number: NumberAdvice, sources: bool) -> Iterator[str]:
    parts = []
    if number.coverage is not None and number.verdict == "try" and number.coverage.macs_share:
        parts.append(f"{share(number.coverage.macs_share)} of MACs")
    if number.latency is not None:
        parts.append(_latency(number.latency, ""))
    told = f" [{', '.join(parts)}]" if parts else ""
    yield hanging(f"  {number.verdict}", f"{number.choice.value}{told}: {number.choice.reason}")
    yield from _source(number.choice.source, sources)


def _step(label: str, step: Step, sources: bool) -> Iterator[str]:
    options = " ".join(f"{key}={_plain(value)}" for key, value in step.step.items() if key != "pass")
    yield hanging(label, f"{step.step['pass']}{' ' + options if options else ''}: {step.reason}", 8)
    yield from _source(step.source, sources, 8)


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _source(text: str, wanted: bool, indent: int = 16) -> Iterator[str]:
    if wanted:
        yield hanging("", f"[{text}]", indent)


def _latency(found: Measurement, what: str) -> str:
    """A prediction with its interval, in microseconds, milliseconds or seconds."""
    factor, unit = (1e3, "us") if found.value < 0.1 else (1e-3, "s") if found.value >= 1000 else (1.0, "ms")
    low, high = (found.value if end is None else end for end in (found.low, found.high))
    threads = int(found.conditions.get("threads", 1))
    where = f", {threads} thread{'s' if threads != 1 else ''}" if found.conditions.get("device") == "cpu" else ""
    interval = f"{found.value * factor:.3g} {unit} ({found.kind}, {low * factor:.3g} to {high * factor:.3g}{where})"
    return f"{interval} {what}".rstrip()
