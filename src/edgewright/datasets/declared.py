"""Declared: what a bundle says of its inputs and outputs, as values in JSON and never as code."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, ClassVar, Self

from edgewright.core.errors import InputError


@dataclass(frozen=True)
class Declared:
    """Base of frozen dataclasses whose fields are JSON values. ``what`` is its name in errors."""

    what: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """A JSON value; ``from_json`` reads it back."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """What ``to_json`` wrote. Raises InputError for an unknown key, a missing one or an impossible value."""
        known = {field.name: field.default is MISSING for field in fields(cls)}
        unknown = sorted(value.keys() - known.keys())
        lacking = sorted(name for name, needed in known.items() if needed and name not in value)
        if unknown or lacking:
            what = f"has an unknown key {str(unknown[0])[:60]!r}" if unknown else f"lacks {lacking[0]!r}"
            raise InputError(f"the {cls.what} {what}; its keys: {', '.join(sorted(known))}")
        return cls(**value)

    def _check(self, good: bool, field: str, wanted: str) -> None:
        """Raise InputError unless the field is ``good``."""
        if not good:
            raise InputError(f"{self.what}'s {field} must be {wanted}, got {str(getattr(self, field))[:60]!r}")


def is_number(value: Any) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: Any) -> bool:
    """Whether it is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)
