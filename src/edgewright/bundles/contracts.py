"""What a bundle promises, from what was measured; and what its inputs looked like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgewright.core.candidate import Constraint
from edgewright.core.measurement import Measurement
from edgewright.core.session import Arrays
from edgewright.core.sketches import Sketch

_COLUMNS = 64
_PROMISED = ("latency_p99_ms", "ram_bytes")


def promises(
    metrics: Mapping[str, Measurement], accuracy_floor: float | None = None, margin: float = 1.25
) -> tuple[Constraint, ...]:
    """Limits for a contract: ``margin`` times the upper end of what was measured, and a floor under the accuracy.

    A figure that was estimated or predicted promises nothing. ``accuracy_floor`` is in the unit of
    ``metrics["accuracy"]``; it is usually the gate the candidate had to pass.
    """
    found = []
    for name in _PROMISED:
        seen = metrics.get(name)
        if seen is not None and seen.kind == "measured":
            worst = seen.value if seen.high is None else seen.high
            found.append(Constraint(name, "max", worst * margin, seen.unit))
    accuracy = metrics.get("accuracy")
    if accuracy_floor is not None and accuracy is not None and accuracy.kind == "measured":
        found.append(Constraint("accuracy", "min", accuracy_floor, accuracy.unit))
    return tuple(found)


def sketch_inputs(batches: Iterable[Arrays], columns: int = _COLUMNS) -> dict[str, Sketch]:
    """A sketch of every numeric input, one batch in memory at a time.

    An input of shape (n, at most ``columns``) gets one for each ``name[column]`` as well: a table's columns drift one
    by one. Strings get none.
    """
    found: dict[str, Sketch] = {}
    for batch in batches:
        for name, array in batch.items():
            if array.dtype.kind not in "biuf":
                continue
            found.setdefault(name, Sketch()).add(array)
            if array.ndim == 2 and 2 <= array.shape[1] <= columns:
                for column in range(array.shape[1]):
                    found.setdefault(f"{name}[{column}]", Sketch()).add(array[:, column])
    return found
