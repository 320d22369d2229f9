"""Memo: who was let in within the last second, for requests that change nothing.

A page asks for a dozen things at once, each with the same credential. What changes users, logins or tokens in this
process is seen at once; what another process changed, a second later. Requests that change something look themselves.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session

from edgewright.hub.accounts.tables import Login, Token, User
from edgewright.hub.database import Scoped

if TYPE_CHECKING:
    from edgewright.hub.accounts.access import Caller

HOLDS_S = 1.0
_MOST = 4096
_KINDS = (Login, Token, User)
_TOUCHED = "accounts.touched"


class _Changes:
    """Counts transactions of this process that changed who may what."""

    def __init__(self) -> None:
        self.seen = 0


CHANGES = _Changes()


class Memo:
    """Of one process and state. From any thread."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[float, int, Caller]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, shown: str) -> Caller | None:
        """Who that credential was, if it still is."""
        found = self._known.get(shown)
        if found is None or found[0] <= time.monotonic() or found[1] != CHANGES.seen:
            return None
        return found[2]

    def keep(self, shown: str, caller: Caller, seen: int) -> None:
        """``seen``: CHANGES before it was looked up."""
        with self._lock:
            self._known[shown] = (time.monotonic() + HOLDS_S, seen, caller)
            self._known.move_to_end(shown)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)


def _flushed(session: Session, _: Any) -> None:
    if any(isinstance(row, _KINDS) for row in (*session.new, *session.dirty, *session.deleted)):
        session.info[_TOUCHED] = True


def _executed(state: ORMExecuteState) -> None:
    mapper = state.bind_mapper
    if (state.is_update or state.is_delete) and mapper is not None and mapper.class_ in _KINDS:
        state.session.info[_TOUCHED] = True


def _committed(session: Session) -> None:
    if session.info.pop(_TOUCHED, False):
        CHANGES.seen += 1


event.listen(Scoped, "after_flush", _flushed)
event.listen(Scoped, "do_orm_execute", _executed)
event.listen(Scoped, "after_commit", _committed)
