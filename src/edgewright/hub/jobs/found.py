"""What a search found, as its report says: read from a process that read strangers' files, so nothing of it is taken on
trust."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgewright.core.errors import EdgewrightError

Text = Annotated[str, Field(max_length=4000, pattern=r"^[^\x00]*$")]
Word = Annotated[str, Field(max_length=120, pattern=r"^[^\x00]*$")]
Id = Annotated[str, Field(pattern="^[0-9a-f]{12}$")]
Number = Annotated[float, Field(allow_inf_nan=False)]
_MOST = 2000


class _Limit(BaseModel):
    model_config = ConfigDict(strict=True)

    metric: Word
    sense: Literal["max", "min"]
    limit: Number
    unit: Word


class _Binding(_Limit):
    value: Number | None
    slack: Number | None
    kept: bool


class _Data(BaseModel):
    notes: Annotated[list[Text], Field(max_length=200)] = []


class Found(BaseModel):
    """The parts of a report that its job tells; times in s."""

    model_config = ConfigDict(strict=True)

    best: Id | None
    pareto: Annotated[list[Id], Field(max_length=_MOST)]
    nearest: Annotated[list[Id], Field(max_length=_MOST)]
    binding: _Binding | None
    stopped: Text
    elapsed_s: Number
    first_feasible_s: Number | None
    constraints: Annotated[list[_Limit], Field(max_length=100)]
    notes: Annotated[list[Text], Field(max_length=200)]
    data: _Data = Field(exclude=True)


def found(report: Any) -> dict[str, Any]:
    """A job's result, without a bundle yet. Raises EdgewrightError."""
    try:
        read = Found.model_validate(report)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))[:80]
        raise EdgewrightError(f"its report cannot be read ({where})") from None
    told: Mapping[str, Any] = read.model_dump()
    return {**told, "bundle": None, "notes": [*read.notes, *read.data.notes]}
