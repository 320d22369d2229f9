"""The Open Inference Protocol v2 over HTTP, with its binary extension: the standard library and NumPy, nothing else."""

from __future__ import annotations

import http.client
import json
import math
import socket
import ssl
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_LENGTH: Final = "Inference-Header-Content-Length"
_MOST_REPLY: Final = 2**30
_DTYPES: Final[dict[str, str]] = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "i1", "INT16": "<i2",
    "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip


class ClientError(Exception):
    """Base of every error that this client raises on purpose."""


class UnfitInputError(ClientError):
    """What was passed is not what the model takes. Nothing was sent."""


class UnreachableError(ClientError):
    """Nobody answers there, or the connection broke."""


class WrongModelError(ClientError):
    """The server answers with another model than the one that this client was made for."""


class RefusedError(ClientError):
    """The server answered with an error: ``status`` as in HTTP, and its sentence."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(f"{status}: {why}")
        self.status = status


class ForbiddenError(RefusedError):
    """A token is needed (401), or this one's roles do not allow it (403)."""


class BusyError(RefusedError):
    """Not ready, overloaded, or not to be done in time (503). ``retry_after_s``: when to come again, if told."""

    def __init__(self, status: int, why: str, retry_after_s: float | None) -> None:
        super().__init__(status, why)
        self.retry_after_s = retry_after_s


class LateError(RefusedError):
    """The deadline passed before there was an answer (504)."""


@dataclass(frozen=True)
class Tensor:
    """An input or output: the protocol's datatype; None in the shape is an open size, equal names are equal sizes."""

    name: str
    datatype: str
    shape: tuple[int | str | None, ...]


@dataclass(frozen=True)
class Answer:
    """``outputs`` by name. ``fail_safe``: they were declared for a missed deadline, and not computed."""

    outputs: Mapping[str, NDArray[Any]]
    fail_safe: bool
    request_id: str


