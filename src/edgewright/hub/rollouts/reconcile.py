"""Reconcile: a thread that brings every tenant's rollouts to where the rules want them, again and again.

One transaction for each rollout and round. Wherever it is killed, the next round (of this process or another) goes on.
With several workers one has a rollout for some seconds at a time (``Rollout.worker``); two at once would do no harm,
only the same work twice.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from sqlalchemy import ColumnElement, select
from sqlalchemy.exc import SQLAlchemyError

from edgewright.core.closing import Closing
from edgewright.core.errors import EdgewrightError, StorageError
from edgewright.hub.database import EVERY, Scoped
from edgewright.hub.fleet.tables import Device
from edgewright.hub.ids import new_id
from edgewright.hub.rollouts import gates, making
from edgewright.hub.rollouts.around import around
from edgewright.hub.rollouts.clocks import is_due
from edgewright.hub.rollouts.rules import OVER
from edgewright.hub.rollouts.settling import Settler
from edgewright.hub.rollouts.tables import Rollout
from edgewright.hub.state import State

EVERY_S = 0.5
_REST = 3.0
_NEWCOMERS_S = 10.0
_LEASE_S = 15.0
_ILL = frozenset({"halted", "rolling_back", "rolled_back"})
_LOG = logging.getLogger("edgewright.hub")


@dataclass(frozen=True)
class Work:
    """What a rollout needs in this round."""

    id: str
    look: bool
    newcomers: bool


class Reconciler(Closing):
    """Reconciles while its block lasts. ``round`` does it once."""

    def __init__(self, state: State) -> None:
        self._state, self._over = state, threading.Event()
        self._worker = new_id("wrk")
        self._thread = threading.Thread(target=self._run, name="edgewright-rollouts", daemon=True)
        self._extended: datetime | None = None
        up_since(state)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        """End the thread; the round that it is in is finished."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        pause = EVERY_S
        while not self._over.wait(pause):
            began = time.monotonic()
            try:
                self.round()
            except Exception as error:  # noqa: BLE001 - logged: the thread lives on
                _warn("rollouts could not be looked at, and are looked at again", error)
            pause = max(EVERY_S, _REST * (time.monotonic() - began))  # the rest of the time is for devices

    def round(self) -> int:
        """Every tenant's rollouts, once; how many of them changed."""
        now = self._state.clock()
        passed = 0.0 if self._extended is None else (now - self._extended).total_seconds()
        newcomers = self._extended is None or not 0 <= passed < _NEWCOMERS_S
        if newcomers:
            self._extended = now
        with self._state.database.read(EVERY) as session:
            tenants = session.scalars(select(Rollout.tenant).where(*_alive()).distinct()).all()
        return sum(self._apart(tenant, now, newcomers) for tenant in sorted(tenants))

    def _apart(self, tenant: str, now: datetime, newcomers: bool) -> int:
        try:
            return self._tenant(tenant, now, newcomers)
        except (SQLAlchemyError, StorageError):
            raise  # the database: the others would fare no better
        except Exception as error:  # noqa: BLE001 - logged: other tenants' go on
            _warn(f"rollouts of {tenant} could not be looked at, and are looked at again", error)
            return 0

    def _tenant(self, tenant: str, now: datetime, newcomers: bool) -> int:
        with self._state.database.read(tenant) as session:
            # What a group runs comes before what it is about to run: a newcomer is given the one before the other.
            query = select(Rollout).where(*_alive()).order_by(Rollout.state != "completed", Rollout.id.desc())
            found = [self._work(session, row, now, newcomers) for row in session.scalars(query).all()]
        changed = 0
        for work in found:
            if work is None or self._over.is_set():
                continue
            try:
                changed += self._one(tenant, work, now)
            except Exception as error:  # noqa: BLE001 - logged: others go on
                _warn(f"rollout {work.id} could not be settled, and is tried again", error)
        return changed

    def _work(self, session: Scoped, row: Rollout, now: datetime, newcomers: bool) -> Work | None:
        at = now.timestamp()
        if row.worker != self._worker and at < row.held_until <= at + _LEASE_S:
            return None
        comes = newcomers and not row.superseded_by and bool(making.newcomers(session, row))
        looks = gates.due(row, at)
        stirred = bool(row.order) or bool(row.superseded_by) or is_due(row.due, at)
        if row.state == "awaiting_signature":
            stirred = all(around(self._state).signed(session, digest) for digest in row.bundles) or stirred
        if not (stirred or comes or looks or _told(session, row, now)):
            return None
        return Work(row.id, looks, comes)

    def _one(self, tenant: str, work: Work, now: datetime) -> int:
        look = None
        if work.look:
            with self._state.database.read(tenant) as session:
                row = session.find(Rollout, work.id)
                if gates.due(row, now.timestamp()):
                    look = gates.look(session, around(self._state), row, now)
        with self._state.database.write(tenant) as session:
            held = _taken(session, work.id)
            if held is None:
                return 0
            held.worker, held.held_until = self._worker, now.timestamp() + _LEASE_S
            settler = Settler(
                session, around(self._state), now, up_since(self._state), look=look, newcomers=work.newcomers
            )
            before, changed = held.state, int(settler.settle(held))
            ill = held.state != before and held.state in _ILL
        if ill:
            self._state.stir.set()
        return changed


def _warn(what: str, error: Exception) -> None:
    """A line in the log; where the fault is ours with all that is known of it."""
    known = isinstance(error, EdgewrightError | SQLAlchemyError)
    _LOG.warning("%s: %s", what, error, exc_info=None if known else error)


def up_since(state: State) -> float:
    """Since when this process has been listening, s since 1970: nobody is called silent for the time before."""
    return state.part("rollouts.up_since", lambda: state.clock().timestamp())


def _alive() -> tuple[ColumnElement[bool], ...]:
    ended = Rollout.state.in_((*OVER, "draft", "approval"))
    quiet = (Rollout.state == "completed") & Rollout.superseded_by.is_not(None) & Rollout.due.is_(None)
    return ~ended, ~quiet


def _taken(session: Scoped, rollout: str) -> Rollout | None:
    """The row, held until the transaction ends; None while another worker is at it."""
    how = {"skip_locked": True}
    return session.get(Rollout, (session.tenant, rollout), with_for_update=how, populate_existing=True)


def _told(session: Scoped, row: Rollout, now: datetime) -> bool:
    """Whether a device of the rollout said something new since its rows were brought up to date."""
    query = select(Device.name).where(
        Device.rollout == row.id, Device.changed > row.heard, Device.changed <= now
    )  # fmt: skip
    return session.scalar(query.limit(1)) is not None
