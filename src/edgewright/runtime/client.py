"""A client of the Unix socket's frames: the least that lies between two processes of one machine."""

from __future__ import annotations

import json
import math
import mmap
import os
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.closing import Closing
from edgewright.core.errors import EdgewrightError, InputError
from edgewright.runtime.failsafe import Safe
from edgewright.runtime.lanes.frames import ATTACH, HEADER, INFER, MAGIC
from edgewright.runtime.oip.types import NUMPY, read_bytes, write_bytes

_KINDS = {dtype: name for name, dtype in NUMPY.items()}
_MEMO = 64
_TEXT = "OSU"
"""Kinds of arrays that travel as BYTES."""
_Output = tuple[str, np.dtype[Any] | None, tuple[int, ...], int]
"""Name, dtype (None: BYTES), shape, size in bytes."""


class Unanswered(EdgewrightError):  # noqa: N818 - reads as what it says
    """The server answered with an error: ``status`` as in HTTP, and its sentence."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Client(Closing):
    """One connection to ``edgewright serve --uds PATH``, for one thread at a time."""

    def __init__(self, path: str | Path, timeout_s: float | None = 60.0) -> None:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._sock.settimeout(timeout_s)
            self._sock.connect(str(path))
        except OSError as error:
            self._sock.close()
            raise EdgewrightError(f"no server answers at {path}: {error.strerror or error}") from error
        self._heads: dict[Any, bytes] = {}
        self._shared: dict[str, NDArray[np.uint8]] = {}
        self._replies: dict[bytes, tuple[list[_Output], bool]] = {}

    def infer(
        self, inputs: Mapping[str, NDArray[Any]], model: str = "", *, deadline_ms: float = 0.0, priority: int = 0
    ) -> dict[str, NDArray[Any]]:
        """The outputs by name, read-only; ``model`` is a name, or ``name:version``. Strings go as arrays of str, bytes
        or objects that are one of the two, and come back as objects that are bytes.

        ``deadline_ms`` is counted in whole µs, 0.0: none.

        The outputs are a ``Safe`` where they were declared for a missed deadline, not computed.

        Raises InputError for what cannot be sent, Unanswered for the server's errors, EdgewrightError when the
        connection breaks.
        """
        try:
            places = {name: self._place(array) for name, array in inputs.items()} if self._shared else {}
            head = self._head(model, inputs, places)
        except AttributeError:  # no arrays: looked for only once something is wrong
            _check(inputs)
            raise
        if head:
            sent = [array.tobytes() for name, array in inputs.items() if not places or not places[name]]
        else:  # strings: what they take is known only once they are written
            written = {name: _written(name, array) for name, array in inputs.items()}
            head = _telling(model, inputs, places, {name: len(raw) for name, raw in written.items()})
            sent = [raw for name, raw in written.items() if not places or not places[name]]
        size = sum(map(len, sent))
        try:
            first = HEADER.pack(MAGIC, INFER, priority, 0, math.ceil(deadline_ms * 1e3), len(head), len(head) + size)
        except (struct.error, ValueError, OverflowError) as error:
            raise InputError(
                "a frame holds priorities from 0 to 255, deadlines up to 71 minutes, and tensors of less than 4 GiB"
            ) from error
        try:
            self._sock.sendall(b"".join([first, head, *sent]))
        except OSError as error:
            self.close()
            raise EdgewrightError(f"the server did not answer: {error}") from error
        reply, length = self._answer()
        told = reply[HEADER.size : HEADER.size + length]
        known = self._replies.get(told)
        if known is None:
            known = self._understand(told)
        start = HEADER.size + length
        outputs, safe = known
        found: dict[str, NDArray[Any]] = Safe() if safe else {}
        for name, dtype, shape, nbytes in outputs:
            if dtype is not None:
                found[name] = np.frombuffer(reply, dtype, math.prod(shape), start).reshape(shape)
            else:
                found[name] = _text(reply[start : start + nbytes], shape)
            start += nbytes
        return found

    def _answer(self) -> tuple[bytes, int]:
        """A reply, whole, and the length of its JSON. Raises Unanswered, EdgewrightError."""
        try:
            reply = self._sock.recv(65536)
            while len(reply) < HEADER.size:
                reply += self._more(HEADER.size)
            left = HEADER.size + int.from_bytes(reply[16:20], "little") - len(reply)
            if left > 0:
                parts = [reply]
                while left > 0:
                    parts.append(self._more(left))
                    left -= len(parts[-1])
                reply = b"".join(parts)
        except OSError as error:
            self.close()
            raise EdgewrightError(f"the server did not answer: {error}") from error
        _, _, _, _, status, length, _ = HEADER.unpack_from(reply)
        if status != 200:
            raise Unanswered(status, json.loads(reply[HEADER.size : HEADER.size + length])["error"])
        return reply, length

    def _more(self, most: int) -> bytes:
        more = self._sock.recv(min(most, 1 << 20))
        if not more:
            raise ConnectionResetError("the server closed the connection")
        return more

    def share(self, nbytes: int) -> NDArray[np.uint8]:
        """Memory that the server can read, too: inputs that lie in it (views of it) are not sent. It lasts as long as
        the connection. Raises as ``infer``."""
        name = f"shared-{len(self._shared)}"
        told = json.dumps({"name": name}).encode()
        fd = os.memfd_create("edgewright", os.MFD_CLOEXEC)
        try:
            os.ftruncate(fd, nbytes)
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", fd))]
            self._sock.sendmsg([HEADER.pack(MAGIC, ATTACH, 0, 0, 0, len(told), len(told)) + told], rights)
            memory: NDArray[np.uint8] = np.frombuffer(mmap.mmap(fd, nbytes), np.uint8)
        except OSError as error:
            raise EdgewrightError(f"memory cannot be shared with the server: {error}") from error
        finally:
            os.close(fd)
        self._answer()
        self._shared[name] = memory
        self._heads.clear()
        return memory

    def _place(self, array: NDArray[Any]) -> dict[str, Any]:
        """Where the array lies in shared memory, as the protocol's parameters say it; {} when it does not."""
        if array.flags.c_contiguous and array.dtype.kind not in _TEXT:
            start = array.__array_interface__["data"][0]
            for name, memory in self._shared.items():
                offset = start - memory.__array_interface__["data"][0]
                if offset >= 0 and offset + array.nbytes <= memory.nbytes:
                    return {"shared_memory_region": name, "shared_memory_byte_size": array.nbytes,
                            "shared_memory_offset": offset}  # fmt: skip
        return {}

    def _head(self, model: str, inputs: Mapping[str, NDArray[Any]], places: Mapping[str, dict[str, Any]]) -> bytes:
        """The request's JSON; b"" where there are strings in it. Raises InputError, AttributeError."""
        key = (model, *[(name, array.dtype, array.shape) for name, array in inputs.items()])
        if places:
            key = (*key, *[tuple(place.items()) for place in places.values()])
        found = self._heads.get(key)
        if found is None:
            _check(inputs)
            if any(array.dtype.kind in _TEXT for array in inputs.values()):
                return b""
            found = _telling(model, inputs, places, {name: array.nbytes for name, array in inputs.items()})
            if len(self._heads) > _MEMO:
                self._heads.clear()
            self._heads[key] = found
        return found

    def _understand(self, told: bytes) -> tuple[list[_Output], bool]:
        """The outputs that follow, and whether they are a fail-safe's."""
        said, known = json.loads(told), []
        for output in said["outputs"]:
            size = output["parameters"]["binary_data_size"]
            kind, shape = output["datatype"], tuple(output["shape"])
            if kind != "BYTES" and kind not in NUMPY:
                raise EdgewrightError(f"output {output['name']!r} is {kind}, which numpy has not; ask over HTTP")
            known.append((output["name"], NUMPY.get(kind), shape, size))
        if len(self._replies) > _MEMO:
            self._replies.clear()
        self._replies[told] = understood = known, said.get("parameters", {}).get("fail_safe") is True
        return understood

    def close(self) -> None:
        """End the connection."""
        self._sock.close()


