"""Rates: a bucket of tokens for each who calls (as in RFC 2697), in the memory of one process."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache

from edgewright.hub.errors import TooMany

_MOST = 50_000


class Rates:
    """``per_s`` requests a second for each key in the long run, ``burst`` at once.

    Each worker counts for itself: with n workers n times as many get through. What must not be tried often (passwords)
    is counted in the database besides.
    """

    def __init__(self, per_s: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str, cost: float = 1.0) -> None:
        """Let one request of ``key`` in. Raises TooMany."""
        now = self._clock()
        with self._lock:
            left, seen = self._left.pop(key, (self._burst, now))
            left = min(self._burst, left + (now - seen) * self._per_s)
            taken = left >= cost
            self._left[key] = (left - cost if taken else left, now)
            if len(self._left) > _MOST:
                self._left.popitem(last=False)  # the one that was quiet for longest: its bucket is the fullest
        if not taken:
            raise TooMany("too many requests; slow down", (cost - left) / self._per_s)


@lru_cache(4096)
def network(host: str) -> str:
    """What counts as one who calls: an IPv4 address, or an IPv6 network of 64 bits, which is what one customer gets."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return "local"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return str(address)
