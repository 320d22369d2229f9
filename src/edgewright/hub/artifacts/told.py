"""What the routes of artifacts take and tell."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from edgewright.hub.web.bodies import Answer, Body, Id, Moment, Told

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Kind = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
_D = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
_ART, _JOB, _USR = (f"{kind}_01jd7x3w9q4e5r6t7y8a9b0c1d" for kind in ("art", "job", "usr"))
_WHEN, _THEN = "2026-11-22T09:30:00.000Z", "2026-12-22T09:30:00.000Z"


class NewArtifact(Body):
    """``kind``: one of /api/edge/artifacts/kinds; of a ``bundle``, by its digest, or of a ``job`` (its report).
    ``days``: how long it is kept."""

    kind: Kind
    bundle: Digest | None = None
    job: Id | None = None
    days: Annotated[int, Field(ge=1, le=365)] = 30

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"bundle": _D, "kind": "python"}, {"job": _JOB, "kind": "report"}]}
    )


class LimitTold(Answer):
    """The most that a platform takes: ``size_bytes`` of ``what``; ``source``: who says so."""

    size_bytes: int
    what: str
    source: str


class ArtifactTold(Told):
    """A file to download until ``until``: ``length`` bytes with the SHA-256 ``file``; unpacked ``files`` files of
    ``size_bytes`` together, which ``fits`` the ``limit`` of the platform or not. ``verified``: something of it was run
    in Edgewright's tests; its README.md says what. ``release``: of Edgewright that made it."""

    id: str
    kind: str
    bundle: str | None
    job: str | None
    name: str
    version: str
    release: str
    filename: str
    file: str
    length: int
    files: int
    size_bytes: int
    fits: bool
    verified: bool
    limit: LimitTold | None
    by: str
    made: Moment
    until: Moment

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _ART, "kind": "python", "bundle": _D, "job": None, "name": "digits", "version": "1.2.0",
                    "release": "0.1.0", "filename": "digits-1.2.0-python.zip", "file": _D, "length": 48_213,
                    "files": 14, "size_bytes": 45_871, "fits": True, "verified": True, "limit": None, "by": _USR,
                    "made": _WHEN, "until": _THEN,
                }
            ]
        }
    )  # fmt: skip

    also = ("facts", "object")

    @classmethod
    def adapt(cls, row: dict[str, Any]) -> dict[str, Any]:
        """With its facts, and the file's digest out of its place in the store."""
        of = {"bundle": row["bundle"] or None, "job": row["job"] or None}
        return {**row, **row["facts"], **of, "file": row["object"].partition("/")[2]}


class KindTold(Answer):
    """A kind of artifact. ``of``: what it is made of; ``needs``: what whoever uses it needs; ``tested``: what our tests
    do with it ("": nothing of it was ever run), ``untested``: what they do not."""

    kind: str
    of: Literal["bundle", "job"]
    title: str
    needs: str
    verified: bool
    tested: str
    untested: str
    limit: LimitTold | None


class Kinds(Answer):
    """All there are."""

    items: list[KindTold]


class NewLink(Body):
    """``hours``: how long the link holds; the artifact's own end comes first."""

    hours: Annotated[int, Field(ge=1, le=720)] = 24

    model_config = ConfigDict(json_schema_extra={"examples": [{"hours": 24}]})


class Link(Answer):
    """Whoever has ``url`` can download the artifact until ``until``, without a credential."""

    url: str
    until: Moment
