"""Which output is judged, by which metric, and how its numbers become answers: chosen once, on the original model.

The choice is explained in one sentence, and every candidate is judged by it, so that no candidate is measured by
another rule than the model it comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.measurement.metrics import Metric, metric

Form = Literal["label", "scores", "single", "numbers"]
"""label: the class itself (n,). scores: one number a class (n, K). single: one number (n,). numbers: any other."""


@dataclass(frozen=True)
class Choice:
    """``metric`` judges ``output``. ``reason`` says why, in a sentence.

    ``pair``: the two labels a single score decides between, above ``threshold`` the second. ``probabilities``: whether
    scores add up to one. ``classes`` names the class indices.
    """

    metric: Metric
    output: str
    form: Form
    reason: str
    classes: tuple[str, ...] = ()
    pair: tuple[int, int] = (0, 1)
    threshold: float | None = None
    probabilities: bool = False

    def to_json(self) -> dict[str, Any]:
        """What the report says of it."""
        return {
            "metric": self.metric.named(), "title": self.metric.title, "unit": self.metric.unit,
            "higher_is_better": self.metric.higher_is_better, "output": self.output, "form": self.form,
            "reason": self.reason, "classes": list(self.classes), "pair": list(self.pair),
            "threshold": self.threshold, "probabilities": self.probabilities,
        }  # fmt: skip

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Choice:
        """What ``to_json`` wrote."""
        kept = {key: value[key] for key in ("output", "form", "reason", "threshold", "probabilities")}
        first, second = value["pair"]
        return cls(metric(value["metric"]), **kept, classes=tuple(value["classes"]), pair=(first, second))

    def settle(self, raw: NDArray[Any]) -> Choice:
        """The choice with what only all of the original's answers tell: where a single score's threshold lies."""
        if self.form == "single" and self.threshold is None and raw.size:
            shares = bool(raw.min() >= 0 and raw.max() <= 1)
            what = "0.5, for all scores lie in 0..1" if shares else "0, as for logits"
            uses = self.metric.wants == "class"
            reason = f"{self.reason}; the threshold is {what}" if uses else self.reason
            return replace(self, threshold=0.5 if shares else 0.0, reason=reason)
        if self.form == "scores" and raw.size:
            whole = np.allclose(raw.sum(axis=1), 1, atol=1e-3) and raw.min() >= -1e-6
            return replace(self, probabilities=bool(whole))
        if self.form == "label" and raw.dtype.kind in "OUS" and not self.classes:
            return replace(self, classes=tuple(sorted(set(texts_of(raw)))))
        return self

    def named(self, label: int) -> str:
        """The class's name, or its number."""
        return self.classes[label] if 0 <= label < len(self.classes) else str(label)


def texts_of(raw: NDArray[Any]) -> list[str]:
    """Text answers (n,) as Python strings, whichever way the engine gave them."""
    return [value.decode() if isinstance(value, bytes) else str(value) for value in raw.tolist()]


def squeezed(array: NDArray[Any]) -> NDArray[Any]:
    """Without trailing axes of size one, down to (n,)."""
    while array.ndim > 1 and array.shape[-1] == 1:
        array = array[..., 0]
    return array


def form_of(array: NDArray[Any]) -> Form:
    """The form of one batch of an output (b, ...), ``squeezed``."""
    kind = array.dtype.kind
    if array.ndim == 1:
        return "single" if kind == "f" else "label"
    if array.ndim == 2 and (kind == "f" or array.dtype.itemsize == 1) and kind != "b":
        return "scores"
    return "numbers"


def choose(
    wanted: str | None, outputs: Mapping[str, NDArray[Any]], labels: NDArray[Any] | None,
    classes: tuple[str, ...] = (), output: str | None = None,
) -> Choice:  # fmt: skip
    """The choice for a model whose first batch of outputs is ``outputs``; ``wanted`` None chooses the metric, too.

    Raises InputError when labels and outputs do not go together, saying what would.
    """
    if output is not None and output not in outputs:
        raise InputError(f"the model has no output {output!r}; it has: {', '.join(outputs)}")
    if not outputs:
        raise InputError("the model has no outputs to judge")
    names = [output] if output is not None else list(outputs)
    arrays = {name: squeezed(outputs[name]) for name in names}
    forms = {name: form_of(array) for name, array in arrays.items()}
    made = metric(wanted) if wanted is not None else None
    if made is not None and made.wants == "outputs":
        return Choice(made, names[0], forms[names[0]], "asked for", classes)
    found = _without_labels(made, forms) if labels is None or (made is not None and made.against_original) else None
    if found is None:
        assert labels is not None  # noqa: S101 - narrowing for the type checker
        found = _with_labels(made, arrays, forms, labels)
    chosen, name, reason, pair = found
    reason = "asked for" if made is not None else reason
    if len(outputs) > 1:
        reason += f"; judged by output {name!r} of {len(outputs)}"
    return Choice(chosen, name, forms[name], reason, classes, pair)


