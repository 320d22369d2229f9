"""What the projects for phones share: one model file, ports, golden calls, each in the language's own words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgewright.core.errors import InputError
from edgewright.exports.kinds.cpp import origin
from edgewright.exports.subject import Subject, Tensor

UNVERIFIED = (
    "Our tests parse every source file with the language's grammar and every resource with its format's reader, and "
    "hold file names and digests against the bundle; nothing was compiled or run, as neither the platform's tools nor "
    "its devices are where the tests run."
)


@dataclass(frozen=True)
class Words:
    """How a language spells them: a type for a tensor ("" for none), a list of sizes."""

    kind: Callable[[Tensor], str]
    sizes: Callable[[Sequence[int]], str]


def one_file(subject: Subject, words: Words, platform: str) -> tuple[str, bytes]:
    """The name and bytes of the model's only file; ONNX Runtime knows ORT's format by the name.

    Raises InputError where there are several, or a tensor has no type there.
    """
    model = subject.model_for("onnxruntime", ("ort", "onnx"))
    if len(model.files) != 1:
        raise InputError(
            f"{platform} opens a model of one file; this one has {len(model.files)}: save it with its weights inside"
        )
    for one in (*subject.inputs, *subject.outputs):
        if not words.kind(one):
            raise InputError(f"{platform}'s ONNX Runtime takes no tensors of {one.dtype}, which the model has")
    return f"model.{model.format}", model.data


def groups_of(tensors: Sequence[Tensor]) -> list[list[int]]:
    """For each input the numbers of its sizes' names, from 1 on; 0 for a size without one."""
    numbers: dict[str, int] = {}
    return [
        [numbers.setdefault(size, len(numbers) + 1) if isinstance(size, str) else 0 for size in one.shape]
        for one in tensors
    ]


def closed(one: Tensor) -> list[int]:
    """The shape with 1 for open sizes."""
    return [size if isinstance(size, int) else 1 for size in one.shape]


def elements(one: Tensor) -> int:
    """How many elements that shape has."""
    return math.prod(closed(one))


def tolerance(subject: Subject, name: str) -> tuple[float, float]:
    """Absolute and relative; zeros where only equality does."""
    found = subject.bundle.content.golden.tolerances.get(name)
    return (0.0, 0.0) if found is None else (found.absolute, found.relative)


def told_origin(subject: Subject) -> str:
    """Which variant of the bundle it is, as Markdown."""
    return origin(subject, "onnxruntime")
