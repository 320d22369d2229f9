"""Inference requests, in JSON with or without binary tensors behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from edgewright.runtime.aside import Steps, drained
from edgewright.runtime.faults import BadRequest
from edgewright.runtime.lanes.outbox import Buffer
from edgewright.runtime.lanes.stream import Body
from edgewright.runtime.oip.long import Long, cut_out, outline
from edgewright.runtime.oip.regions import Place, Regions, check_places, place
from edgewright.runtime.oip.types import MOST_STRINGS, NUMPY, read_bytes, reading_bytes, widen
from edgewright.runtime.oip.values import from_json, from_numbers

LONG = 64 * 1024
"""Bytes of JSON from which on it is read in pieces, aside: 64 KiB of empty lists take 5 ms."""
_STRING = 1024
"""Bytes of a tensor of numbers that are as much work as an element of BYTES."""
_LIGHT, _COPIED = 64 * 1024, 2**20
_MOST_ELEMENTS = 2**31
_array = np.ndarray
_MOST_AXES = 32
"""As many as every numpy can have."""


@dataclass(slots=True)
class Wanted:
    """An output as it was asked for; ``place``: where in shared memory it is to be laid, and not sent."""

    name: str
    binary: bool = False
    place: Place | None = None
    classes: int = 0
    """That many best classes instead of the tensor; 0: the tensor."""


@dataclass(slots=True)
class InferRequest:
    """``outputs`` empty means all of them, as ``binary`` says. ``timeout_s``: None without a deadline."""

    inputs: Mapping[str, NDArray[Any]]
    id: str = ""
    outputs: tuple[Wanted, ...] = ()
    binary: bool = False
    priority: int = 0
    timeout_s: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


Plain = tuple[str, tuple[int, ...], np.dtype[Any], int, int, int]
"""Name, shape and dtype of an array, its bytes' start and end, and the bits of a place that is not aligned for it."""


@dataclass(slots=True)
class Piece:
    """Where an input lies: ``size`` bytes at ``start`` of the binary part, or, as ``data`` says, in the JSON's own list
    or in shared memory."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    start: int
    size: int
    data: list[Any] | Long | Place | None = None

    @property
    def weight(self) -> int:
        """Bytes of the array, or as many as would be as much work."""
        if self.datatype == "BYTES":
            held = self.data.size if isinstance(self.data, Place | Long) else self.size
            return held + _STRING * math.prod(self.shape)
        return math.prod(self.shape) * (2 if self.datatype == "BF16" else NUMPY[self.datatype].itemsize)

    @property
    def plain(self) -> Plain | None:
        """Where its bytes are the array's own, None otherwise."""
        if self.data is not None or self.datatype in ("BYTES", "BF16", "BOOL"):
            return None
        dtype = NUMPY[self.datatype]
        return self.name, self.shape, dtype, self.start, self.start + self.size, dtype.itemsize - 1

    def read(self, body: Body, at: int, numbers: bytes = b"") -> NDArray[Any]:
        """The array; the binary part begins ``at`` that place of ``body``. ``numbers``: the JSON of the
        list that was taken out of ``data``, if any. Raises BadRequest."""
        count = math.prod(self.shape)
        if self.data is None:
            part = memoryview(body)[at + self.start : at + self.start + self.size]
        elif isinstance(self.data, list):
            if numbers and not self.data:
                return from_numbers(self.name, self.datatype, self.shape, numbers)
            return from_json(self.name, self.datatype, self.shape, self.data)
        elif isinstance(self.data, Long):
            return drained(self.reading(body, at))
        else:
            part = memoryview(self.data.read())
        if self.datatype == "BYTES":
            return read_bytes(part, count).reshape(self.shape)
        if self.datatype == "BF16":
            return widen(part).reshape(self.shape)
        if self.datatype == "BOOL" and (np.frombuffer(part, np.uint8) > 1).any():
            raise BadRequest(f"input {self.name!r} is BOOL and holds bytes other than 0 and 1")
        array = np.frombuffer(part, NUMPY[self.datatype]).reshape(self.shape)
        return array if array.flags.aligned else array.copy()

    def reading(self, body: Body, at: int) -> Steps[NDArray[Any]]:
        """As ``read``, in steps."""
        if isinstance(self.data, Long):
            return (yield from self.data.array(self.name, self.datatype, self.shape))
        if self.datatype != "BYTES" or isinstance(self.data, list):
            return self.read(body, at)
        held = self.data.read() if self.data else memoryview(body)[at + self.start : at + self.start + self.size]
        return (yield from reading_bytes(held, math.prod(self.shape))).reshape(self.shape)


