"""Templates: replies that differ from one before in their tensors alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from edgewright.runtime.oip.messages import Wanted
from edgewright.runtime.oip.types import NUMPY
from edgewright.runtime.oip.values import finite, spelled

Arrays = Mapping[str, NDArray[Any]]
Spell = Callable[[int, int, bool], bytes]
"""What a reply begins with: given the JSON's size, that of it and the tensors, and whether there are any."""


class Template(Protocol):
    """Made from one reply, for those of the same version, request and shapes."""

    def fill(self, outputs: Arrays) -> bytes | None:
        """The whole reply; None where it differs in more."""
        ...


def template(told: bytes, outputs: Arrays, kinds: Mapping[str, str], wanted: Sequence[Wanted],
             spell: Spell) -> Template | None:  # fmt: skip
    """Of a reply's JSON ``told``; None where its outputs are neither all binary nor all finite numbers in JSON."""
    if any(one.place is not None or one.classes or kinds[one.name] not in NUMPY for one in wanted):
        return None
    arrays = {one.name: outputs[one.name] for one in wanted}
    if len(arrays) < len(wanted):  # one is asked for twice
        return None
    if all(one.binary for one in wanted):
        size = len(told) + sum(array.nbytes for array in arrays.values())
        return _Binary(spell(len(told), size, True) + told, arrays)
    if any(one.binary for one in wanted) or not all(map(finite, arrays.values())):
        return None
    return _Numbers(told, arrays, spell)


class _Binary:
    def __init__(self, head: bytes, arrays: Arrays) -> None:
        self._head, self._shapes = head, [(name, array.shape) for name, array in arrays.items()]

    def fill(self, outputs: Arrays) -> bytes | None:
        parts = [self._head]
        for name, shape in self._shapes:
            array = outputs[name]
            if array.shape != shape:
                return None
            parts.append(array.tobytes())
        return b"".join(parts)


class _Numbers:
    def __init__(self, told: bytes, arrays: Arrays, spell: Spell) -> None:
        self._spell = spell
        self._pieces: list[tuple[bytes, str, tuple[int, ...]]] = []
        """What comes before a tensor, its name and its shape."""
        rest = told
        for name, array in arrays.items():
            numbers = spelled(array)
            place = rest.index(b'"data":' + numbers) + len(b'"data":')
            self._pieces.append((rest[:place], name, array.shape))
            rest = rest[place + len(numbers) :]
        self._rest = rest

    def fill(self, outputs: Arrays) -> bytes | None:
        parts: list[bytes] = []
        for piece, name, shape in self._pieces:
            array = outputs[name]
            if array.shape != shape or not finite(array):
                return None
            parts += (piece, spelled(array))
        told = b"".join([*parts, self._rest])
        return self._spell(len(told), len(told), False) + told
