"""Logging in by password, and what follows from it."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from edgewright.hub.accounts.audit import Actor, tell
from edgewright.hub.accounts.rules import pause_s
from edgewright.hub.accounts.tables import Login, Tenant, Token, User
from edgewright.hub.database import EVERY, Scoped
from edgewright.hub.errors import TooMany, Unknown
from edgewright.hub.secrets import Credential
from edgewright.hub.state import State

SESSION = timedelta(hours=12)
ONE_TIME = timedelta(days=3)
_NOBODIES = 4096
_WRONG = "the name or the password is wrong, or it is another tenant's"


def find_tenant(state: State, name: str) -> str:
    """The id of the tenant with this name; of the only one there is, when it is "". Raises Unknown in the words of a
    wrong password: names of tenants cannot be tried."""
    query = select(Tenant.id).limit(2)
    with state.database.read(EVERY) as session:
        found = session.scalars(query.where(Tenant.name == name) if name else query).all()
    if len(found) != 1:
        raise Unknown(_WRONG)
    return found[0]


def log_in(state: State, tenant: str, name: str, password: str, actor: Actor) -> tuple[Credential, User]:
    """A session for whom this password is right, in the tenant of that name ("": the only one there is). Raises
    Unknown, TooMany, which nobody can tell from those of names that are not there. A try for one that is there is in
    the audit log."""
    now, nobodies, asked = state.clock(), state.part("accounts.nobodies", _Nobodies), (tenant, name.casefold())
    user = _user(state, *asked)
    failures, failed = nobodies.get(asked) if user is None else (user.failures, user.failed)
    if failed is not None:
        wait = pause_s(failures) - (now - failed).total_seconds()
        if wait > 0:
            raise TooMany("too many wrong passwords for this name; wait", wait)
    usable = user is not None and user.active and (user.password_until is None or user.password_until > now)
    right = state.passwords.verify(user.password if user is not None and usable else None, password)
    if user is None:
        nobodies.failed(asked, failures + 1, now)
        raise Unknown(_WRONG)
    fresh = state.passwords.hash(password) if right and state.passwords.outdated(user.password or "") else user.password
    with state.database.write(user.tenant) as session:
        user, known = session.lock(User, user.id), user.password
        right = right and user.active and user.password == known  # as it was when it was looked at
        who = Actor("user", user.id, user.name, user.id, actor.network, actor.request)
        if not right:
            user.failures, user.failed = user.failures + 1, now
            tell(session, who, "login.refused", user.id, now, {"failures": user.failures})
            made = None
        else:
            user.failures, user.failed = 0, None
            user.password = fresh
            made = open_login(state, session, user)
            tell(session, who, "login.made", user.id, now, {"by": "password"})
    if made is None:
        raise Unknown(_WRONG)
    return made, user


def _user(state: State, tenant: str, name: str) -> User | None:
    try:
        place = find_tenant(state, tenant)
    except Unknown:
        return None
    with state.database.read(place) as session:
        return session.scalar(select(User).where(User.name == name))


class _Nobodies:
    """Wrong passwords for names that nobody has, the latest some thousand: a pause comes for them like for any other,
    so that it does not tell which names there are. From any thread."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], tuple[int, datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, asked: tuple[str, str]) -> tuple[int, datetime | None]:
        with self._lock:
            return self._known.get(asked, (0, None))

    def failed(self, asked: tuple[str, str], failures: int, now: datetime) -> None:
        with self._lock:
            self._known[asked] = failures, now
            self._known.move_to_end(asked)
            if len(self._known) > _NOBODIES:
                self._known.popitem(last=False)


def open_login(state: State, session: Scoped, user: User) -> Credential:
    """A new session of this user, in the transaction that found out who they are."""
    credential, now = Credential.new("log", session.tenant), state.clock()
    session.add(Login(id=credential.id, user=user.id, digest=credential.digest, made=now, until=now + SESSION))
    session.flush()
    return credential


def set_password(session: Scoped, user: User, hashed: str, kept: str) -> None:
    """A password of the user's own choice; every session of theirs ends but the one with the id ``kept``."""
    user.password, user.password_until = hashed, None
    end_sessions(session, user.id, kept)


@dataclass(frozen=True)
class OneTime:
    """A random password that has to be replaced at the first login; ``text`` is shown once."""

    text: str
    hash: str
    until: datetime

    def give(self, user: User) -> None:
        """Make it the user's."""
        user.password, user.password_until = self.hash, self.until
        user.failures, user.failed = 0, None


def one_time_password(state: State) -> OneTime:
    """A new one, which holds for ONE_TIME. Made before the transaction: hashing takes long, and writers wait."""
    text = "-".join(secrets.token_hex(3) for _ in range(4))
    return OneTime(text, state.passwords.hash(text), state.clock() + ONE_TIME)


def end_sessions(session: Session, user: str, kept: str = "") -> None:
    """End every session of this user but the one with the id ``kept``."""
    for login in session.scalars(select(Login).where(Login.user == user)).all():
        if login.id != kept:
            session.delete(login)


def revoke_tokens(state: State, session: Session, user: str) -> None:
    """Revoke every token of this user."""
    session.execute(update(Token).where(Token.user == user, Token.revoked.is_(None)).values(revoked=state.clock()))
