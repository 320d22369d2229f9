"""Reading a message's object: what is known is typed and bounded, what is not known is passed over.

Everything raises ValueError naming the object and the key. A default stands for a key that is not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from edgewright.core.digests import canonical_json
from edgewright.core.fields import Fields

T = TypeVar("T")
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+:/-]{0,63}")
"""Names of models, devices, states, counters: 1 to 64 characters that can stand in a URL, a log and a file."""
DIGEST = re.compile(r"[0-9a-f]{64}")
MOST = 2**53
"""Integers that every JSON reader keeps whole (RFC 7493, 2.2)."""
LARGEST = 1e300
"""Numbers of which some can be added."""


class Reader(Fields):
    """``Fields`` that are bounded and may be missing; unknown keys are left."""

    def has(self, key: str) -> bool:
        """Whether the key is there, and not null."""
        return self._left.get(key) is not None

    def string(self, key: str, most: int, default: str | None = None) -> str:
        """A string of at most so many characters."""
        if default is not None and not self.has(key):
            return default
        value = self.text(key)
        if len(value) > most:
            raise ValueError(f"{key!r} of {self._where} has {len(value):,} characters; {most:,} are allowed")
        return value

    def word(self, key: str, default: str | None = None) -> str:
        """A word, or the default."""
        value = self.string(key, 64, default)
        if value != default:
            check_word(value, f"{key!r} of {self._where}")
        return value

    def digest(self, key: str, default: str | None = None) -> str:
        """A SHA-256 as 64 hexadecimal digits, or the default."""
        value = self.string(key, 64, default)
        if value != default and not DIGEST.fullmatch(value):
            raise ValueError(f"{key!r} of {self._where} is no SHA-256")
        return value

    def count(self, key: str, default: int | None = None, most: int = MOST) -> int:
        """An integer from 0 to ``most``."""
        if default is not None and not self.has(key):
            return default
        value = self.whole(key)
        if value > most:
            raise ValueError(f"{key!r} of {self._where} is more than {most:,}")
        return value

    def amount(self, key: str, default: float | None = None, low: float = 0.0, high: float = 1e12) -> float:
        """A number from ``low`` to ``high``."""
        if default is not None and not self.has(key):
            return default
        value = self.number(key)
        if not low <= value <= high:
            raise ValueError(f"{key!r} of {self._where} is not between {low:g} and {high:g}")
        return value

    def switch(self, key: str, default: bool) -> bool:
        """true or false."""
        return self.take(key, bool) if self.has(key) else default

    def inner(self, key: str, read: Callable[[Reader], T], default: T) -> T:
        """The object under ``key``, or the default."""
        return read(Reader(self.take(key, dict), f"{key!r}")) if self.has(key) else default

    def many(self, key: str, most: int, read: Callable[[Reader], T]) -> tuple[T, ...]:
        """At most so many objects of a list; none when it is not there."""
        values = self._list(key, most)
        return tuple(read(Reader(value, f"{key}[{i}]")) for i, value in enumerate(values))

    def strings(self, key: str, most: int, longest: int) -> tuple[str, ...]:
        """At most so many strings of a list; none when it is not there."""
        values = self._list(key, most)
        if not all(type(value) is str and len(value) <= longest for value in values):
            raise ValueError(f"{key!r} of {self._where} holds something that is no string of at most {longest:,}")
        return tuple(values)

    def table(self, key: str, most: int, read: Callable[[Any, str], T]) -> dict[str, T]:
        """At most so many values under words, each read by ``read(value, where)``; none when it is not there."""
        values = self.take(key, dict) if self.has(key) else {}
        if len(values) > most:
            raise ValueError(f"{key!r} of {self._where} has {len(values):,} entries; {most:,} are allowed")
        return {
            check_word(name, f"a name in {key!r}"): read(value, f"{key}[{name!r}]") for name, value in values.items()
        }

    def free(self, key: str, most_bytes: int) -> Mapping[str, Any]:
        """An object that is handed on as it is, of at most so many bytes of JSON; empty when it is not there."""
        value = self.take(key, dict) if self.has(key) else {}
        size = len(canonical_json(value))
        if size > most_bytes:
            raise ValueError(f"{key!r} of {self._where} has {size:,} bytes; {most_bytes:,} are allowed")
        return value

    def _list(self, key: str, most: int) -> list[Any]:
        values = self.take(key, list) if self.has(key) else []
        if len(values) > most:
            raise ValueError(f"{key!r} of {self._where} has {len(values):,} entries; {most:,} are allowed")
        return values


def check_word(value: str, what: str) -> str:
    """``value`` if it is a word. Raises ValueError."""
    if not WORD.fullmatch(value):
        raise ValueError(f"{what} must be 1 to 64 letters, digits or '._+:/-'")
    return value


def whole(value: Any, where: str) -> int:
    """An integer from 0 to 2^53. Raises ValueError."""
    if type(value) is not int or not 0 <= value <= MOST:
        raise ValueError(f"{where} is not an integer from 0 to 2^53")
    return value


def text(value: Any, where: str) -> str:
    """A string of at most 256 characters. Raises ValueError."""
    if type(value) is not str or len(value) > 256:
        raise ValueError(f"{where} is no string of at most 256 characters")
    return value


def real(value: Any, where: str) -> float:
    """A finite number. Raises ValueError."""
    if type(value) not in (int, float) or not abs(value) <= LARGEST:
        raise ValueError(f"{where} is not a number")
    return float(value)
