"""Files cut into segments: a tensor each, and the bytes between two tensors. Together they are the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edgewright.bundles.deltas.onnxwire import Buffer, Stored, stored_tensors

_SMALL = 1024
"""Tensors of fewer bytes stay with the bytes around them: a segment of its own costs more than it saves."""
_MOST = 20_000
"""Tensors that are told apart, in all files; the others' files stay whole, so that a recipe has a bound."""
_OPAQUE_WIDTH = 4
"""Bytes of unknown meaning are mostly float32 weights (an ORT-format file)."""


@dataclass(frozen=True)
class Segment:
    """``length`` bytes from ``start``. ``keys``: by which a segment of another file is its base, the best first;
    ``width``: bytes per number; ``tensor``: False for the bytes between."""

    start: int
    length: int
    width: int
    keys: tuple[str, ...]
    tensor: bool


def split(files: Mapping[str, Buffer]) -> dict[str, list[Segment]]:
    """Each file's segments, in order. An ONNX file that cannot be read is one segment, as every other kind is."""
    marks: dict[str, list[Stored]] = {name: [] for name in files}
    for name in files:
        if name.lower().endswith(".onnx"):
            try:
                found = list(stored_tensors(files[name]))
            except ValueError:
                continue
            folder = name.rpartition("/")[0]
            for tensor in found:
                where = "/".join(filter(None, (folder, tensor.location))) if tensor.location else name
                if where in marks:
                    marks[where].append(tensor)
    left, segments = _MOST, {}
    for name, data in files.items():
        tensors = _apart(marks[name], len(data))
        if len(tensors) > left:
            tensors = []
        left -= len(tensors)
        segments[name] = list(_lay(name, len(data), tensors))
    return segments


def _apart(tensors: list[Stored], size: int) -> list[Stored]:
    """Those long enough, in order, without overlap, within the file."""
    kept, end = [], 0
    for tensor in sorted(tensors, key=lambda t: (t.start, -t.length)):
        if tensor.length >= _SMALL and tensor.start >= end and tensor.start + tensor.length <= size:
            kept.append(tensor)
            end = tensor.start + tensor.length
    return kept


def _lay(name: str, size: int, tensors: list[Stored]) -> Iterator[Segment]:
    times: Counter[str] = Counter()

    def numbered(key: str) -> str:
        times[key] += 1
        return f"{key} {times[key]}"

    at, before = 0, "the start"
    for tensor in tensors:
        if tensor.start > at:
            yield Segment(at, tensor.start - at, 1, (numbered(f"{name} after {before}"),), tensor=False)
        by_name, by_shape = f"{name} {tensor.kind} {tensor.name}", f"{name} {tensor.kind}"
        keys = (numbered(by_name), numbered(by_shape))
        yield Segment(tensor.start, tensor.length, tensor.width, keys, tensor=True)
        at, before = tensor.start + tensor.length, by_name
    if at < size:
        width = 1 if tensors else _OPAQUE_WIDTH
        yield Segment(at, size - at, width, (numbered(f"{name} after {before}"),), tensor=False)
