"""Appending to the audit log, in the transaction of what it tells: nothing is done untold, nothing told that was not
done."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from edgewright.core.digests import canonical_json
from edgewright.hub.accounts.chain import line_digest, origin
from edgewright.hub.accounts.tables import Entry, Head
from edgewright.hub.database import Database, Scoped

_BATCH = 500


@dataclass(frozen=True)
class Actor:
    """Who does something: ``kind`` is user, token, device or hub; ``user`` whose token it is; ``network`` where they
    came from; ``request`` its id."""

    kind: str
    id: str
    name: str
    user: str = ""
    network: str = ""
    request: str = ""


HUB = Actor("hub", "hub", "hub")


def tell(
    session: Scoped, actor: Actor, action: str, subject: str, at: datetime, detail: Mapping[str, Any] | None = None
) -> None:
    """Append "``actor`` did ``action`` to ``subject``". ``detail`` is plain JSON and holds no secret.

    Call it last: the tenant's log is held until the transaction ends.
    """
    head = session.get(Head, session.tenant, with_for_update=True, populate_existing=True)
    assert head is not None, "a tenant is made with its head"  # noqa: S101
    who = {"kind": actor.kind, "id": actor.id, "name": actor.name, "user": actor.user, "network": actor.network}
    entry = Entry(
        number=head.number + 1, at=at, actor=_text(who), action=action, subject=subject, detail=_text(detail or {}),
        request=actor.request,
    )  # fmt: skip
    entry.digest = line_digest(head.digest, line(entry))
    head.number, head.digest = entry.number, entry.digest
    session.add(entry)
    session.flush()


def begin(session: Scoped) -> None:
    """An empty log for a new tenant."""
    session.add(Head(number=0, digest=origin(session.tenant)))


def line(entry: Entry) -> dict[str, Any]:
    """An entry as it is digested, told and exported."""
    return {
        "number": entry.number, "at": spell(entry.at), "actor": json.loads(entry.actor), "action": entry.action,
        "subject": entry.subject, "detail": json.loads(entry.detail), "request": entry.request, "digest": entry.digest,
    }  # fmt: skip


def _text(value: Mapping[str, Any]) -> str:
    return canonical_json(dict(value)).decode()


def spell(at: datetime) -> str:
    """RFC 3339, UTC, with milliseconds: what is kept of a moment."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def lines(database: Database, tenant: str) -> Iterator[dict[str, Any]]:
    """The whole log, oldest first, read in batches: it may be longer than memory."""
    after = 0
    while True:
        with database.read(tenant) as session:
            query = select(Entry).where(Entry.number > after).order_by(Entry.number).limit(_BATCH)
            batch = [line(entry) for entry in session.scalars(query)]
        yield from batch
        if len(batch) < _BATCH:
            return
        after = batch[-1]["number"]
