"""HTTP/1.1 by hand, byte by byte: a client that may say what no library lets it say."""

from __future__ import annotations

import json
import socket
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from edgewright.testing.oip.contract import Failed

_MOST = 1 << 30


@dataclass(frozen=True)
class Target:
    """Where the server is: ``http://host:port``, ``https://host:port`` or ``unix:/path``, perhaps with a prefix."""

    host: str
    port: int
    tls: bool = False
    unix: str = ""
    prefix: str = ""
    token: str = ""
    ca: str = ""
    """A file of certificates that vouch for the server's; where it is given the server must have one of theirs."""

    @classmethod
    def parse(cls, url: str, token: str = "", ca: str = "") -> Target:
        """Raises ValueError."""
        if url.startswith("unix:"):
            return cls("localhost", 0, unix=url.removeprefix("unix:"), token=token)
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address; write it as http://127.0.0.1:8000")
        tls = parts.scheme == "https"
        prefix = parts.path.rstrip("/").removesuffix("/v2")
        if ca and not tls:
            raise ValueError("certificates are for https; leave --ca out, or write https://")
        return cls(parts.hostname, parts.port or (443 if tls else 80), tls, "", prefix, token, ca)

    @property
    def local(self) -> bool:
        """Whether the server is on this machine."""
        return bool(self.unix) or self.host in ("127.0.0.1", "::1", "localhost")

    def connect(self, timeout_s: float) -> socket.socket:
        """A connection. Raises OSError."""
        if self.unix:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(timeout_s)
            sock.connect(self.unix)
            return sock
        context = self._context() if self.tls else None
        sock = socket.create_connection((self.host, self.port), timeout_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is None:
            return sock
        if self.local and not self.ca:  # a server on this machine may have signed for itself
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(sock, server_hostname=self.host)

    def _context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.ca or None)
        except OSError as error:
            why = "holds no certificates" if isinstance(error, ssl.SSLError) else str(error.strerror)
            raise ValueError(f"{self.ca} cannot be trusted in: {why}") from error


@dataclass(frozen=True)
class Reply:
    """What came back; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self, part: bytes | None = None) -> Any:
        """The body (or a part of it) as JSON. Raises Failed when it is none, NaN and Infinity among it."""

        def refuse(token: str) -> Any:
            raise Failed(f"the reply holds {token}, which is not JSON")

        raw = self.body if part is None else part
        try:
            return json.loads(raw.decode("utf-8"), parse_constant=refuse)
        except ValueError as error:
            raise Failed(f"status {self.status}, and the body is not JSON: {raw[:60]!r} ({error})") from error


class Wire:
    """One connection."""

    def __init__(self, target: Target, timeout_s: float) -> None:
        self._target = target
        self.sock = target.connect(timeout_s)
        self._in = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def head(self, method: str, path: str, headers: dict[str, str], version: str = "1.1") -> bytes:
        """A request's head."""
        own = {"Host": f"{self._target.host}:{self._target.port}"}
        if self._target.token:
            own["Authorization"] = f"Bearer {self._target.token}"
        lines = "".join(f"{key}: {value}\r\n" for key, value in (own | headers).items())
        return f"{method} {self._target.prefix}{path} HTTP/{version}\r\n{lines}\r\n".encode()

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> bytes:
        """A whole request."""
        length = {"Content-Length": str(len(body))} if body is not None else {}
        return self.head(method, path, length | (headers or {})) + (body or b"")

    def send(self, data: bytes) -> None:
        """Say that. A server that has closed already is no failure: it may have answered before."""
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def read(self, method: str = "GET", interim: bool = False) -> Reply:
        """The next reply; ``interim``: also one of status 1xx. Raises Failed when none comes."""
        lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        first = lines[0].split(" ", 2)
        if len(first) < 2 or not first[0].startswith("HTTP/1.") or not first[1].isdigit():
            raise Failed(f"this is no HTTP reply: {lines[0][:60]!r}")
        status = int(first[1])
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        if status < 200:
            return Reply(status, headers, b"") if interim else self.read(method)
        if method == "HEAD" or status in (204, 304):
            return Reply(status, headers, b"")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return Reply(status, headers, self._chunks())
        if "content-length" in headers:
            return Reply(status, headers, self._exactly(int(headers["content-length"])))
        return Reply(status, headers, self.rest())

    def ended(self) -> bool:
        """Whether the server has closed, and nothing more is to be read; waits for the one or the other. Raises Failed
        when neither comes in time."""
        if not self._in:
            self._in = self._receive()
        return not self._in

    def rest(self) -> bytes:
        """All that comes until the server closes. Raises Failed when it does not."""
        found, self._in = self._in, b""
        while data := self._receive():
            found += data
        return found

    def _chunks(self) -> bytes:
        found = b""
        while size := int(self._until(b"\r\n").split(b";")[0], 16):
            found += self._exactly(size)
            self._exactly(2)
        while self._until(b"\r\n"):
            pass
        return found

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._in:
            self._more()
        found, _, self._in = self._in.partition(mark)
        return found

    def _exactly(self, size: int) -> bytes:
        if size > _MOST:
            raise Failed(f"a reply of {size:,} bytes was announced")
        while len(self._in) < size:
            self._more()
        found, self._in = self._in[:size], self._in[size:]
        return found

    def _more(self) -> None:
        data = self._receive()
        if not data:
            raise Failed("the connection was closed without a whole reply")
        self._in += data

    def _receive(self) -> bytes:
        try:
            return self.sock.recv(1 << 16)
        except TimeoutError as error:
            raise Failed("no reply came in time") from error
        except ConnectionResetError:
            return b""
