"""Long lists in JSON, read in pieces.

orjson holds the interpreter's lock for as long as it reads: half a second for 64 MiB of numbers, eight for 64 MiB of
empty lists, which then fill 3 GB. So a long request is looked through first (``outline``): its tensors lie in lists at
one depth, ``{"inputs": [{"data": [...]}]}``. What lies around them is small, and is parsed as one; the lists are parsed
piece by piece into arrays. Every byte is still read by orjson: a piece that is cut within rows gets their brackets.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from edgewright.runtime.aside import Steps
from edgewright.runtime.faults import BadRequest
from edgewright.runtime.lanes.outbox import Buffer
from edgewright.runtime.oip.types import NUMPY
from edgewright.runtime.oip.values import from_json, level

_DEPTH = 4
"""Brackets that are open within a tensor's list, its own among them."""
_LOOK, _PIECE, _SHORT = 64 * 1024, 16 * 1024, 1024
"""Bytes: looked through at a time, parsed at a time, and of a list that is left where it is."""
_MOST_HEAD = 128 * 1024
MOST_TEXT = 16 * 2**20
"""Bytes of one element: an image in base64, say."""
_MOST_ROWS = 32
"""How deep rows may lie in one another."""
_MARK = secrets.token_hex(16)
"""With a number, it stands for a list that was cut out. No client knows it."""
_SIGNS = (b'"', b"[", b"]", b"{", b"}")
"""What is to be looked at closely."""
_STEPS: NDArray[np.int8] = np.zeros(256, np.int8)
_STEPS[list(b"[{")], _STEPS[list(b"]}")] = 1, -1


@dataclass(frozen=True, eq=False)
class Long:
    """A list, from its opening bracket at ``start`` of ``raw`` to ``end``. ``cuts``: commas between its pieces, each
    with the number of brackets that are open there; ``commas``: that number for every comma (n,)."""

    raw: Buffer
    start: int
    end: int
    cuts: Sequence[tuple[int, int]]
    commas: NDArray[np.uint8]

    @property
    def size(self) -> int:
        """Bytes of JSON."""
        return self.end - self.start

    def array(self, name: str, kind: str, shape: tuple[int, ...]) -> Steps[NDArray[Any]]:
        """The array of that datatype and shape, as ``from_json`` reads it. Raises BadRequest."""
        count, filled, levels = len(self.commas) + 1, 0, 0
        if count != math.prod(shape):
            raise BadRequest(f"input {name!r} has {count} elements, its shape {list(shape)} takes {math.prod(shape)}")
        made: NDArray[Any] = np.empty(count, object if kind == "BYTES" else "<f4" if kind == "BF16" else NUMPY[kind])
        begin, within = self.start, 0
        for comma, open_ in (*self.cuts, (self.end, 0)):
            if comma - begin > MOST_TEXT:
                raise BadRequest(f"an element of input {name!r} has more than {MOST_TEXT:,} bytes; send it as binary")
            text = b"".join((b"[" * within, memoryview(self.raw)[begin:comma], b"]" * open_))
            try:
                flat, found = level(name, orjson.loads(text))
            except orjson.JSONDecodeError as error:
                raise BadRequest(f"the request is no JSON that can be read: {error.msg} in input {name!r}") from error
            if (levels and found != levels) or filled + len(flat) > count:
                raise BadRequest(f"'data' of input {name!r} mixes rows with numbers")
            made[filled : filled + len(flat)] = from_json(name, kind, (len(flat),), flat)
            filled, levels, begin, within = filled + len(flat), found, comma + 1, open_
            yield
        if filled != count:
            raise BadRequest(f"'data' of input {name!r} has a row, or a place between two commas, that is empty")
        if not self._rectangular(levels):
            raise BadRequest(f"'data' of input {name!r} has rows of different lengths")
        return made.reshape(shape)

    def _rectangular(self, levels: int) -> bool:
        count = len(self.commas) + 1
        for depth in range(1, levels):
            ends = self.commas <= depth  # of rows at this depth
            row = int(ends.argmax()) + 1 if ends.any() else count
            if count % row or np.count_nonzero(ends) != count // row - 1 or not ends[row - 1 :: row].all():
                return False
        return True


def outline(raw: Buffer) -> Steps[tuple[bytes, list[Long]]]:
    """The JSON in ``raw`` with its long lists cut out, and these, to be found again by ``cut_out``. Raises
    BadRequest for what is nested too deeply, or long without its lists. It may still be no JSON."""
    scan = _Scan(raw)
    while scan.place < len(raw):
        scan.look()
        yield
    return scan.end()


def cut_out(told: Any, lists: Sequence[Long]) -> Any:
    """What stands at ``told``, a list that was cut out instead of what stands for it."""
    if isinstance(told, str) and told.startswith(_MARK):
        return lists[int(told[len(_MARK) :])]
    return told


