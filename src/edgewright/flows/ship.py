"""Ship: the best candidate as a sealed bundle, with golden calls, a contract and its evidence."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from edgewright.bundles import (
    HELD_OUT,
    Bundle,
    BundleContent,
    Contract,
    DatasetFact,
    Golden,
    Variant,
    promises,
    record_golden,
    seal,
)
from edgewright.bundles.contracts import sketch_inputs
from edgewright.core.candidate import Candidate
from edgewright.core.errors import EngineError, InputError
from edgewright.core.session import Arrays
from edgewright.datasets.postprocessing import Postprocessing, Shares
from edgewright.flows.outcome import Result
from edgewright.flows.record import encode
from edgewright.measurement.subject import requests
from edgewright.trust.keys import SigningKey


def content_of(result: Result, candidate: Candidate, evidence: dict[str, Any], name: str) -> BundleContent:
    """What is sealed of ``candidate``. ``evidence`` maps file names to JSON values."""
    calls = requests(result.splits.test, result.source.signature, 32)
    variants, golden = _variants(result, candidate, calls)
    splits = result.splits
    limit = next((c.limit for c in result.constraints if c.metric == "accuracy_drop"), None)
    before = result.baseline.metrics.get("accuracy")
    higher = result.choice.metric.higher_is_better
    floor = before.value - limit if before is not None and limit is not None and higher else None
    facts = tuple(
        DatasetFact(Path(str(name)).name, part.name, part.digest, len(part))
        for part in (splits.calibration, splits.search, splits.test)
    )
    preprocessing, held = result.bound.preprocessing, result.held_out.get(candidate.id)
    evidence = {**evidence, **({} if held is None else {HELD_OUT: held.to_json()})}
    return BundleContent(
        name=name,
        version=candidate.id,
        source=result.source.digest,
        variants=variants,
        golden=golden,
        contract=Contract(
            result.target.name,
            promises(candidate.metrics, floor),
            dict(candidate.metrics),
            sketch_inputs(splits.calibration.batches(64)),
        ),
        recipe=candidate.recipe,
        preprocessing=None if preprocessing is None else preprocessing.to_json(),
        postprocessing=_postprocessing(result),
        labels=tuple(result.bound.classes),
        datasets=facts,
        evidence={file: encode(value) for file, value in evidence.items()},
    )


def _postprocessing(result: Result) -> dict[str, Any] | None:
    """How the judged output becomes classes, when the search judged classes by scores; and just as it judged them."""
    choice = result.choice
    if choice.metric.wants not in ("class", "scores") or choice.form not in ("scores", "single"):
        return None
    try:
        if choice.form == "scores":
            shares: Shares = "as_is" if choice.probabilities else "softmax"
            made = Postprocessing(choice.output, "scores", shares=shares)
        else:
            shares = "sigmoid" if choice.threshold == 0 else "as_is"
            made = Postprocessing(choice.output, "single", shares=shares, threshold=choice.threshold, pair=choice.pair)
        made.fits(result.source.signature)
    except InputError:  # a pair of labels that are no class indices, an output named as ours: nothing is declared
        return None
    return made.to_json()


def _variants(result: Result, chosen: Candidate, calls: list[Arrays]) -> tuple[tuple[Variant, ...], Golden]:
    """The chosen candidate, and the same model on other engines that kept every limit, while their answers agree."""
    variants = {chosen.engine: Variant.of(chosen)}
    for c in result.finals:
        if c.feasible and c.model.digest == chosen.model.digest:
            variants.setdefault(c.engine, Variant.of(c))
    with suppress(EngineError):  # no call on which the engines agree closely: the chosen one alone
        return tuple(variants.values()), record_golden(list(variants.values()), calls)
    only = Variant.of(chosen)
    return (only,), record_golden([only], calls)


def seal_best(
    result: Result, folder: Path, evidence: dict[str, Any], name: str = "model", key: SigningKey | None = None
) -> Bundle:
    """Seal the best candidate. Raises InputError when nothing was feasible."""
    if result.best is None:
        raise InputError("nothing feasible was found, so there is nothing to seal; loosen a limit or give more time")
    return seal(content_of(result, result.best, evidence, name), folder, key)
