"""Identifiers: a prefix that tells the kind, and 128 bits that sort by time of making."""

from __future__ import annotations

import re
import secrets
import time

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, in lower case
PATTERN = r"^[a-z]{3}_[0-9a-hjkmnp-tv-z]{26}$"
_ID = re.compile(PATTERN)


def new_id(prefix: str, at_ms: int | None = None) -> str:
    """``prefix`` (three letters), an underscore and 26 digits: 48 bits of Unix time in ms, 80 random ones (as a ULID).

    Two ids of one millisecond are in no order. They are hard to guess, and no secret.
    """
    moment = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    value = (moment & (2**48 - 1)) << 80 | secrets.randbits(80)
    return f"{prefix}_{''.join(_DIGITS[value >> shift & 31] for shift in range(125, -1, -5))}"


def is_id(text: str, prefix: str) -> bool:
    """Whether ``text`` is spelled as ``new_id(prefix)`` spells."""
    return _ID.fullmatch(text) is not None and text.startswith(f"{prefix}_")
