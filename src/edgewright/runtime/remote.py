"""Remote: one connection to a server of the Open Inference Protocol v2, ours or another, over TCP, TLS or a Unix
socket. Tensors travel in binary where the server announces that, else as JSON."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
from numpy.typing import NDArray

from edgewright.core.closing import Closing
from edgewright.core.errors import EdgewrightError, InputError
from edgewright.core.strict import parse_json
from edgewright.runtime.faults import BadRequest
from edgewright.runtime.oip.answers import Answered, is_spec, read_answer
from edgewright.runtime.oip.types import NUMPY, narrow, write_bytes

_MOST_BYTES = 2**30
_MOST_JSON = 64 * 2**20
_LENGTH = "Inference-Header-Content-Length"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

_OTHER_NAME = (62, 64)
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""


class ServerError(EdgewrightError):
    """The server cannot be reached, failed, or answers what is no answer of the protocol. Exit status 1."""


@dataclass(frozen=True)
class Tensor:
    """An input: ``datatype`` is the protocol's name; BYTES are objects (bytes or text)."""

    datatype: str
    array: NDArray[Any]


class Remote(Closing):
    """Talks to ``url``: ``http://host:port``, ``https://host:port`` or ``unix:PATH``.

    ``token`` goes along as ``Authorization: Bearer``, and so never in the clear beyond this machine; ``ca``: a file of
    the certificates to trust instead of the system's. Raises InputError for what is no such URL.
    """

    def __init__(self, url: str, token: str = "", ca: Path | None = None, timeout_s: float = 60.0) -> None:
        self._url, self._headers = url, {"Authorization": f"Bearer {token}"} if token else {}
        self._base, self._connection = _connect(url, bool(token), ca, timeout_s)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    @cached_property
    def extensions(self) -> tuple[str, ...]:
        """What the server announces."""
        found = self._get("/v2").get("extensions", [])
        return tuple(str(name) for name in found) if isinstance(found, list) else ()

    def models(self) -> list[str]:
        """Names in the server's index that are ready. Raises ServerError where it has none."""
        ready = [one for one in self.index() if one.get("state", "READY") == "READY"]
        return sorted({str(entry.get("name", "")) for entry in ready})

    def index(self) -> list[dict[str, Any]]:
        """The server's index. Raises ServerError where it has none."""
        found = self._json(*self._ask("POST", "/v2/repository/index", b"{}"))
        if not isinstance(found, list):
            raise ServerError(f"{self._url} answers with no list of models")
        return [one for one in found if isinstance(one, dict)]

    def statistics(self, model: str = "", version: str = "") -> dict[str, Any]:
        """The statistics of a model's versions, of one, or of all models that are ready. Raises as ``metadata``."""
        return self._get(f"{_path(model, version)}/stats" if model else "/v2/models/stats")

    def metadata(self, model: str, version: str = "") -> dict[str, Any]:
        """The model's metadata: ``inputs`` and ``outputs`` are lists of objects with name, datatype and shape.

        Raises InputError, with the server's words, when there is no such model; ServerError.
        """
        told = self._get(_path(model, version))
        for side in ("inputs", "outputs"):
            entries = told.get(side)
            if not isinstance(entries, list) or not all(is_spec(entry) for entry in entries):
                raise ServerError(f"{self._url} tells no {side} of model {model!r}")
        return told

    def infer(
        self, model: str, inputs: Mapping[str, Tensor], version: str = "", *,
        parameters: Mapping[str, Any] | None = None, outputs: Sequence[Mapping[str, Any]] = (),
    ) -> Answered:  # fmt: skip
        """One request. ``outputs`` as in the protocol; empty: all. Raises InputError when the server finds fault with
        the request, ServerError for whatever else goes wrong; both with its own words."""
        binary = "binary_tensor_data" in self.extensions
        told: dict[str, Any] = {"inputs": [], "parameters": dict(parameters or {})}
        parts: list[bytes] = []
        for name, tensor in inputs.items():
            entry: dict[str, Any] = {"name": name, "datatype": tensor.datatype, "shape": list(tensor.array.shape)}
            if binary:
                parts.append(_binary(tensor))
                entry["parameters"] = {"binary_data_size": len(parts[-1])}
            else:
                entry |= _plain(tensor)
            told["inputs"].append(entry)
        if outputs:
            told["outputs"] = [
                {**one, "parameters": {**one.get("parameters", {}), "binary_data": binary}} for one in outputs
            ]
        elif binary:
            told["parameters"]["binary_data_output"] = True
        head = json.dumps(told).encode()
        headers = {_LENGTH: str(len(head))} if binary else {}
        headers["Content-Type"] = "application/octet-stream" if binary else "application/json"
        raw, length = self._ask("POST", f"{_path(model, version)}/infer", b"".join((head, *parts)), headers)
        try:
            return read_answer(raw, length)
        except (ValueError, BadRequest, KeyError, TypeError) as error:
            raise ServerError(f"{self._url} answers what is no answer of the protocol: {error}") from error

    def _get(self, target: str) -> dict[str, Any]:
        found = self._json(*self._ask("GET", target))
        if not isinstance(found, dict):
            raise ServerError(f"{self._url}{target} answers with no JSON object")
        return found

    def _json(self, raw: bytes, _: int) -> Any:
        try:
            return parse_json(raw, _MOST_JSON)
        except ValueError as error:
            raise ServerError(f"{self._url} speaks no Open Inference Protocol: {error}") from error

    def _ask(
        self, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[bytes, int]:
        """The body of a good answer, and how many bytes of it are JSON."""
        try:
            self._connection.request(method, self._base + target, body, {**self._headers, **(headers or {})})
            answer = self._connection.getresponse()
            raw = answer.read(_MOST_BYTES + 1)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            self._connection.close()  # the next request begins anew: this one's answer may still come
            raise ServerError(self._trouble(error)) from error
        if len(raw) > _MOST_BYTES:
            self._connection.close()
            raise ServerError(f"{self._url} answers with more than {_MOST_BYTES:,} bytes")
        if answer.status != 200:
            raise self._refusal(answer.status, raw)
        told = answer.getheader(_LENGTH)
        if told is not None and not (told.isascii() and told.isdigit() and int(told) <= len(raw)):
            raise ServerError(f"{self._url} announces {told[:20]!r} bytes of JSON in an answer of {len(raw)}")
        return raw, len(raw) if told is None else int(told)

    def _trouble(self, error: Exception) -> str:
        """Why there is no answer."""
        if isinstance(error, ssl.SSLCertVerificationError):
            way = "write a name that it holds" if error.verify_code in _OTHER_NAME else "pass its authority by --ca"
            return f"the certificate of {self._url} is not trusted: {error.verify_message}; {way}"
        if isinstance(error, ssl.SSLError):
            why = error.reason or error.strerror
            return f"{self._url} does not answer in TLS ({why}); if that port speaks plain HTTP, write http://"
        if isinstance(error, TimeoutError):
            return f"{self._url} did not answer within {self._connection.timeout:g} s"
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return f"{self._url} cannot be asked: {why}; is a server running there?"

    def _refusal(self, status: int, raw: bytes) -> EdgewrightError:
        """The server's words, and whose fault it is."""
        try:
            told = parse_json(raw, 2**20)
            said = told["error"] if isinstance(told, dict) else None
        except (ValueError, KeyError):
            said = None
        words = f": {said[:1000]}" if isinstance(said, str) and said else ""
        where = f"{self._url} answers {status} {http.client.responses.get(status, '')}".rstrip()
        if status in (401, 403):
            return InputError(f"{where}{words}; pass a token it takes by --token-file")
        mine = 400 <= status < 500 and status not in (408, 425, 429, 499)
        return InputError(f"{where}{words}") if mine else ServerError(f"{where}{words}")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket's path."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _connect(url: str, secret: bool, ca: Path | None, timeout_s: float) -> tuple[str, http.client.HTTPConnection]:
    if url.startswith("unix:"):
        return "", _UnixConnection(url.removeprefix("unix:"), timeout_s)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"{url!r} is no URL: {error}") from error
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or parts.username:
        raise InputError(f"{url!r} is no server's URL; write http://host:port, https://host:port or unix:PATH")
    base = parts.path.rstrip("/")
    if parts.scheme == "http":
        if secret and host not in _LOOPBACK:
            raise InputError(f"the token would travel readable to {host}; use https")
        return base, http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"{ca} holds no certificates to trust: {error.strerror or error}") from error
    return base, http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)


def _path(model: str, version: str) -> str:
    return f"/v2/models/{quote(model, safe='')}" + (f"/versions/{quote(version, safe='')}" if version else "")


def _binary(tensor: Tensor) -> bytes:
    if tensor.datatype == "BYTES":
        return write_bytes(tensor.array)
    if tensor.datatype == "BF16":
        return narrow(tensor.array)
    return np.ascontiguousarray(tensor.array, NUMPY[tensor.datatype]).tobytes()


def _plain(tensor: Tensor) -> dict[str, Any]:
    flat = tensor.array.ravel().tolist()
    if any(isinstance(value, bytes) for value in flat):
        # As MLServer writes bytes that are no text; ours takes every text for an image as base64.
        texts = [base64.b64encode(v if isinstance(v, bytes) else str(v).encode()).decode() for v in flat]
        return {"data": texts, "parameters": {"content_type": "base64"}}
    return {"data": flat}
