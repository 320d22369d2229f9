"""Hub: one HTTP/1.1 connection over TLS, kept open, by the standard library. Everything it reads is bounded.

Every call of the protocol may be sent twice, so one whose kept connection turns out to be closed is sent once more.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import select
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from edgewright.core.closing import Closing
from edgewright.core.errors import EdgewrightError, InputError
from edgewright.core.strict import parse_json

CONNECT_S, PATIENCE_S = 15.0, 30.0
_PIECE, _PROBLEM_BYTES, _LONGEST_S = 64 * 1024, 16 * 1024, 3600.0
_STALE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)


class Offline(EdgewrightError):  # noqa: N818 - reads as what it says
    """There is no answer, or none that can be read: as if there were no network."""

    failure = "network"


class Refusal(EdgewrightError):  # noqa: N818 - reads as what it says
    """The hub says no. ``status``: HTTP's; ``after_s``: when to ask again, in s (0.0: not said)."""

    failure = "network"

    def __init__(self, message: str, status: int, after_s: float = 0.0) -> None:
        super().__init__(message)
        self.status, self.after_s = status, after_s


@dataclass(frozen=True)
class Answer:
    """What came: below 400."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Credentials(Protocol):
    """What a connection is made with."""

    def context(self) -> ssl.SSLContext:
        """For the handshake. Raises TrustError."""
        ...

    def check(self, peer: ssl.SSLSocket) -> None:
        """Raise Offline when the hub's certificate must not be believed although the handshake did."""
        ...


class Hub(Closing):
    """At ``url`` (``https://HOST:PORT``). Not for two threads at once, but for ``interrupt``. Raises InputError."""

    def __init__(self, url: str, credentials: Credentials) -> None:
        self.host, self.port = place(url)
        self._credentials = credentials
        self._connection: http.client.HTTPConnection | None = None
        self._over = False

    def ask(
        self, method: str, path: str, body: bytes = b"", *, most_bytes: int, seconds: float = PATIENCE_S,
        headers: Mapping[str, str] | None = None, bell: socket.socket | None = None,
    ) -> Answer:  # fmt: skip
        """The answer, with a body of at most ``most_bytes``, begun within ``seconds`` and whole within as many again.
        ``bell``: while something can be read from it, the hub is not to hold the answer back. Raises Offline, Refusal,
        TrustError."""
        kind = {"Content-Type": "application/json"} if body and method == "POST" else {}
        response = self.begin(method, path, body, {**kind, **(headers or {})}, seconds, bell)
        return Answer(response.status, lowered(response), self._whole(response, most_bytes, seconds))

    def begin(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None,
        seconds: float = PATIENCE_S, bell: socket.socket | None = None,
    ) -> http.client.HTTPResponse:  # fmt: skip
        """An answer below 400, its body still to be read: to the end, or ``close``. Raises as ``ask``."""
        fresh = self._connection is None or self._connection.sock is None
        try:
            response = self._send(method, path, body, headers or {}, seconds, bell)
        except _STALE as error:
            self.close()
            if fresh or self._over:
                raise Offline(f"the hub at {self._name} does not answer: {_said(error)}") from error
            return self.begin(method, path, body, headers, seconds, bell)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise Offline(f"the hub at {self._name} cannot be reached: {_said(error)}") from error
        if response.status >= 400:
            raise self._refusal(response, seconds)
        return response

    @property
    def _name(self) -> str:
        return f"{self.host}:{self.port}"

    def interrupt(self) -> None:
        """End what another thread waits for here, for good: it is told Offline."""
        self._over = True
        connection = self._connection
        raw = connection.sock if connection is not None else None
        if raw is not None:
            with contextlib.suppress(OSError):  # below TLS: the other thread is in the middle of it
                socket.socket.shutdown(raw, socket.SHUT_RDWR)

    def close(self) -> None:
        """End the connection; the next call makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], seconds: float,
        bell: socket.socket | None,
    ) -> http.client.HTTPResponse:  # fmt: skip
        if self._over:
            raise Offline("the agent is stopping")
        if self._connection is None or self._connection.sock is None:  # ended by the hub's Connection: close
            self._connection = self._connected()
        connection = self._connection
        connection.sock.settimeout(seconds)
        connection.request(method, path, body or None, dict(headers))
        if bell is not None:
            _wait(connection.sock, bell, seconds)
        return connection.getresponse()

    def _connected(self) -> http.client.HTTPConnection:
        self.close()
        context = self._credentials.context()
        raw = socket.create_connection((self.host, self.port), CONNECT_S)
        try:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            safe = context.wrap_socket(raw, server_hostname=self.host)
        except BaseException:
            raw.close()
            raise
        connection = http.client.HTTPConnection(self.host, self.port)
        connection.sock = safe
        connection.auto_open = False
        try:
            self._credentials.check(safe)
        except BaseException:
            connection.close()
            raise
        return connection

    def _whole(self, response: http.client.HTTPResponse, most_bytes: int, seconds: float) -> bytes:
        parts, size, end = list[bytes](), 0, time.monotonic() + seconds
        try:
            wanted = response.length
            while data := response.read(_PIECE):
                size += len(data)
                parts.append(data)
                if size > most_bytes:
                    raise Offline(f"the hub's answer has more than the {most_bytes:,} bytes allowed")
                if time.monotonic() > end:
                    raise Offline("the hub's answer takes too long")
            if wanted is not None and size != wanted:
                raise Offline(f"the hub's answer was cut off after {size:,} of {wanted:,} bytes")
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise Offline(f"the hub's answer was cut off: {_said(error)}") from error
        except Offline:
            self.close()
            raise
        if response.will_close:
            self.close()
        return b"".join(parts)

    def _refusal(self, response: http.client.HTTPResponse, seconds: float) -> Refusal:
        """As problem+json (RFC 9457) has it, or whatever it is."""
        status, after = response.status, response.getheader("Retry-After", "")
        told = ""
        with contextlib.suppress(Offline, ValueError):
            problem = parse_json(self._whole(response, _PROBLEM_BYTES, seconds), _PROBLEM_BYTES)
            if isinstance(problem, dict):
                told = str(problem.get("detail") or problem.get("title") or "")
        words = "".join(c if c.isprintable() else " " for c in told)[:300] or http.client.responses.get(status, "")
        after_s = min(float(after), _LONGEST_S) if after.isdecimal() else 0.0
        return Refusal(f"the hub refuses (status {status}): {words}", status, after_s)


def place(url: str) -> tuple[str, int]:
    """Host and port of the hub's device listener. Raises InputError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 8444
    except ValueError as error:
        raise InputError(f"{url[:200]!r} is no address of a hub ({error}); it reads https://HOST:8444") from error
    if parts.scheme != "https" or not host or parts.path not in ("", "/") or parts.query or parts.username:
        raise InputError(f"{url[:200]!r} is no address of a hub; it reads https://HOST:8444")
    return host, port


