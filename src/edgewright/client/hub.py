"""Hub: one connection to the people's API. Requests that change something carry a key and are therefore safe to try
again; what the hub says about waiting is kept to."""

from __future__ import annotations

import http.client
import json
import math
import ssl
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlencode, urlsplit

from edgewright.client.profile import Profile
from edgewright.core.closing import Closing
from edgewright.core.errors import EdgewrightError, InputError

_PREFIX = "/api/edge"
_MOST_BYTES, _PAGE = 64 * 2**20, 200
_TRIES, _LONGEST_WAIT_S = 4, 20.0
_TIMEOUT_S = 60.0
_LINE_BYTES = 2**22


class Refusal(EdgewrightError):  # noqa: N818 - reads as what it says
    """The hub answered with a problem (RFC 9457): ``status``, ``kind`` (the last part of its type) and its detail."""

    def __init__(self, status: int, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.kind = status, kind
        self.exit_status = 2 if status in (400, 404, 409, 413, 422) else 1


class Unreachable(EdgewrightError):  # noqa: N818 - reads as what it says
    """Nobody answers at the hub's address, or not as a hub does."""


class Hub(Closing):
    """For one thread. Raises Refusal, Unreachable."""

    def __init__(self, profile: Profile) -> None:
        parts = urlsplit(profile.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            raise InputError(f"{profile.url[:80]!r} is no hub; write it as https://HOST:PORT")
        if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise InputError("a token does not travel without TLS; write https://")
        self.profile, self._host, self._parts = profile, parts.hostname, parts
        self._connection: http.client.HTTPConnection | None = None
        self._answered = False

    @classmethod
    def known(cls) -> Hub:
        """The one that this user logged in to. Raises InputError when there is none."""
        return cls(Profile.load())

    def get(self, path: str, **query: Any) -> Any:
        """The JSON there."""
        return self._json("GET", path, query)

    def data(self, path: str, **query: Any) -> bytes:
        """The bytes there, of at most 64 MiB."""
        return self._send("GET", _target(path, query), b"", {})

    def every(self, path: str, **query: Any) -> Iterator[Any]:
        """All items of a list, page by page."""
        cursor: str | None = None
        while True:
            page = self.get(path, limit=_PAGE, **query, **({"cursor": cursor} if cursor else {}))
            if not isinstance(page, dict) or not isinstance(page.get("items"), list):
                raise Unreachable(f"{self.profile.url} answers, and not as a hub does")
            yield from page["items"]
            cursor = page.get("next")
            if cursor is None:
                return

    def post(self, path: str, body: Any = None) -> Any:
        """Make something, or have something done; the answer's JSON, None where there is none."""
        return self._json("POST", path, {}, body)

    def put(self, path: str, body: Any) -> Any:
        """Put something in its place."""
        return self._json("PUT", path, {}, body)

    def patch(self, path: str, body: Any) -> Any:
        """Change parts of something."""
        return self._json("PATCH", path, {}, body)

    def delete(self, path: str) -> Any:
        """Remove something."""
        return self._json("DELETE", path, {})

    def send(self, method: str, path: str, data: bytes = b"", headers: Mapping[str, str] | None = None) -> Any:
        """Bytes and headers as they are given; the answer's JSON, None where there is none. It may be sent twice."""
        return _parsed(self._send(method, _target(path, {}), data, headers or {}))

    def upload(self, path: str, file: Path, **query: Any) -> Any:
        """The file as a body, with constant memory. It is sent once: a bundle that is there already is no error."""
        try:
            with file.open("rb") as stream:
                headers = {"Content-Type": "application/octet-stream", "Content-Length": str(file.stat().st_size)}
                return _parsed(self._once("POST", _target(path, query), stream, headers))
        except OSError as error:
            raise InputError(f"cannot read {file}: {error.strerror or error}") from error

    def lines(self, path: str, kind: str, **query: Any) -> Iterator[str]:
        """The lines there of that media type as they come, on a connection of its own, until the hub ends it."""
        connection = self._connected()
        try:
            connection.request("GET", _target(path, query), headers={**self._credential, "Accept": kind})
            answer = connection.getresponse()
            if answer.status >= 300:
                refused = self._refused(answer, answer.read(_MOST_BYTES))
                raise refused.refusal if isinstance(refused, _Wait) else refused
            while line := answer.readline(_LINE_BYTES):
                yield line.decode("utf-8", "replace").rstrip("\r\n")
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"the hub at {self.profile.url} does not answer: {_reason(error)}") from error
        finally:
            connection.close()

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _json(self, method: str, path: str, query: Mapping[str, Any], body: Any = None) -> Any:
        headers = {} if method == "GET" else {"Idempotency-Key": str(uuid.uuid4())}
        data = b""
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body, allow_nan=False).encode(), "application/json"
        return _parsed(self._send(method, _target(path, query), data, headers))

    def _send(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Once more where the connection broke or the hub asks to wait: the key makes that the same request."""
        for left in reversed(range(_TRIES)):
            try:
                return self._once(method, target, body, headers)
            except _Wait as wait:
                if not left or wait.seconds > _LONGEST_WAIT_S:
                    raise wait.refusal from None
                self.close()  # the hub does not keep it open for as long as it asks to wait
                time.sleep(wait.seconds)
            except Unreachable as error:
                if not left or not isinstance(error.__cause__, ConnectionError | http.client.HTTPException):
                    raise
                if isinstance(error.__cause__, ConnectionRefusedError):
                    raise
        raise AssertionError("unreachable")

    def _once(self, method: str, target: str, body: bytes | BinaryIO, headers: Mapping[str, str]) -> bytes:
        connection = self._connection or self._connected()
        self._connection = None  # until its answer was read whole
        try:
            headers = {**headers, **self._credential, "Accept": "application/json"}
            connection.request(method, target, body or None, headers)
            answer = connection.getresponse()
            data = answer.read(_MOST_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            hint = "; it may speak TLS: try https" if isinstance(error, http.client.RemoteDisconnected) else ""
            hint = hint if self._parts.scheme == "http" and not self._answered else ""
            raise Unreachable(f"the hub at {self.profile.url} does not answer: {_reason(error)}{hint}") from error
        self._answered = True
        if len(data) > _MOST_BYTES:
            connection.close()
            raise Unreachable(f"the hub's answer is longer than {_MOST_BYTES:,} bytes; ask for less")
        if not answer.will_close:
            self._connection = connection
        if answer.status >= 300:
            raise self._refused(answer, data)
        return data

    @property
    def _credential(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.profile.token}"} if self.profile.token else {}

    def _refused(self, answer: http.client.HTTPResponse, data: bytes) -> Exception:
        try:
            told = json.loads(data)
            kind, detail = str(told["type"]).rpartition(":")[2], str(told["detail"])
            wrong = [(str(one["where"]), str(one["told"])) for one in told.get("errors", ())[:3]]
            if wrong:
                detail = "; ".join(f"{where.removeprefix('body/')}: {what}" for where, what in wrong)
        except (ValueError, KeyError, TypeError):
            return Unreachable(f"{self.profile.url} answers with status {answer.status}, and not as a hub does")
        if answer.status == 401 and self.profile.token:
            detail = f"{detail}; log in again: edgewright login {self.profile.url}"
        refusal = Refusal(answer.status, kind, detail)
        wait = answer.headers.get("Retry-After", "")
        return _Wait(refusal, float(wait)) if answer.status in (429, 503) and wait.isdecimal() else refusal

    def _connected(self) -> http.client.HTTPConnection:
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(self._host, self._parts.port, timeout=_TIMEOUT_S)
        context = ssl.create_default_context(cadata=self.profile.anchor or None)
        return http.client.HTTPSConnection(self._host, self._parts.port, timeout=_TIMEOUT_S, context=context)


class _Wait(Exception):  # noqa: N818 - never leaves this file
    def __init__(self, refusal: Refusal, seconds: float) -> None:
        self.refusal, self.seconds = refusal, seconds


def _target(path: str, query: Mapping[str, Any]) -> str:
    told = {key: _plain(value) for key, value in query.items() if value is not None}
    return f"{_PREFIX}{path}?{urlencode(told)}" if told else _PREFIX + path


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parsed(data: bytes) -> Any:
    if not data:
        return None
    try:
        return json.loads(data, parse_constant=lambda _: math.nan)
    except ValueError as error:
        raise Unreachable("the hub's answer is no JSON; is that address a hub's?") from error


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); log in with --ca FILE"
    if isinstance(error, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(error):
        return "it speaks no TLS there: try http:// on the hub's own machine, or its other port"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
