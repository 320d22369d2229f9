"""Addresses: where to listen."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgewright.core.errors import InputError

_NETWORK = 64


def network(peer: str) -> str:
    """Whose a client's address is, as its socket tells it. In IPv4 its own; in IPv6 that of its /64, within which a
    host takes as many as it likes (RFC 4291, 2.5.4; RFC 6177), or the IPv4 address that it stands for (2.5.5.2).
    """
    if ":" not in peer:
        return peer
    address = ipaddress.IPv6Address(peer)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    prefix = ipaddress.IPv6Network((int(address), _NETWORK), strict=False)
    return f"{prefix}%{address.scope_id}" if address.scope_id else str(prefix)


@dataclass(frozen=True)
class Address:
    """``host`` and ``port`` (0: a free one), with or without TLS, or ``path`` of a Unix socket."""

    host: str = "127.0.0.1"
    port: int = 8000
    path: Path | None = None
    tls: bool = False
    scheme: Literal["http", "grpc"] = "http"

    @classmethod
    def parse(cls, text: str, tls: bool = False, scheme: Literal["http", "grpc"] = "http") -> Address:
        """``host:port``, ``[v6]:port`` or ``:port``. Raises InputError."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdecimal() or not 0 <= int(port) <= 65535:
            raise InputError(f"{text!r} is no address; write it as 127.0.0.1:8000")
        return cls(host.strip("[]") or "127.0.0.1", int(port), tls=tls, scheme=scheme)

    @property
    def place(self) -> str:
        """``host:port``, as clients write it, or the socket's path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return str(self.path) if self.path is not None else f"{host}:{self.port}"

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"{'https' if self.tls and self.scheme == 'http' else self.scheme}://{self.place}"

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.path is not None or loopback(self.host)


def loopback(name: str) -> bool:
    """Whether a host's name or address means this machine, whatever a name server says."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