def lowered(response: http.client.HTTPResponse) -> dict[str, str]:
    """An answer's headers by their names in lower case."""
    return {name.lower(): value for name, value in response.getheaders()}


_NOT_YET, _ENDED, _OTHER_NAME, _OTHER_ADDRESS = 9, 10, 62, 64
"""X509_V_ERR_* (openssl/x509_vfy.h)."""


def _wait(answers: socket.socket, bell: socket.socket, seconds: float) -> None:
    """Until an answer comes. When the bell rings, the hub is told so, by an empty line, which stands before the next
    request as if it were not there (RFC 9112, section 2.2): it answers at once. Raises OSError."""
    polling = select.poll()
    polling.register(answers, select.POLLIN)
    polling.register(bell, select.POLLIN)
    ready = {handle for handle, _ in polling.poll(1000.0 * seconds)}
    if not ready:
        raise TimeoutError("timed out")
    if answers.fileno() not in ready:
        answers.settimeout(PATIENCE_S)
        answers.sendall(b"\r\n")


def _said(error: BaseException) -> str:
    """Why, and what to look at."""
    match error:
        case ssl.SSLCertVerificationError(verify_code=code) if code in (_NOT_YET, _ENDED):
            told = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
            return f"its certificate does not hold at {told} UTC, as this device's clock has it; set the clock"
        case ssl.SSLCertVerificationError(verify_code=code) if code in (_OTHER_NAME, _OTHER_ADDRESS):
            return "its certificate is for other names; start the hub with --device-name and the one used here"
        case ssl.SSLCertVerificationError():
            return "its certificate is not of a root that this device trusts; is it the same hub?"
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "HTTP_REQUEST" | "UNEXPECTED_EOF_WHILE_READING"):
            return "what listens there does not speak TLS; give the address that the hub calls 'devices at'"
        case socket.gaierror():
            return "no address is known for that name; check it, and this device's network and DNS"
        case ConnectionRefusedError():
            return "nobody listens there; does the hub run, and is that its port for devices?"
        case TimeoutError():
            return "no answer in time; check the address, the network and firewalls between"
        case OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH):
            return "no way leads there; check this device's network"
    return str(error)[:200] or type(error).__name__
