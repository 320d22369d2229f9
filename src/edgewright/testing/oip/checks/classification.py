"""The best classes of an output in place of its tensor, where the server announces that."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgewright.testing.oip.case import Case
from edgewright.testing.oip.contract import Skipped, check, expect
from edgewright.testing.oip.tensors import Tensor, from_json

GROUP = "classification"
_CLAUSE = "Triton, classification extension"
_COUNT = 2


def _of_numbers(case: Case) -> Tensor:
    found = [t for t in case.outputs if t.datatype not in ("BOOL", "BYTES", "FP16", "BF16")]
    found = [t for t in found if t.shape and t.name in case.reference and case.reference[t.name].size]
    if not found:
        raise Skipped("the model has no output of numbers")
    return found[0]


@check("classification.top", GROUP, _CLAUSE)
def top(case: Case) -> None:
    """The best classes come as "value:index", best first, [batch, count] of BYTES; the others' outputs as ever."""
    tensor = _of_numbers(case)
    wanted = {"name": tensor.name, "parameters": {"classification": _COUNT}}
    reply = case.infer(case.request(outputs=[wanted]))
    expect(reply.status == 200, f"status {reply.status}: {reply.body[:120]!r}")
    (entry,) = reply.json()["outputs"]
    expect(entry.get("datatype") == "BYTES", f"the classes are {entry.get('datatype')!r}")
    told = from_json(entry["data"], "BYTES", tuple(entry["shape"]))
    values = case.reference[tensor.name]
    rows = values.reshape(told.shape[0], -1) if len(told.shape) > 1 else values.reshape(1, -1)
    count = min(_COUNT, rows.shape[1])
    expect(told.shape[-1] == count, f"{count} classes were asked for, the shape is {list(told.shape)}")
    if not case.varies:
        for row, texts in zip(rows, told.reshape(-1, count), strict=True):
            _one(row, [text.decode() for text in texts])


def _one(row: Any, texts: list[str]) -> None:
    pairs = [(float(text.split(":")[0]), int(text.split(":")[1])) for text in texts]
    expect(len({index for _, index in pairs}) == len(pairs), f"a class is told twice: {texts}")
    best = np.sort(row)[::-1][: len(pairs)]
    for text, (value, index), right in zip(texts, pairs, best, strict=True):
        expect(np.isclose(value, row[index], 1e-4) and row[index] == right, f"{text!r} among {texts} of {row[:8]}")


@check("classification.wrong", GROUP, _CLAUSE)
def wrong(case: Case) -> None:
    """A count that is no number is refused."""
    outputs = [{"name": t.name, "parameters": {"classification": "all"}} for t in case.outputs]
    case.refused(case.infer(case.request(outputs=outputs)))
    case.alive()


@check("classification.text", GROUP, _CLAUSE)
def text(case: Case) -> None:
    """Classes of an output of text are refused, or told somehow, and harm nobody."""
    texts = [t.name for t in case.outputs if t.datatype == "BYTES"]
    if not texts:
        raise Skipped("the model has no output of BYTES")
    outputs = [{"name": name, "parameters": {"classification": _COUNT}} for name in texts]
    status = case.infer(case.request(outputs=outputs)).status
    expect(status == 200 or 400 <= status < 600, f"status {status}")
    case.alive()
