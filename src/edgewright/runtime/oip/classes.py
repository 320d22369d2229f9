"""The protocol's ``classification`` of an output: its best classes as text, as Triton's clients read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.runtime.faults import BadRequest

_MOST = 2**16
"""Classes in one answer: each is a text that is made for it."""


def classified(array: NDArray[Any], count: int, labels: Sequence[str], name: str) -> NDArray[np.object_]:
    """The ``count`` best elements of each sample of ``array`` (n, ...) as ``value:index`` or ``value:index:label``.

    Shape (n, k), k being the number of classes where there are fewer; (k,) for an array of one axis. ``labels`` are
    told where there is one for each class. Raises BadRequest for what cannot be ranked.
    """
    from edgewright.datasets.postprocessing import best  # 13 ms that a server which is never asked need not spend

    if array.dtype.kind not in "fiu" or not array.ndim or not array.size:
        raise BadRequest(f"output {name!r} is {array.dtype}{list(array.shape)}, of which no classes can be told")
    rows = array.reshape(len(array) if array.ndim > 1 else 1, -1)
    if len(rows) * min(count, rows.shape[1]) > _MOST:
        raise BadRequest(f"{count:,} classes of {len(rows):,} samples are asked for, {_MOST:,} in all may be")
    order = best(rows.astype(np.float64, copy=False), count)
    values = np.take_along_axis(rows, order, axis=1)
    told = list(labels) if len(labels) == rows.shape[1] else []
    form = "%f:%d" if rows.dtype.kind == "f" else "%d:%d"
    made = np.empty(order.shape, object)
    made.reshape(-1)[:] = [
        form % (value, index) + (f":{told[index]}" if told else "")
        for value, index in zip(values.ravel().tolist(), order.ravel().tolist(), strict=True)
    ]
    return made if array.ndim > 1 else made[0]
