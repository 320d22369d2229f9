"""Strict JSON: one value, one reading. For files that somebody else may have written."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

_PLAIN = 256
"""So few lists and objects are nested no deeper than any reader bears."""


def parse_json(data: bytes, limit_bytes: int, unsigned: bool = False) -> Any:
    """The JSON value in ``data``, read the one way every parser would read it.

    Raises ValueError, its message a clause fit for a sentence, on more than ``limit_bytes``, bytes that are not UTF-8,
    duplicated keys, NaN and infinities (spelled out or by overflow), integers of more than 64 bits (``unsigned``: those
    of 64 bits without a sign are let through), lone surrogates and nesting beyond the interpreter's bound. (RFC 8259
    leaves most of it to the implementation; RFC 7493 forbids it.)
    """
    if len(data) > limit_bytes:
        raise ValueError(f"it has {len(data):,} bytes, more than the {limit_bytes:,} allowed")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_natural if unsigned else _whole,
        )
        if b"\\u" in data or data.count(b"[") + data.count(b"{") > _PLAIN:
            # Only an escape can spell a surrogate; and what cannot be written again is nested too deeply.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8") from error
    except UnicodeEncodeError as error:
        raise ValueError("it holds a lone surrogate") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON ({error.msg} at character {error.pos})") from error
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice[:60]!r} appears twice")
    return value


def _no_constant(token: str) -> Any:
    raise ValueError(f"it holds {token}, which is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]} is out of range")
    return value


def _natural(text: str) -> int:
    return _whole(text, 2**64)


def _whole(text: str, most: int = 2**63) -> int:
    value = int(text) if len(text) <= 20 else 2**64
    if not -(2**63) <= value < most:
        raise ValueError(f"the number {text[:20]} is out of range")
    return value


def texts(value: Any) -> str:
    """All texts in a JSON value, keys too."""
    if isinstance(value, dict):
        return "".join(texts(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return "".join(map(texts, value))
    return value if isinstance(value, str) else ""
