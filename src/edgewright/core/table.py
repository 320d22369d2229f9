"""A lazily resolved table of extensions: name -> "module:attribute", third parties by entry point."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from edgewright.core.errors import InputError


class Table(Mapping[str, Any]):
    """``table[name]`` imports and returns the extension. Iterating imports nothing.

    ``noun`` is what an error calls an entry; third parties register under the entry-point group
    ``edgewright.<group>``. Ours win over theirs of the same name.
    """

    def __init__(self, noun: str, group: str, own: Mapping[str, str]) -> None:
        self._noun, self._group, self._own = noun, group, dict(own)
        self._theirs: dict[str, str] | None = None

    def _all(self) -> dict[str, str]:
        if self._theirs is None:
            from importlib.metadata import entry_points  # an eighth of what a device imports before it serves

            self._theirs = {e.name: e.value for e in entry_points(group=f"edgewright.{self._group}")}
        return {**self._theirs, **self._own}

    def __getitem__(self, name: str) -> Any:
        places = self._own if name in self._own else self._all()
        if name not in places:
            raise InputError(f"no {self._noun} is named {name!r}; there are: {', '.join(sorted(places))}")
        module, _, attribute = places[name].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def __contains__(self, name: object) -> bool:
        return name in self._all()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._all()))

    def __len__(self) -> int:
        return len(self._all())