def _check(inputs: Any) -> None:
    """Raise InputError unless these can be sent."""
    if not isinstance(inputs, Mapping):
        raise InputError(f"inputs are arrays by name, got {type(inputs).__name__}; write {{'NAME': array}}")
    for name, array in inputs.items():
        if not isinstance(array, np.ndarray | np.generic):
            raise InputError(f"input {name!r} must be a numpy array, got {type(array).__name__}; use numpy.asarray")
        if array.dtype.kind not in _TEXT and array.dtype not in _KINDS:
            raise InputError(f"input {name!r} is {array.dtype}, which cannot be sent; convert it with .astype")


def _telling(
    model: str, inputs: Mapping[str, NDArray[Any]], places: Mapping[str, dict[str, Any]], sizes: Mapping[str, int]
) -> bytes:
    """The request's JSON; ``sizes`` in bytes."""
    name, _, version = model.partition(":")
    told = [
        {"name": tensor, "datatype": _KINDS.get(array.dtype, "BYTES"), "shape": list(array.shape),
         "parameters": places.get(tensor) or {"binary_data_size": sizes[tensor]}}
        for tensor, array in inputs.items()
    ]  # fmt: skip
    made = {"model_name": name, "model_version": version, "inputs": told}
    return json.dumps({**made, "parameters": {"binary_data_output": True}}, separators=(",", ":")).encode()


def _written(name: str, array: NDArray[Any]) -> bytes:
    """An array's bytes as they travel. Raises InputError."""
    if array.dtype.kind not in _TEXT:
        return array.tobytes()
    odd = next((v for v in array.ravel().tolist() if not isinstance(v, bytes | str)), None)
    if odd is not None:
        raise InputError(f"input {name!r} holds {type(odd).__name__} among its objects; strings are str or bytes")
    try:
        return write_bytes(array)
    except UnicodeEncodeError as error:
        raise InputError(f"input {name!r} holds a string that is no Unicode text: {error.reason}") from error


def _text(raw: bytes, shape: tuple[int, ...]) -> NDArray[Any]:
    found = read_bytes(raw, math.prod(shape)).reshape(shape)
    found.flags.writeable = False
    return found