@dataclass(slots=True)
class Plan:
    """A JSON head, understood once: equal heads are looked up and not parsed again."""

    pieces: tuple[Piece, ...]
    size: int
    request: InferRequest
    model: tuple[str, str] = ("", "")
    """Name and version, where the JSON tells them (in frames: HTTP has them in the path)."""
    replies: dict[Any, Any] = field(default_factory=dict, compare=False)
    """What the lane keeps of replies to this very head."""
    batch: tuple[int, Any] | None = field(default=None, compare=False)
    """Its rows, and what must be equal of requests in one batch (``scheduling.batches``), once that was asked."""
    inline: bool = field(init=False)
    """Whether tensors lie in the JSON."""
    light: bool = field(init=False)
    """Whether reading it, and a quick model's run, take little of the thread that everybody waits for."""
    _plain: list[Plain] = field(init=False)

    def __post_init__(self) -> None:
        found = [piece.plain for piece in self.pieces]
        self._plain = [] if None in found else [one for one in found if one is not None]
        self.inline = any(isinstance(piece.data, list) for piece in self.pieces)
        self.light = sum([piece.weight for piece in self.pieces]) <= _LIGHT

    def inputs(self, body: Body, at: int, numbers: bytes = b"") -> dict[str, NDArray[Any]]:
        """The request's arrays; the binary part begins ``at`` that place of ``body``: arrays are views of it where
        they lie aligned. ``numbers``: the JSON of what its one list lacks, if it is without.

        Raises BadRequest when the binary part is not as long as the head says.
        """
        if len(body) - at != self.size:
            raise BadRequest(f"the inputs announce {self.size} bytes of binary data, {len(body) - at} came")
        found: dict[str, NDArray[Any]] = {}
        for name, shape, dtype, start, end, odd in self._plain:
            if (at + start) & odd:  # a slice is a copy, which begins at a multiple of 16 as all bytes do
                found[name] = _array(shape, dtype, bytes(body[at + start : at + end]))
            else:
                found[name] = _array(shape, dtype, body, at + start)
        return found or {piece.name: piece.read(body, at, numbers) for piece in self.pieces}

    def quickly_read(self, at: int) -> bool:
        """Whether nothing large is made of it: what lies aligned in the body is not copied."""
        if self._plain and not any((at + start) & odd for _, _, _, start, _, odd in self._plain):
            return True
        long = any(isinstance(piece.data, Long) for piece in self.pieces)
        return not long and sum([piece.weight for piece in self.pieces]) <= _COPIED

    def reading(self, body: Body, at: int) -> Steps[dict[str, NDArray[Any]]]:
        """As ``inputs``, in steps, and without a copy that holds the interpreter's lock."""
        if len(body) - at != self.size:
            raise BadRequest(f"the inputs announce {self.size} bytes of binary data, {len(body) - at} came")
        found = {}
        for piece in self.pieces:
            found[piece.name] = yield from piece.reading(body, at)
            yield
        return found


@dataclass(slots=True)
class ReadPlan(Plan):
    """A plan whose inputs were read with it."""

    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super(ReadPlan, self).__post_init__()
        self.light = False

    def quickly_read(self, at: int) -> bool:
        """They are read."""
        return True

    def inputs(self, body: Body, at: int, numbers: bytes = b"") -> dict[str, NDArray[Any]]:
        """They are read."""
        return self.arrays


def plan(head: bytes, regions: Regions | None = None) -> Plan:
    """What a request's JSON says; ``regions``: the shared memory it may name. Raises BadRequest naming the field."""
    return drained(planning(head, regions)) if len(head) > LONG else _plan(head, regions, ())


def planning(head: Buffer, regions: Regions | None = None) -> Steps[Plan]:
    """As ``plan``, in steps, for JSON that may be long."""
    short, lists = yield from outline(head)
    found = _plan(short, regions, lists)
    if sum(isinstance(piece.data, Long) for piece in found.pieces) != len(lists):
        raise BadRequest("the request holds a long list that is no input's 'data'")
    return found


def reading_plan(body: Body, start: int, end: int, regions: Regions | None = None) -> Steps[Plan]:
    """The plan of the JSON from ``start`` to ``end`` of ``body``, with the inputs. Raises BadRequest, NotFound."""
    found = yield from planning(memoryview(body)[start:end], regions)
    arrays = yield from found.reading(body, end)
    return ReadPlan(found.pieces, found.size, found.request, found.model, arrays=arrays)


