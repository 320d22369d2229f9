"""What must hold of a content, whether it is about to be sealed or was just read from a signed bundle."""

from __future__ import annotations

import math
import re

import numpy as np

from edgewright.bundles.content import BundleContent, Call, Golden
from edgewright.bundles.names import portable, word
from edgewright.core.errors import InputError
from edgewright.core.model import Signature
from edgewright.engines.session import check_array

GOLDEN_CALLS = 64
GOLDEN_BYTES = 32 * 2**20
"""Bounds on what a self-test has to run and hold."""


def check_content(content: BundleContent) -> None:
    """Raise ValueError, its message a clause, for the first thing that does not hold."""
    word(content.name, "name")
    word(content.version, "version")
    if not re.fullmatch(r"[0-9a-f]{64}", content.source):
        raise ValueError(f"the source {content.source[:80]!r} is not a digest (64 hexadecimal digits)")
    if not content.variants:
        raise ValueError("there is no model in it")
    engines = [word(variant.engine, "engine").lower() for variant in content.variants]
    if len(set(engines)) != len(engines):
        raise ValueError("two of its models are for the same engine")
    for variant in content.variants:
        if _outline(variant.model.signature) != _outline(content.signature):
            raise ValueError(f"the model for {variant.engine} has another signature than the first one")
    for name in content.evidence:
        if "/" in portable(name):
            raise ValueError(f"the evidence {name!r} is not a plain file name")
    _ = content.held_out  # what a hub could not read is not sealed, and a gate reads nothing else into it
    for metric, seen in content.contract.measured.items():
        if seen.kind != "measured" and any(limit.metric == metric for limit in content.contract.limits):
            raise ValueError(f"it promises a limit on {metric}, which was {seen.kind}, not measured")
    _check_golden(content.golden, content.signature)


def _outline(signature: Signature) -> list[list[tuple[str, str, int]]]:
    # Engines spell dynamic sizes differently; names, dtypes and ranks must be the same.
    return [[(t.name, t.dtype, len(t.shape)) for t in side] for side in (signature.inputs, signature.outputs)]


def _check_golden(golden: Golden, signature: Signature) -> None:
    if not 1 <= len(golden.calls) <= GOLDEN_CALLS:
        raise ValueError(f"it has {len(golden.calls)} golden calls where 1 to {GOLDEN_CALLS} belong")
    for call in golden.calls:
        _check_call(call, signature)
    arrays = [a for call in golden.calls for side in (call.inputs, call.outputs) for a in side.values()]
    if sum(array.nbytes for array in arrays) > GOLDEN_BYTES:
        raise ValueError(f"its golden calls hold more than {GOLDEN_BYTES:,} bytes; record fewer")
    floats = {name for call in golden.calls for name, array in call.outputs.items() if array.dtype.kind == "f"}
    if golden.tolerances.keys() != floats:
        raise ValueError(f"its tolerances are for {sorted(golden.tolerances)}, its float outputs are {sorted(floats)}")
    for name, tolerance in golden.tolerances.items():
        if not all(math.isfinite(t) and t >= 0 for t in (tolerance.absolute, tolerance.relative)):
            raise ValueError(f"the tolerance of {name!r} is not a finite number of at least 0")


def _check_call(call: Call, signature: Signature) -> None:
    for side, specs, values in (
        ("inputs", signature.inputs, call.inputs),
        ("outputs", signature.outputs, call.outputs),
    ):
        if values.keys() != {spec.name for spec in specs}:
            raise ValueError(f"a golden call has the {side} {sorted(values)}, which are not the model's")
        if not all(isinstance(array, np.ndarray) for array in values.values()):
            raise ValueError(f"a golden call has {side} that are no arrays")
    try:
        for spec in signature.inputs:
            check_array(spec, call.inputs[spec.name])
    except InputError as error:
        raise ValueError(f"a golden call does not fit the model: {error}") from error