class _Scan:
    """Where strings, brackets and commas are: what there is to know between two looks."""

    def __init__(self, raw: Buffer) -> None:
        self._raw, self.place = raw, 0
        self._quoted, self._depth = False, 0
        self._kept: list[Buffer] = []
        self._lists: list[Long] = []
        self._size, self._left = 0, 0
        """Bytes kept, and where what is not yet kept begins."""
        self._start = -1
        """Of the list that is open; -1: none is."""
        self._cuts: list[tuple[int, int]] = []
        self._commas: list[NDArray[np.uint8]] = []
        self._cut = 0

    def look(self) -> None:
        """Look through what comes next."""
        begin, chunk = self.place, bytes(self._raw[self.place : self.place + _LOOK])
        if self._start >= 0 and not self._quoted and not any(sign in chunk for sign in _SIGNS):
            self._pass(chunk)
            return
        if b"\\" in chunk:
            odd = (len(chunk) - len(chunk.rstrip(b"\\"))) % 2
            if odd and begin + len(chunk) < len(self._raw):
                chunk = chunk[:-1]  # what it escapes comes with the next look
            chunk = chunk.replace(b"\\\\", b"  ").replace(b'\\"', b"  ")
        self.place += len(chunk)
        read = np.frombuffer(chunk, np.uint8)
        quoted = np.logical_xor.accumulate(read == ord('"')) ^ self._quoted
        steps = np.where(quoted, np.int8(0), _STEPS[read])
        depths = np.cumsum(steps, dtype=np.int32) + self._depth
        commas = np.flatnonzero((read == ord(",")) & ~quoted & (depths >= _DEPTH))
        opening = (steps == 1) & (depths == _DEPTH) & (read == ord("["))
        edges = np.flatnonzero(opening | ((steps == -1) & (depths == _DEPTH - 1)))
        done = 0
        for edge in edges.tolist():
            if steps[edge] == 1:
                self._start, self._cut = begin + edge, begin + edge
                done = int(np.searchsorted(commas, edge))
            elif self._start >= 0:
                last = int(np.searchsorted(commas, edge))
                self._take(commas[done:last], depths, begin, begin + edge + 1)
        if self._start >= 0:
            self._take(commas[done:], depths, begin)
        self._quoted, self._depth = bool(quoted[-1]), int(depths[-1])
        rest = (self._start if self._start >= 0 else self.place) - self._left
        if self._size + rest > _MOST_HEAD:
            raise BadRequest(
                f"a request's JSON may have {_MOST_HEAD:,} bytes besides the numbers and strings of its tensors"
            )

    def _pass(self, chunk: bytes) -> None:
        """As ``look``, where there is nothing in the open list but numbers and commas: ten times as quick."""
        open_, begin, place = self._depth - (_DEPTH - 1), self.place, 0
        if open_ > _MOST_ROWS:
            raise BadRequest("the request is no JSON that can be read: it is nested too deeply")
        self._commas.append(np.full(chunk.count(b","), open_, np.uint8))
        while place >= 0:
            place = chunk.find(b",", max(self._cut + _PIECE - begin, 0))
            if place >= 0:
                self._cut = begin + place
                self._cuts.append((self._cut, open_))
        self.place += len(chunk)

    def _take(self, commas: NDArray[np.intp], depths: NDArray[np.int32], begin: int, end: int = 0) -> None:
        """Note these commas of the open list; ``end``: where it ends, if it does."""
        if end and end - self._start <= _SHORT:
            self._start, self._cuts, self._commas = -1, [], []
            return
        inner = depths[commas] - (_DEPTH - 1)
        if inner.size and inner.max() > _MOST_ROWS:
            raise BadRequest("the request is no JSON that can be read: it is nested too deeply")
        self._commas.append(inner.astype(np.uint8))
        while True:
            next_ = int(np.searchsorted(commas, self._cut + _PIECE - begin))
            if next_ >= len(commas):
                break
            self._cut = begin + int(commas[next_])
            self._cuts.append((self._cut, int(inner[next_])))
        if not end:
            return
        mark = b'"%s%d"' % (_MARK.encode(), len(self._lists))
        self._kept += [self._raw[self._left : self._start], mark]
        self._size += self._start - self._left + len(mark)
        self._lists.append(Long(self._raw, self._start, end, self._cuts, np.concatenate(self._commas)))
        self._left, self._start, self._cuts, self._commas = end, -1, [], []

    def end(self) -> tuple[bytes, list[Long]]:
        """What ``outline`` returns."""
        if self._start >= 0:
            raise BadRequest("the request is no JSON that can be read: it ends within a list")
        return b"".join((*self._kept, self._raw[self._left :])), self._lists
