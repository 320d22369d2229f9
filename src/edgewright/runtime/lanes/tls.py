"""TLS on the loop: the same connection, its bytes enciphered. Plain connections know nothing of it."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import stat
import time
from pathlib import Path
from typing import Any

from edgewright.core.errors import InputError
from edgewright.runtime import logs
from edgewright.runtime.lanes.http import Connection

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2; forward secrecy and authenticated encryption only (RFC 9325). Those of TLS 1.3 are all fit."""


class Certificate:
    """A certificate chain and its key, in PEM files. ``context``: what connections are made with; ``pem``: the key's
    and the chain's bytes. Raises InputError."""

    def __init__(self, chain: Path, key: Path) -> None:
        self.chain, self.key = chain, key
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_ciphers(_CIPHERS)
        self.context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        self.context.set_alpn_protocols(["http/1.1"])
        self.reload()

    def reload(self) -> None:
        """Read the files anew; connections that are open keep what they have. Raises InputError, changing nothing."""
        _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.chain, self.key)
        mode = self.key.stat().st_mode
        if mode & (stat.S_IRGRP | stat.S_IROTH):
            told = f"others than its owner may read the TLS key {self.key} (mode {stat.S_IMODE(mode):o})"
            logs.warning("tls", f"{told}; run: chmod 600 {self.key}")
        pem = self.key.read_bytes(), self.chain.read_bytes()
        _load(self.context, self.chain, self.key)
        self.pem = pem


def _load(context: ssl.SSLContext, chain: Path, key: Path) -> None:
    try:
        context.load_cert_chain(chain, key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise InputError(f"{key} is not the key of the certificate in {chain}; give both of one pair") from error
        raise InputError(f"{chain} and {key} are no certificate and its key in PEM: {error.reason or error}") from error
    except OSError as error:
        raise InputError(f"cannot read the certificate {chain} or its key {key}: {error.strerror or error}") from error


def _no_password() -> str:
    raise InputError("the TLS key is encrypted; store it without a password, readable by the server's user only")


class TlsConnection(Connection):
    """A Connection that shakes hands first."""

    def __init__(self, sock: socket.socket, certificate: Certificate, *others: Any) -> None:
        self._shaking, self._silent = True, True
        self._tls = certificate.context.wrap_socket(
            sock, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True
        )
        super().__init__(_Enciphered(self._tls), *others)  # type: ignore[arg-type]  # all that a Connection uses of it

    def ready(self, events: int) -> None:
        """Called by the loop."""
        if not self._shaking:
            super().ready(events)
            return
        if self._silent and self._plain():
            return
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._loop.watch(self._sock, self)
            return
        except ssl.SSLWantWriteError:
            self._loop.watch(self._sock, self, write=True)
            return
        except (OSError, ValueError) as error:
            self._budget.refused[_why(error)] += 1
            self.close()
            return
        self._shaking = False
        self._loop.watch(self._sock, self)
        self.since = time.monotonic()
        super().ready(select.EPOLLIN)  # what came with the handshake's end lies in the session: epoll does not see it

    def _plain(self) -> bool:
        """Tell a client that speaks HTTP without TLS so, in plain text; whether it was one."""
        try:
            first = socket.socket.recv(self._tls, 1, socket.MSG_PEEK)
        except OSError:  # nothing has come; or gone, as the handshake will find
            return False
        self._silent = not first
        if not first.isalpha():
            return False
        self._shaking = False
        plain = socket.socket(fileno=self._tls.detach())
        plain.setblocking(False)
        self._sock = plain
        self._refuse(400, "this port speaks https, not http; write https:// in the address", counted=_HTTP)
        return True

    def drain(self, begun: float, now: float) -> None:
        """As a Connection's, once hands are shaken."""
        if not self._shaking:
            super().drain(begun, now)

    def stale(self, now: float) -> bool:
        """As a Connection's, and when the handshake takes too long."""
        return now - self.since > self._limits.handshake_s if self._shaking else super().stale(now)


_HTTP = "http on an https port"
"""What this is counted as."""


def _why(error: Exception) -> str:
    """What a handshake that failed is counted as. Whoever cannot shake hands is told nothing: it could not read it."""
    reason = getattr(error, "reason", None) or ""
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        return "certificate refused by the client"
    gone = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ConnectionError)
    return "gone before TLS began" if gone else "no TLS in common"


class _Enciphered:
    """What a Connection asks of a socket. OpenSSL's wishes to wait look like the kernel's."""

    def __init__(self, tls: ssl.SSLSocket) -> None:
        self._tls = tls
        self.fileno, self.setblocking = tls.fileno, tls.setblocking

    def recv(self, size: int) -> bytes:
        """All that was deciphered, which may be a record more than ``size``: epoll sees only what was not."""
        found, held = [], 0
        try:
            while held < size or self._tls.pending():
                more = self._tls.recv(max(size - held, self._tls.pending()))
                if not more:
                    break
                found.append(more)
                held += len(more)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as wait:
            if not found:
                raise BlockingIOError from wait
        return b"".join(found)

    def send(self, data: bytes | memoryview) -> int:
        """As a socket's."""
        try:
            return self._tls.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as wait:
            raise BlockingIOError from wait

    def shutdown(self, how: int) -> None:
        """Say that nothing more comes, in TLS and below."""
        with contextlib.suppress(ssl.SSLError, ValueError):
            self._tls.unwrap()
        self._tls.shutdown(how)

    def close(self) -> None:
        """Say goodbye if that is possible at once."""
        with contextlib.suppress(OSError, ValueError):
            self._tls.unwrap()
        self._tls.close()
