"""Reading a JSON object somebody else wrote: every key required, typed and used up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class Fields:
    """The keys of one object, taken one by one. Everything raises ValueError naming ``where`` and the key."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{where} is not an object")
        self._left, self._where = dict(value), where

    def take(self, key: str, kind: type[T]) -> T:
        """The value of ``key``, which must be exactly a ``kind``."""
        if key not in self._left:
            raise ValueError(f"{self._where} has no {key!r}")
        value = self._left.pop(key)
        if type(value) is not kind:  # and not isinstance: True is no number
            raise ValueError(f"{key!r} of {self._where} is not a {kind.__name__}")
        return value

    def end(self) -> None:
        """Raise unless every key was taken."""
        if self._left:
            raise ValueError(f"{self._where} has the unknown key {min(self._left)[:60]!r}")

    def rest(self) -> dict[str, Any]:
        """All that is left; the keys are names, not fields."""
        left, self._left = self._left, {}
        return left

    def optional(self, key: str, kind: type[T]) -> T | None:
        """The value of ``key``, which must be exactly a ``kind`` or null."""
        if key in self._left and self._left[key] is None:
            del self._left[key]
            return None
        return self.take(key, kind)

    def text(self, key: str) -> str:
        """A string."""
        return self.take(key, str)

    def optional_text(self, key: str) -> str | None:
        """A string, or null."""
        return self.optional(key, str)

    def whole(self, key: str) -> int:
        """An integer of at least 0."""
        value = self.take(key, int)
        if value < 0:
            raise ValueError(f"{key!r} of {self._where} is negative")
        return value

    def number(self, key: str) -> float:
        """A finite number."""
        if type(self._left.get(key)) is int:
            return float(self.take(key, int))
        return self.take(key, float)

    def optional_number(self, key: str) -> float | None:
        """A finite number, or null."""
        if key in self._left and self._left[key] is None:
            del self._left[key]
            return None
        return self.number(key)

    def texts(self, key: str) -> list[str]:
        """A list of strings."""
        values = self.take(key, list)
        if not all(type(value) is str for value in values):
            raise ValueError(f"{key!r} of {self._where} holds something that is not a string")
        return values

    def named(self, key: str) -> dict[str, Any]:
        """An object whose keys are names, not fields."""
        return self.take(key, dict)

    def mappings(self, key: str) -> list[dict[str, Any]]:
        """A list of objects that are kept as they are."""
        values = self.take(key, list)
        if not all(type(value) is dict for value in values):
            raise ValueError(f"{key!r} of {self._where} holds something that is not an object")
        return values

    def optional_mapping(self, key: str) -> dict[str, Any] | None:
        """An object that is kept as it is, or null."""
        return self.optional(key, dict)

    def one(self, key: str, read: Callable[[Fields], T]) -> T:
        """The object under ``key``, read to its end."""
        return _whole(Fields(self.take(key, dict), f"{key!r}"), read)

    def items(self, key: str, read: Callable[[Fields], T]) -> tuple[T, ...]:
        """The objects in a list, each read to its end."""
        values = enumerate(self.take(key, list))
        return tuple(_whole(Fields(value, f"{key}[{i}]"), read) for i, value in values)


def each(values: Mapping[str, Any], where: str, read: Callable[[Fields], T]) -> dict[str, T]:
    """The objects under names, each read to its end."""
    return {name: _whole(Fields(value, f"{where} {name!r}"), read) for name, value in values.items()}


def _whole(fields: Fields, read: Callable[[Fields], T]) -> T:
    value = read(fields)
    fields.end()
    return value