class Protocol:
    """One connection to one served model, for one thread at a time.

    ``url``: ``http://HOST:PORT``, ``https://...`` or ``unix:/path/of/a.sock``. ``token``: sent as a bearer token.
    ``ca``: a file of certificates to trust in place of the system's. ``timeout_s`` bounds each wait for the server.
    """

    def __init__(
        self, url: str, model: str, *, version: str = "", token: str = "", ca: str = "", timeout_s: float = 30.0
    ) -> None:
        self._open = _connector(url, ca, timeout_s)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._path = f"/v2/models/{urllib.parse.quote(model, safe='')}"
        if version:
            self._path += f"/versions/{urllib.parse.quote(version, safe='')}"
        self._connection: http.client.HTTPConnection | None = None

    def ready(self) -> bool:
        """Whether the model answers now. Raises UnreachableError."""
        status, _, _ = self._ask("GET", f"{self._path}/ready", b"", {})
        return status == 200

    def metadata(self) -> dict[str, Any]:
        """What the server tells of the model. Raises UnreachableError, RefusedError."""
        status, headers, body = self._ask("GET", self._path, b"", {})
        told: dict[str, Any] = _told(status, headers, body)
        return told

    def infer(
        self,
        tensors: Sequence[Tensor],
        inputs: Mapping[str, NDArray[Any]],
        *,
        deadline_ms: float | None = None,
        priority: int = 0,
        request_id: str = "",
    ) -> Answer:
        """Send ``inputs``, which fit ``tensors``; all outputs, in binary.

        ``deadline_ms`` counts from when the server has the request; ``priority`` 1 is the most urgent, 0 the server's.
        Raises UnfitInputError, UnreachableError, RefusedError (BusyError, LateError, ForbiddenError).
        """
        check(tensors, inputs)
        parameters: dict[str, Any] = {"binary_data_output": True}
        if deadline_ms is not None:
            if not (math.isfinite(deadline_ms) and deadline_ms > 0):
                raise UnfitInputError(f"a deadline is a number of ms above 0, not {deadline_ms!r}")
            parameters["timeout"] = max(1, math.ceil(deadline_ms * 1000))
        if priority:
            parameters["priority"] = priority
        raws = [pack(inputs[one.name], one.datatype) for one in tensors]
        entries = [
            {"name": one.name, "datatype": one.datatype, "shape": list(inputs[one.name].shape),
             "parameters": {"binary_data_size": len(raw)}}
            for one, raw in zip(tensors, raws, strict=True)
        ]  # fmt: skip
        head: dict[str, Any] = {"inputs": entries, "parameters": parameters}
        if request_id:
            head["id"] = request_id
        text = json.dumps(head, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/octet-stream", _LENGTH: str(len(text))}
        status, found, body = self._ask("POST", f"{self._path}/infer", b"".join([text, *raws]), headers)
        return _answer(status, found, body)

    def close(self) -> None:
        """End the connection; the next call makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Protocol:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _ask(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        kept = self._connection is not None
        while True:
            connection = self._connection or self._open()
            self._connection = connection
            try:
                connection.request(method, path, body or None, {**self._headers, **headers})
                reply = connection.getresponse()
                data = reply.read(_MOST_REPLY)
                if not reply.isclosed():  # more than anybody expects
                    raise http.client.IncompleteRead(b"")
            except (OSError, http.client.HTTPException) as error:
                self.close()
                # A server may close a connection that was idle; asking again is safe, as nothing is changed by it.
                if kept and isinstance(error, ConnectionError | http.client.RemoteDisconnected):
                    kept = False
                    continue
                raise UnreachableError(f"the server did not answer: {error or type(error).__name__}") from error
            return reply.status, dict(reply.getheaders()), data


def check(tensors: Sequence[Tensor], inputs: Mapping[str, NDArray[Any]]) -> None:
    """Raise UnfitInputError unless the arrays have the ranks, the sizes and the kinds that the model takes."""
    named: dict[str, tuple[int, str]] = {}
    for one in tensors:
        array = inputs[one.name]
        if not isinstance(array, np.ndarray):
            raise UnfitInputError(f"{one.name!r} must be a numpy array, not {type(array).__name__}")
        text = one.datatype == "BYTES"
        wanted = "<f4" if one.datatype == "BF16" else _DTYPES.get(one.datatype, "O")
        if (text and array.dtype.kind not in "OSU") or (not text and array.dtype != np.dtype(wanted)):
            raise UnfitInputError(f"{one.name!r} is {array.dtype}, the model takes {one.datatype}; use .astype")
        if array.ndim != len(one.shape):
            raise UnfitInputError(f"{one.name!r} has {array.ndim} axes, the model takes {len(one.shape)}: {one.shape}")
        for axis, (size, known) in enumerate(zip(array.shape, one.shape, strict=True)):
            if isinstance(known, int) and size != known:
                raise UnfitInputError(f"axis {axis} of {one.name!r} is {size}, the model takes {known}")
            if isinstance(known, str):
                first, where = named.setdefault(known, (size, one.name))
                if first != size:
                    raise UnfitInputError(f"{known!r} is {first} in {where!r} and {size} in {one.name!r}")


def pack(array: NDArray[Any], datatype: str) -> bytes:
    """An array as it travels: little-endian, rows first; a string is its length in four bytes and UTF-8."""
    if datatype == "BYTES":
        found = [one if isinstance(one, bytes) else str(one).encode() for one in array.ravel().tolist()]
        return b"".join(len(one).to_bytes(4, "little") + one for one in found)
    if datatype == "BF16":  # the upper half of a float32, rounded to even
        bits = np.ascontiguousarray(array, "<f4").view("<u4")
        near = ((bits >> 16) & 1) + 0x7FFF
        half = np.where(np.isnan(array), (bits >> 16) | 0x40, (bits + near) >> 16)
        return half.astype("<u2").tobytes()
    return np.ascontiguousarray(array, _DTYPES[datatype]).tobytes()


def unpack(data: bytes, datatype: str, shape: Sequence[int]) -> NDArray[Any]:
    """What ``pack`` made; strings come back as objects of bytes, BF16 as float32. Raises UnreachableError."""
    count = math.prod(shape)
    try:
        if datatype == "BYTES":
            return _strings(data, count).reshape(shape)
        if datatype == "BF16":
            half = np.frombuffer(data, "<u2").astype("<u4")
            return (half << np.uint32(16)).view("<f4").reshape(shape)
        return np.frombuffer(data, _DTYPES[datatype]).reshape(shape)
    except (KeyError, ValueError) as error:
        raise UnreachableError(f"the reply's {datatype} of {len(data)} bytes is no tensor of shape {shape}") from error


def _strings(data: bytes, count: int) -> NDArray[Any]:
    found, place = np.empty(count, object), 0
    for index in range(count):
        size = int.from_bytes(data[place : place + 4], "little")
        place += 4 + size
        if place > len(data):
            raise ValueError("cut")
        found[index] = data[place - size : place]
    if place != len(data):
        raise ValueError("too long")
    return found


def _answer(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    stated = {key.lower(): value for key, value in headers.items()}.get(_LENGTH.lower(), "")
    if status != 200 or not stated.isdecimal():
        told, place = _told(status, headers, body), len(body)
    else:
        place = int(stated)
        told = _told(status, headers, body[:place])
    outputs: dict[str, NDArray[Any]] = {}
    try:
        for one in told["outputs"]:
            name, datatype, shape = one["name"], one["datatype"], [int(size) for size in one["shape"]]
            size = (one.get("parameters") or {}).get("binary_data_size")
            if size is None:
                outputs[name] = np.array(one["data"], _DTYPES.get(datatype, "O")).reshape(shape)
            else:
                outputs[name] = unpack(body[place : place + size], datatype, shape)
                place += size
        safe = (told.get("parameters") or {}).get("fail_safe") is True
        return Answer(outputs, safe, str(told.get("id", "")))
    except (KeyError, TypeError, ValueError) as error:
        raise UnreachableError("the reply is not the Open Inference Protocol's") from error


def _told(status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if status == 200 and isinstance(value, dict):
        return value
    if status == 200:
        raise UnreachableError("the reply is not the Open Inference Protocol's")
    why = value.get("error") if isinstance(value, dict) else None
    why = str(why or body[:200].decode("utf-8", "replace"))
    if status in (401, 403):
        raise ForbiddenError(status, why)
    if status == 503:
        after = {key.lower(): value for key, value in headers.items()}.get("retry-after", "")
        raise BusyError(status, why, float(after) if after.isdecimal() else None)
    if status == 504:
        raise LateError(status, why)
    raise RefusedError(status, why)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """To the socket's path."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _Connector:
    def __init__(self, url: str, ca: str, timeout_s: float) -> None:
        parts = urllib.parse.urlsplit(url)
        self._unix = url.removeprefix("unix:") if parts.scheme == "unix" else ""
        if not self._unix and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise UnfitInputError(f"{url!r} is no address; write http://HOST:PORT, https://HOST:PORT or unix:/PATH")
        self._host, self._port, self._timeout = parts.hostname or "", parts.port, timeout_s
        self._tls = ssl.create_default_context(cafile=ca or None) if parts.scheme == "https" else None

    def __call__(self) -> http.client.HTTPConnection:
        if self._unix:
            return _UnixConnection(self._unix, self._timeout)
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)


def _connector(url: str, ca: str, timeout_s: float) -> _Connector:
    return _Connector(url, ca, timeout_s)
