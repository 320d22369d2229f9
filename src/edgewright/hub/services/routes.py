"""Routes of the services page."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.errors import Conflict
from edgewright.hub.services.tables import ServicesPage
from edgewright.hub.web.bodies import Answer, Body, Moment, Router, printable

router = Router(prefix="/api/edge/services", tags=["services"])


def _lines(text: str) -> str:
    made = text.replace("\r\n", "\n")
    printable(made.replace("\n", "").replace("\t", ""))
    return made


class NewText(Body):
    """The page's text: lines of plain words; addresses in it become links. ``revision``: the one that was changed (0:
    there was none), so that two who write at once do not undo each other."""

    text: Annotated[str, Field(max_length=20_000), AfterValidator(_lines)]
    revision: Annotated[int, Field(ge=0)]

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "On duty: Ann, 555-0100", "revision": 0}]}
    )  # fmt: skip


class TextTold(Answer):
    """The page. ``changed``: null for one that nobody has written yet."""

    text: str
    revision: int
    by: str
    changed: Moment | None


@router.get("")
def services(caller: Annotated[Caller, may("tenant.read")]) -> TextTold:
    """What the tenant's people should know."""
    with caller.read() as session:
        row = session.get(ServicesPage, (session.tenant,))
        return _told(row)


@router.put("")
def write(body: NewText, caller: Annotated[Caller, may("tenant.write")]) -> TextTold:
    """Write the page of services anew."""
    with caller.write() as session:
        row = session.get(ServicesPage, (session.tenant,), with_for_update=True) or ServicesPage(revision=0)
        if row.revision != body.revision:
            raise Conflict("somebody else changed it meanwhile; read it again, and put your words in")
        row.text, row.revision, row.by, row.changed = body.text, row.revision + 1, caller.actor.name, caller.now
        session.add(row)
        session.flush()
        caller.tell(session, "services.written", "services", {"revision": row.revision})
        return caller.reply(session, _told(row))


def _told(row: ServicesPage | None) -> TextTold:
    if row is None:
        return TextTold(text="", revision=0, by="", changed=None)
    return TextTold(text=row.text, revision=row.revision, by=row.by, changed=row.changed)
