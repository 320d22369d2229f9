"""Limits and usage."""

from __future__ import annotations

from datetime import datetime
from importlib import import_module

from sqlalchemy import select

from edgewright.core.errors import InputError
from edgewright.hub.accounts.tables import Tenant
from edgewright.hub.database import EVERY, Scoped
from edgewright.hub.errors import Spent, TooMany
from edgewright.hub.plans.rules import COUNTED, WORDS, day_of, read_plan, rest_of_day_s
from edgewright.hub.plans.tables import Plan
from edgewright.hub.state import State


def check(session: Scoped, now: datetime, what: str, more: int = 1) -> None:
    """Whether the tenant may have ``more`` of it. One at a time asks this, until its transaction is over. Raises Spent,
    or TooMany where a new day helps."""
    row = plan_of(session)
    limit = None if row is None else row.limits.get(what)
    if limit is None:
        return
    session.take_turn(f"plans/{what}")
    used = usage(session, now, what)
    if used + more <= limit:
        return
    told = f"the plan {row.name!r} allows {limit:,} {WORDS[what]}, and there are {used:,}" if row is not None else ""
    if what.endswith("_a_day"):
        raise TooMany(f"{told}; go on tomorrow (UTC), or ask the hub's operator for more", rest_of_day_s(now))
    raise Spent(f"{told}; remove some, or ask the hub's operator for more")


def usage(session: Scoped, now: datetime, what: str) -> int:
    """How much of it there is."""
    total = 0
    for place in COUNTED.get(what, ()):
        module, _, name = place.partition(":")
        total += getattr(import_module(module), name)(session, day_of(now))
    return total


def plan_of(session: Scoped) -> Plan | None:
    """The tenant's plan, None without limits."""
    return session.get(Plan, (session.tenant, "plan"))


def set_plan(state: State, tenant: str, text: str) -> str:
    """Give the tenant of that name a plan (``read_plan``); a sentence about it. What is there beyond it stays. Raises
    InputError."""
    name, limits = read_plan(text)
    with state.database.read(EVERY) as session:
        found = session.scalars(select(Tenant.id).where(Tenant.name == tenant)).one_or_none()
    if found is None:
        raise InputError(f"there is no tenant {tenant[:64]!r}")
    with state.database.write(found) as session:
        session.merge(Plan(tenant=found, id="plan", name=name, limits=limits, changed=state.clock()))
    told = ", ".join(f"{limits[what]:,} {words}" for what, words in WORDS.items() if what in limits)
    return f"tenant {tenant}: plan {name}: {told or 'no limits'}"
