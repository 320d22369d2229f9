"""Messages as bytes: JSON, read strictly, of at most as many bytes as its kind may have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self, TypeVar

from edgewright.core.digests import canonical_json
from edgewright.core.errors import InputError
from edgewright.core.strict import parse_json


class Message(Protocol):
    """What ``read`` and ``render`` take."""

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """The message of a JSON value. Raises ValueError."""
        ...

    def to_json(self) -> dict[str, Any]:
        """The JSON value."""
        ...


M = TypeVar("M", bound=Message)

LIMITS: Mapping[str, int] = {
    "Enrol": 32 * 2**10,
    "Enrolled": 128 * 2**10,
    "Renew": 16 * 2**10,
    "Sync": 16 * 2**10,
    "Desired": 256 * 2**10,
    "Report": 256 * 2**10,
    "Reports": 256 * 2**10,
    "Receipt": 4 * 2**10,
    "BenchmarkResult": 128 * 2**10,
}
"""Bytes of a message, by its kind: what a listener reads of a body before it gives up."""


def render(message: Message) -> bytes:
    """The message's bytes, the same for equal messages. Raises ValueError when the other side would refuse it."""
    data = canonical_json(message.to_json())
    type(message).from_json(parse_json(data, LIMITS[type(message).__name__]))
    return data


def read(kind: type[M], data: bytes) -> M:
    """The message in ``data``. Raises InputError, its sentence fit for a log or a problem's detail."""
    try:
        return kind.from_json(parse_json(data, LIMITS[kind.__name__]))
    except ValueError as error:
        what = f"the {kind.__name__} message cannot be read: {str(error)[:300]}"
        raise InputError(f"{what}; send it as this release writes it") from error