_Found = tuple[Metric, str, str, tuple[int, int]]


def _without_labels(made: Metric | None, forms: Mapping[str, Form]) -> _Found:
    if made is not None and not made.against_original:
        raise InputError(f"{made.title} needs labels; add an array named 'labels', or use agreement or fidelity")
    for form, why in (("scores", "one score a class"), ("label", "a class")):
        name = next((n for n, f in forms.items() if f == form), None)
        if name is not None and (made is None or made.wants == "class"):
            return metric("agreement"), name, f"there are no labels, and output {name!r} gives {why}", (0, 1)
    name = next((n for n, f in forms.items() if f != "label"), None)
    if name is None or (made is not None and made.wants == "class"):
        what = ", ".join(f"{n} ({f})" for n, f in forms.items())
        raise InputError(f"the outputs {what} cannot be compared this way; pass a metric as module:function")
    return metric("fidelity"), name, f"there are no labels, and output {name!r} gives numbers", (0, 1)


def _with_labels(
    made: Metric | None, arrays: Mapping[str, NDArray[Any]], forms: Mapping[str, Form], labels: NDArray[Any]
) -> _Found:
    distinct = np.unique(labels) if labels.ndim == 1 else np.empty(0)
    whole = labels.dtype.kind == "i" or bool((labels == np.rint(labels)).all())
    as_classes = labels.ndim == 1 and whole
    for form in ("label", "scores"):
        name = next((n for n, f in forms.items() if f == form), None)
        if name is None or not as_classes or (made is not None and made.wants not in ("class", "scores")):
            continue
        if form == "label" and made is not None and made.wants == "scores":
            continue
        if form == "scores":
            _check_range(distinct, arrays[name].shape[1], name)
        _check_classes(distinct)
        why = f"labels are classes and output {name!r} gives " + (
            "the class" if form == "label" else "a score for each"
        )
        return made or metric("top1"), name, why, (0, 1)
    single = next((n for n, f in forms.items() if f == "single"), None)
    wants = made.wants if made is not None else None
    if single is not None and as_classes and distinct.size <= 2 and wants in (None, "class", "scores"):
        _check_classes(distinct)
        pair = (int(distinct[0]), int(distinct[-1]))
        return made or metric("top1"), single, f"two classes and output {single!r} gives one score", pair
    return _of_numbers(made, arrays, forms, labels)


def _of_numbers(
    made: Metric | None, arrays: Mapping[str, NDArray[Any]], forms: Mapping[str, Form], labels: NDArray[Any]
) -> _Found:
    alike = [n for n, a in arrays.items() if a.dtype.kind in "fiu" and a.shape[1:] == labels.shape[1:]]
    alike = [n for n in alike if forms[n] != "label"] or alike
    wants = made.wants if made is not None else None
    if alike and labels.ndim == 2 and bool(((labels == 0) | (labels == 1)).all()) and wants in (None, "scores"):
        return made or metric("auc"), alike[0], f"labels say yes or no for each column of output {alike[0]!r}", (0, 1)
    if alike and wants in (None, "numbers"):
        return made or metric("r2"), alike[0], f"labels and output {alike[0]!r} are numbers of one shape", (0, 1)
    shapes = ", ".join(f"{n} (n{''.join(f', {d}' for d in a.shape[1:])})" for n, a in arrays.items())
    mine = f"(n{''.join(f', {d}' for d in labels.shape[1:])})"
    asked = f" for {made.title}" if made is not None else ""
    raise InputError(
        f"labels of shape {mine} do not go with the outputs {shapes}{asked}; pass labels that do, or a metric of your "
        "own as module:function"
    )


def _check_classes(distinct: NDArray[Any]) -> None:
    if distinct.size == 1:
        raise InputError(
            f"all labels are class {int(distinct[0])}: accuracy on one class says nothing of the others; add samples "
            "of other classes, or leave the labels out (labels=False, --labels none) to compare with the original"
        )


def _check_range(distinct: NDArray[Any], width: int, name: str) -> None:
    if distinct[0] < 0 or distinct[-1] >= width:
        raise InputError(
            f"labels go from {int(distinct[0])} to {int(distinct[-1])}, but output {name!r} has {width} classes "
            f"(0 to {width - 1}); give the index of each sample's class"
        )
