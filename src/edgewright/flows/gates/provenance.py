"""Provenance: an unbroken line from the source to the candidate, disjoint data, and the same bytes made again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from edgewright.compression.passes import make_pass
from edgewright.core.candidate import Steps
from edgewright.core.digests import digest_files
from edgewright.core.model import Model, Step
from edgewright.flows.gates.case import Box, Case, OutOfTimeError
from edgewright.flows.gates.finding import Finding, failed, passed

SECONDS = 2.5
_QUICK = frozenset({"simplify", "fuse", "strip"})
_SLOW = frozenset({"prune_channels", "low_rank", "mixed_precision", "int4_weights"})
_LONG = 20.0
"""Seconds below which the slow ones are not begun: their steps are long, and nothing ends one in the middle."""


@dataclass(frozen=True)
class Remade:
    """A step made again from its own input. ``state``: the same bytes, other bytes, or no time for it."""

    step: str
    state: Literal["same", "other", "not tried"]


@dataclass(frozen=True)
class Line:
    """What is known of a candidate's making. ``parts``: the splits' digests by name; ``shared``: samples in two."""

    source: str
    source_lineage: tuple[Step, ...]
    lineage: tuple[Step, ...]
    recipe: Steps
    digest: str
    content: str
    parts: dict[str, str] = field(default_factory=dict)
    shared: int = 0
    remade: Sequence[Remade] = ()


def judge(line: Line) -> Finding:
    """The lineage must begin at the source and name steps of the recipe in order, the content must have the digest it
    bears, no sample may be in two splits, and no step may give other bytes when it is run again."""
    evidence: dict[str, Any] = {
        "source": line.source, "digest": line.digest, "data": dict(line.parts),
        "lineage": [s.to_json() for s in line.lineage], "recipe": [dict(s) for s in line.recipe],
        "reproduced": {r.step: r.state for r in line.remade}, "reproducible": _reproducible(line.remade),
    }  # fmt: skip
    if line.content != line.digest:
        return failed(
            f"the files have the digest {line.content[:12]}, not the {line.digest[:12]} they bear", **evidence
        )
    if broken := _broken(line):
        return failed(broken, **evidence)
    if line.shared:
        return failed(f"{line.shared} samples are in two splits: the held-out ones are not held out", **evidence)
    other = [r.step for r in line.remade if r.state == "other"]
    if other:
        return failed(f"{other[0]} gives other bytes when it is run again", **evidence)
    made = [s["pass"] for s in line.recipe]
    told = f"source {line.source[:12]}, {' > '.join(made)}" if made else f"the source {line.source[:12]} itself"
    again = [r.step for r in line.remade if r.state == "same"]
    late = [r.step for r in line.remade if r.state == "not tried"]
    parts = [told, f"data {', '.join(line.parts)} named and disjoint"]
    if again:
        parts.append(f"{len(again)} of {len(line.remade)} steps run again gave the same bytes")
    if late:
        parts.append(
            f"{', '.join(late)} not run again, which takes longer than a gate may; edgewright reproduce does it"
        )
    return passed("; ".join(parts), **evidence)


def _reproducible(remade: Sequence[Remade]) -> bool | None:
    states = {r.state for r in remade}
    return False if "other" in states else None if "not tried" in states else True


def _broken(line: Line) -> str:
    """What is wrong with the lineage, "" if nothing is."""
    start = len(line.source_lineage)
    if line.lineage[:start] != line.source_lineage:
        return "the candidate's lineage does not begin with the source's"
    made = line.lineage[start:]
    if not made:
        return (
            "" if line.digest == line.source else "the candidate is not the source, and no step says how it came about"
        )
    if made[0].parent != line.source:
        return (
            f"the first step, {made[0].name}, was made of {made[0].parent[:12]}, not of the source {line.source[:12]}"
        )
    asked = iter(str(step["pass"]) for step in line.recipe)
    for step in made:
        if step.name not in asked:  # consumes: each must come after the one before
            return f"the lineage has a step {step.name} that the recipe has not at that place"
    return ""


def check(case: Case) -> Finding:
    """Compare what the run recorded; run each step again as far as the time goes."""
    result, model = case.result, case.candidate.model
    splits = result.splits
    parts = (splits.calibration, splits.search, splits.test)
    rows = np.concatenate([part.rows for part in parts])
    return judge(
        Line(
            source=result.source.digest, source_lineage=result.source.lineage, lineage=model.lineage,
            recipe=case.candidate.recipe, digest=model.digest, content=digest_files(model.files),
            parts={part.name: part.digest for part in parts}, shared=int(rows.size - np.unique(rows).size),
            remade=_remake(case, case.box(SECONDS)),
        )
    )  # fmt: skip


def _remake(case: Case, box: Box) -> list[Remade]:
    """Each step of the recipe run again from the stored result of those before it, the quick ones first."""
    context = case.result.context
    links = _links(case)
    fresh = replace(context, store=None, checkpoint=box.checkpoint)
    states: dict[int, Literal["same", "other", "not tried"]] = {}
    with suppress(OutOfTimeError):
        for i in sorted(links, key=lambda i: (_slowness(case.candidate.recipe[i]["pass"]), i)):
            box.checkpoint()
            if case.candidate.recipe[i]["pass"] in _SLOW and box.left < _LONG:
                continue
            before, after = links[i]
            states[i] = "same" if make_pass(case.candidate.recipe[i])(before, fresh).model == after else "other"
    return [
        Remade(str(step["pass"]), states.get(i, "not tried")) for i, step in enumerate(case.candidate.recipe)
    ]  # fmt: skip


def _slowness(name: str) -> int:
    return 0 if name in _QUICK else 2 if name in _SLOW else 1


def _links(case: Case) -> dict[int, tuple[Model, Model]]:
    """Input and output of each step, from the run's store; only the whole recipe's ends where nothing was kept."""
    context, recipe = case.result.context, case.candidate.recipe
    found: dict[int, tuple[Model, Model]] = {}
    now = case.result.source
    for i, step in enumerate(recipe):
        a_pass = make_pass(step)
        kept = None if context.store is None else context.store.get(a_pass.key(now, context))
        if kept is None or context.store is None:
            return found
        after = now if kept["model"] is None else context.store.get_model(kept["model"])
        if after is None:
            return found
        found[i] = (now, after)
        now = after
    return found if now == case.candidate.model else {}
