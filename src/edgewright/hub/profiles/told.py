"""What the routes of profiles take and tell."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, StringConstraints

from edgewright.hub.profiles.making import template
from edgewright.hub.web.bodies import Answer, Body, Id, Moment, Told
from edgewright.hub.web.paging import Page

Ref = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
"""A template's name, or the id or name of the tenant's own profile."""
Toml = Annotated[str, StringConstraints(min_length=1, max_length=65536)]
_WHEN = "2026-11-22T09:30:00.000Z"


class NewProfile(Body):
    """One of three: ``toml``, a target's file (``edgewright targets detect -o my.toml`` writes one); ``target``, the
    same as a document; or ``device``, an enrolled one, and ``like``, the template whose figures it has where it told
    none."""

    toml: Toml | None = None
    target: dict[str, Any] | None = None
    device: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    like: Ref | None = None
    name: Ref | None = None

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"device": "press-1", "like": "raspberry-pi-5", "name": "press-line"}]}
    )


class ProfileChange(Body):
    """What is left out stays. ``figures``: ``{"ram_model": {"value": 1e9, "unit": "B", "source": "measured"}}``."""

    toml: Toml | None = None
    target: dict[str, Any] | None = None
    name: Ref | None = None
    title: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    figures: dict[str, dict[str, Any]] | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"title": "The presses of line 3"}]})


class ProfileTold(Told):
    """A device class. ``id``: null for a template; ``target``: its document, every figure with its unit and source."""

    id: str | None
    name: str
    title: str
    origin: str
    target: dict[str, Any]
    made: Moment | None
    changed: Moment | None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "prf_01m80bnjzbrvns4jbpr1xhx2e6", "name": "press-line", "title": "press-1 (aarch64)",
                    "origin": "device press-1", "target": {"schema": 1, "name": "press-line"}, "made": _WHEN,
                    "changed": _WHEN,
                }
            ]
        }
    )  # fmt: skip

    @classmethod
    def adapt(cls, row: dict[str, Any]) -> dict[str, Any]:
        """With the title that its target has."""
        return {**row, "title": str(row["target"]["title"])}

    @classmethod
    def shipped(cls, name: str) -> Self:
        """One that ships."""
        found = template(name)
        return cls(
            id=None, name=found.name, title=found.title, origin="template", target=found.to_json(), made=None,
            changed=None,
        )  # fmt: skip


class Profiles(Page[ProfileTold]):
    """The tenant's own in ``items``; ``templates`` with the first page."""

    templates: list[ProfileTold]


class FitTold(Answer):
    """A version on a device class, predicted. ``verdict``; ``problems``: why it does not fit; ``remedies``: what would
    help; ``shares``: of the memory and the storage there; ``latency``: of the model as it is; ``engine`` and
    ``number_types``: what to try first."""

    profile: str
    title: str
    verdict: Literal["fits", "tight", "does not fit"]
    problems: list[str]
    remedies: list[str]
    shares: dict[str, float]
    latency: dict[str, Any]
    accelerated: list[dict[str, Any]]
    engine: dict[str, Any]
    also: list[str]
    number_types: list[dict[str, Any]]
    recipe: list[dict[str, Any]]
    framework: dict[str, Any]


class FitsTold(Answer):
    """One row of the matrix of models and devices."""

    version: Id
    fits: list[FitTold]
