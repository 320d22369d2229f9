"""What clients may take: bytes, connections, seconds."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass

DRAIN_S = 10.0
"""How long requests that are being answered are waited for at the end."""
_BYTES_A_SECOND = 128 * 1024
"""The least pace at which a reply must be read, once ``reply_s`` are over."""


@dataclass(frozen=True)
class Limits:
    """Bytes of a head and of a body, and of all that is buffered for all connections; connections in all and from one
    address (in IPv6 from one /64); seconds: for a TLS handshake, for a request to come whole, for a reply to be read,
    between two requests.
    """

    head_bytes: int = 32 * 1024
    body_bytes: int = 64 * 2**20
    buffered_bytes: int = 256 * 2**20
    connections: int = 1024
    connections_per_address: int = 256
    handshake_s: float = 10.0
    request_s: float = 30.0
    reply_s: float = 30.0
    idle_s: float = 75.0

    def reply_until(self, now: float, size: int) -> float:
        """When a reply of ``size`` bytes must have been read. A client that takes a byte now and then gains nothing."""
        return now + self.reply_s + size / _BYTES_A_SECOND


class Budget:
    """What all connections together, gRPC's among them, hold in buffers, and whom they were refused: ``refused`` counts
    by status, or by reason where nobody was answered; ``regions``: memory files that were attached."""

    def __init__(self, limits: Limits) -> None:
        self.limits, self.held_bytes, self.regions = limits, 0, 0
        self.refused: Counter[int | str] = Counter()
        self._lock = threading.Lock()

    def fits(self, size: int) -> bool:
        """Whether so many bytes more are allowed."""
        return self.held_bytes + size <= self.limits.buffered_bytes

    def too_large(self, size: int) -> str:
        """Why a reply of so many bytes is not sent, and what to do."""
        if size > self.limits.buffered_bytes:
            return (
                f"the reply has {size:,} bytes, and the server may buffer {self.limits.buffered_bytes:,}; ask for "
                "less, or raise buffered_bytes"
            )
        return f"the reply has {size:,} bytes, more than can be buffered now; ask again later"

    def refuse(self, reason: str) -> None:
        """Count one more who was refused; from any thread."""
        with self._lock:
            self.refused[reason] += 1

    def change(self, by: int) -> bool:
        """Hold so many bytes more (or less). False when it is more than allowed: then give them back soon."""
        with self._lock:  # two threads' sums would lose one of them
            self.held_bytes += by
        return by <= 0 or self.fits(0)
