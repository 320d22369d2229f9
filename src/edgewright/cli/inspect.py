"""``edgewright inspect``: what a model is, and what engines would make of it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright.cli._figures import columns, hanging, scaled, share, shortened
from edgewright.core.errors import InputError

if TYPE_CHECKING:
    from edgewright.advice.coverage import Coverage
    from edgewright.advice.inspection import Inspection
    from edgewright.graphs.liveness import Liveness

_MOST = 10


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model", type=Path, help="a model file in any format Edgewright reads")
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="batch size of the figures (default 1)")
    parser.add_argument(
        "--dim", action="append", default=[], metavar="NAME=SIZE",
        help="size of a named dynamic dimension (default 1); repeatable",
    )  # fmt: skip
    parser.add_argument("--target", metavar="NAME", help="count as covered only what this target's CPU has")
    parser.add_argument("--all", action="store_true", help="every operator, and every name that is left out")
    parser.add_argument("--json", action="store_true", help="print JSON alone")


def read_dims(given: list[str]) -> dict[str, int]:
    """``NAME=SIZE`` pairs as a mapping. Raises InputError."""
    found: dict[str, int] = {}
    for pair in given:
        name, _, size = pair.rpartition("=")
        if not name or not size.isdecimal():
            raise InputError(f"--dim takes NAME=SIZE with a whole number, got {pair!r}")
        found[name] = int(size)
    return found


def run(arguments: argparse.Namespace) -> int:
    """Inspect and print."""
    from edgewright.advice.inspection import inspect
    from edgewright.formats import load

    dims = read_dims(arguments.dim)
    isa = None
    if arguments.target:
        from edgewright.targets import target

        isa = target(arguments.target).isa
    found = inspect(load(arguments.model), arguments.batch, dims, isa)
    if arguments.json:
        print(json.dumps({"path": str(arguments.model), **found.to_json()}, indent=2))
        return 0
    print("\n".join(lines(str(arguments.model), found, everything=arguments.all)))
    return 0


def lines(path: str, found: Inspection, *, everything: bool) -> Iterator[str]:
    """The whole page."""
    model = found.model
    versions = ", ".join(f"{domain} {version}" for domain, version in found.opsets.items())
    yield hanging("model", f"{path}  {model.format}  {scaled(model.size_bytes, 'B')}  sha256 {model.digest[:12]}")
    if versions:
        yield hanging("versions", versions)
    for label, side in (("inputs", model.signature.inputs), ("outputs", model.signature.outputs)):
        for i, spec in enumerate(side):
            yield hanging(label if i == 0 else "", str(spec))
    if found.kinship is not None:
        yield hanging("family", f"{found.kinship.family}: {'; '.join(found.kinship.evidence)}")
        yield hanging("domain", f"{found.kinship.domain}: {'; '.join(found.kinship.domain_evidence)}")
    if found.quantized is not None:
        yield hanging("quantized", str(found.quantized))
    yield ""
    yield from _figures(found)
    yield from _histogram(found, everything)
    if found.liveness is not None:
        yield from _costs(found, everything)
        yield from _memory(found.liveness)
    if found.coverage:
        yield from _coverage(found.coverage, bool(found.workload and found.workload.macs), everything)
    for note in found.notes:
        yield hanging("note", note)
    for gap in found.unknown:
        yield hanging("not known", gap)


def _figures(found: Inspection) -> Iterator[str]:
    """The sums."""
    sizes = [f"batch {found.batch}", *(f"{name} {size}" for name, size in found.dims.items())]
    w, life = found.workload, found.liveness
    if w is not None and life is not None:
        flops = sum(o.flops for o in w.operators)
        yield hanging("sizes", ", ".join(sizes))
        yield hanging("parameters", f"{w.parameters:,}")
        yield hanging(
            "compute", f"{scaled(w.macs, 'MAC')} ({w.macs:,}) and {scaled(flops, 'FLOP')} of other arithmetic"
        )
    if found.stored_bytes is not None:
        unread = f", of which nothing reads {scaled(found.unread_bytes, 'B')}" if found.unread_bytes else ""
        yield hanging("weights", f"{scaled(found.stored_bytes, 'B')} as stored{unread}")
    if life is not None:
        arena = f"; one fixed arena of {scaled(found.arena_bytes, 'B')}" if found.arena_bytes else ""
        where = f" at {life.peak.op_type} {life.peak.node}" if life.peak.node else ""
        yield hanging(
            "activations",
            f"peak {scaled(life.peak_bytes, 'B')} ({life.peak_bytes:,}){where}; "
            f"{scaled(life.peak_in_place_bytes, 'B')} with operators in place{arena}",
        )
    if found.liveness is not None or found.stored_bytes is not None:
        yield ""


def _histogram(found: Inspection, everything: bool) -> Iterator[str]:
    """Operators as written, the most frequent first."""
    counts = list(found.histogram.items())
    if not counts:
        return
    shown = counts if everything else counts[: 3 * _MOST]
    text = "  ".join(f"{name} {count}" for name, count in shown)
    more = f"  and {len(counts) - len(shown)} more kinds" if len(shown) < len(counts) else ""
    yield hanging("operators", f"{sum(found.histogram.values())} nodes:  {text}{more}")
    yield ""


def _costs(found: Inspection, everything: bool) -> Iterator[str]:
    """Where the arithmetic is."""
    assert found.workload is not None  # noqa: S101 - narrowing for the type checker; liveness comes with it
    operators = sorted(found.workload.operators, key=lambda o: (-o.macs, -o.flops, o.name))
    operators = [o for o in operators if o.macs or o.flops]
    shown = operators if everything else operators[:_MOST]
    if not shown:
        return
    total = max(found.workload.macs, 1)
    rows = [["dearest operators", "type", "bits", "MAC", "share", "FLOP", "weights", "read", "written"]]
    rows += [
        [
            shortened(o.name), o.op_type, str(o.bits), scaled(o.macs, ""), share(o.macs / total), scaled(o.flops, ""),
            scaled(o.weight_bytes, "B"), scaled(o.read_bytes, "B"), scaled(o.written_bytes, "B"),
        ]
        for o in shown
    ]  # fmt: skip
    if len(shown) < len(operators):
        rest = operators[len(shown) :]
        rows.append(
            [f"{len(rest)} more", "", "", scaled(sum(o.macs for o in rest), ""),
             share(sum(o.macs for o in rest) / total), scaled(sum(o.flops for o in rest), ""), "", "", ""]
        )  # fmt: skip
    yield columns(rows, right=(2, 3, 4, 5, 6, 7, 8), indent="")
    yield ""


def _memory(life: Liveness) -> Iterator[str]:
    """What stands in memory at the peak."""
    alive = life.alive(life.peak_index)
    if not alive or not life.timeline:
        return
    rows = [["alive at the peak", "bytes", "from", "to"]]
    last = len(life.timeline) - 1
    for tensor in alive[:_MOST]:
        born = "the start" if tensor.born < 0 else f"{tensor.born} {life.timeline[tensor.born].op_type}"
        dies = "the end" if tensor.dies > last else f"{tensor.dies} {life.timeline[max(tensor.dies, 0)].op_type}"
        rows.append([shortened(tensor.name), scaled(tensor.bytes, "B"), born, dies])
    if len(alive) > _MOST:
        rows.append([f"{len(alive) - _MOST} more", scaled(sum(t.bytes for t in alive[_MOST:]), "B"), "", ""])
    yield columns(rows, right=(1,), indent="")
    yield ""


def _coverage(found: tuple[Coverage, ...], multiplies: bool, everything: bool) -> Iterator[str]:
    """What each engine would run in each number type, and the reasons against the rest, the dearest first."""
    rows = [["would run", "number type", "of MACs", "of operators", "needs"]]
    for c in found:
        needs = " or ".join(c.requires) or "-"
        macs = share(c.macs_share) if multiplies else "-"
        rows.append([c.engine, c.number_type, macs, share(c.operators_share), needs])
    yield columns(rows, right=(2, 3), indent="")
    yield ""
    for c in found:
        dear = tuple(e for e in c.left_out if e.macs_share >= 0.001 or (not multiplies and c.number_type == "fp32"))
        few = multiplies and c.macs_share < 0.05
        told = c.left_out if everything else dear[:1] if few else dear
        if told:
            yield f"{c.engine} {c.number_type} leaves out"
        for entry in told:
            names = ", ".join(entry.names if everything else entry.names[:3])
            more = f" and {len(entry.names) - 3} more" if len(entry.names) > 3 and not everything else ""
            part = f"{share(entry.macs_share)} of MACs: " if multiplies else ""
            text = f"{part}{names}{more}: {entry.reason}"
            yield hanging(f"  {entry.op_type}", text, 20)
        if told:
            yield ""