def _plan(head: bytes, regions: Regions | None, lists: Sequence[Long]) -> Plan:
    try:
        # Not core.strict, which takes ten times as long. It differs in two ways: of two equal keys the last counts, and
        # whole numbers of more than 64 bits are floats, which no integer tensor takes.
        told = orjson.loads(head)
    except ValueError as error:
        raise BadRequest(f"the request is no JSON that can be read: {error}") from error
    if not isinstance(told, dict):
        raise BadRequest("the request is not a JSON object")
    parameters = _parameters(told)
    pieces, start = [], 0
    for one in _list(told, "inputs"):
        piece = _piece(one, start, regions, lists)
        pieces.append(piece)
        start += piece.size
    if not pieces:
        raise BadRequest("the request has no inputs")
    if len({piece.name for piece in pieces}) != len(pieces):
        raise BadRequest("an input is given twice")
    check_places([piece.data for piece in pieces if isinstance(piece.data, Place)], regions)
    binary = parameters.get("binary_data_output") is True
    wanted = [_wanted(one, binary, regions) for one in _list(told, "outputs", True)]
    wanted = [*{one.name: one for one in wanted}.values()]  # an output that is asked for twice is answered once
    identity = told.get("id", "")
    if not isinstance(identity, str):
        raise BadRequest("'id' is not a string")
    request = InferRequest(
        {}, identity, tuple(wanted), binary, _whole(parameters, "priority"), _timeout(parameters), parameters
    )  # fmt: skip
    model = told.get("model_name", ""), told.get("model_version", "")
    if not all(isinstance(text, str) for text in model):
        raise BadRequest("'model_name' and 'model_version' are strings")
    return Plan(tuple(pieces), start, request, model)


def _piece(told: Any, start: int, regions: Regions | None, lists: Sequence[Long]) -> Piece:
    if not isinstance(told, dict) or not isinstance(told.get("name"), str):
        raise BadRequest("an input has no 'name'")
    name, kind, shape = told["name"], told.get("datatype"), told.get("shape")
    if kind not in (*NUMPY, "BYTES", "BF16"):
        raise BadRequest(f"input {name!r} has no datatype of the protocol: {str(kind)[:20]!r}")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise BadRequest(f"input {name!r} has no shape of whole numbers")
    if len(shape) > _MOST_AXES:
        raise BadRequest(f"input {name!r} has {len(shape)} dimensions, more than {_MOST_AXES}")
    count = math.prod(shape)
    # A size of 0 must not hide the others.
    if math.prod(size or 1 for size in shape) > _MOST_ELEMENTS:
        raise BadRequest(f"input {name!r} has more than {_MOST_ELEMENTS:,} elements")
    if kind == "BYTES" and count > MOST_STRINGS:
        raise BadRequest(f"input {name!r} has more than {MOST_STRINGS:,} elements of BYTES; send several requests")
    parameters = _parameters(told)
    shared, size = place(parameters, regions), parameters.get("binary_data_size")
    each = 2 if kind == "BF16" else 0 if kind == "BYTES" else NUMPY[kind].itemsize
    if shared is not None:
        if size is not None or "data" in told or (each and shared.size != each * count):
            raise BadRequest(f"input {name!r} lies in shared memory: {each * count} bytes there, and nowhere else")
        return Piece(name, kind, tuple(shape), start, 0, shared)
    if size is None:
        data = cut_out(told.get("data"), lists)
        if not isinstance(data, list | Long):
            raise BadRequest(f"input {name!r} has neither 'data' nor 'binary_data_size'")
        return Piece(name, kind, tuple(shape), start, 0, data)
    if type(size) is not int or size < 0 or "data" in told:
        raise BadRequest(f"'binary_data_size' of input {name!r} is no size, or 'data' is given as well")
    if each and size != each * count:
        raise BadRequest(f"input {name!r} of shape {shape} and {kind} takes {each * count} bytes, {size} are announced")
    if kind == "BYTES" and size < 4 * count:
        raise BadRequest(f"input {name!r} of {count} BYTES takes {4 * count} bytes at least, {size} are announced")
    return Piece(name, kind, tuple(shape), start, size)


def _wanted(told: Any, binary: bool, regions: Regions | None) -> Wanted:
    if not isinstance(told, dict) or not isinstance(told.get("name"), str):
        raise BadRequest("an output that is asked for has no 'name'")
    parameters = _parameters(told)
    chosen = parameters.get("binary_data", binary)
    classes = _whole(parameters, "classification")
    return Wanted(told["name"], chosen is True, place(parameters, regions), classes)


def _parameters(told: Mapping[str, Any]) -> dict[str, Any]:
    found = told.get("parameters", {})
    if not isinstance(found, dict):
        raise BadRequest("'parameters' is not an object")
    for key, value in found.items():
        if not isinstance(value, str | int | float):  # bool is an int
            raise BadRequest(f"the parameter {key[:60]!r} is no string, number or boolean")
    return found


def _list(told: Mapping[str, Any], key: str, optional: bool = False) -> list[Any]:
    value = told.get(key, [] if optional else None)
    if not isinstance(value, list):
        raise BadRequest(f"{key!r} is not a list")
    return value


def _whole(told: Mapping[str, Any], key: str) -> int:
    value = told.get(key, 0)
    if type(value) is not int or value < 0:
        raise BadRequest(f"{key!r} is not a whole number")
    return value


def _timeout(parameters: Mapping[str, Any]) -> float | None:
    microseconds = _whole(parameters, "timeout")
    return microseconds / 1e6 if microseconds else None
