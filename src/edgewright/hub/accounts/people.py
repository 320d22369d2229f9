"""Tenants and users: making, changing, shutting out."""

from __future__ import annotations

from collections.abc import Collection

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import select

from edgewright.core.errors import InputError
from edgewright.hub.accounts.audit import HUB, begin, tell
from edgewright.hub.accounts.rules import check_owners, check_roles
from edgewright.hub.accounts.signin import OneTime, end_sessions, one_time_password, revoke_tokens
from edgewright.hub.accounts.tables import Tenant, User
from edgewright.hub.accounts.told import NewUser
from edgewright.hub.database import EVERY, Scoped
from edgewright.hub.errors import Conflict
from edgewright.hub.ids import new_id
from edgewright.hub.state import State
from edgewright.hub.web.bodies import Name

_NAME: TypeAdapter[str] = TypeAdapter(Name)


def make_tenant(state: State, name: str, owner: str, development: bool = False) -> tuple[str, str]:
    """A new tenant with its first owner: its id, and the owner's one-time password. Raises Conflict, InputError."""
    try:
        name = _NAME.validate_python(name)
    except ValidationError as error:
        raise InputError("a tenant's name has 1 to 120 printable characters, some of which can be read") from error
    tenant, now = new_id("ten"), state.clock()
    user = User(id=new_id("usr"), name=owner.casefold(), shown=owner, roles=["owner"], made=now)
    password = one_time_password(state)
    password.give(user)
    with state.database.read(EVERY) as session:
        if session.scalar(select(Tenant.id).where(Tenant.name == name)) is not None:
            raise Conflict(f"there is a tenant {name[:60]!r}; choose another name")
    with state.database.write(tenant) as session:
        session.add(Tenant(id=tenant, name=name, development=development, made=now))
        session.flush()
        begin(session)
        session.add(user)
        session.flush()
        tell(session, HUB, "tenant.made", tenant, now, {"name": name, "development": development})
        tell(session, HUB, "user.made", user.id, now, {"name": user.name, "roles": user.roles})
    return tenant, password.text


def make_first_tenant(state: State) -> str | None:
    """The tenant ``main`` with its owner ``owner``, where there is none yet: the one-time password, or None."""
    with state.database.read(EVERY) as session:
        if session.scalar(select(Tenant.id).limit(1)) is not None:
            return None
    try:
        return make_tenant(state, "main", "owner", development=False)[1]
    except Conflict:
        return None  # another worker was first


def reset_password(state: State, tenant_name: str, user_name: str) -> str:
    """A new one-time password for a user, from the machine the hub runs on. Raises InputError when there is none."""
    with state.database.read(EVERY) as session:
        tenant = session.scalar(select(Tenant.id).where(Tenant.name == tenant_name))
    if tenant is None:
        raise InputError(f"there is no tenant {tenant_name[:60]!r}")
    password = one_time_password(state)
    with state.database.write(tenant) as session:
        user = session.scalar(select(User).where(User.name == user_name.casefold()))
        if user is None:
            raise InputError(f"there is no user {user_name[:60]!r} in {tenant_name}")
        password.give(user)
        user.active = True
        end_sessions(session, user.id)
        tell(session, HUB, "user.password-reset", user.id, state.clock(), {"by": "the hub's own machine"})
    return password.text


def make_user(state: State, session: Scoped, wanted: NewUser, password: OneTime) -> User:
    """A new user with this one-time password. Raises InputError, Conflict."""
    name = wanted.name.casefold()
    if session.scalar(select(User.id).where(User.name == name)) is not None:
        raise Conflict(f"there is a user {name[:60]!r}; choose another name")
    user = User(name=name, shown=wanted.shown or wanted.name, roles=check_roles(wanted.roles), made=state.clock())
    password.give(user)
    session.add(user)
    session.flush()
    return user


def change_user(
    state: State, session: Scoped, user: User, roles: Collection[str] | None = None, active: bool | None = None
) -> None:
    """Other roles, or shut out and let in again; who is shut out has no session or token left. Raises Conflict."""
    # All owners' rows are held: two who shut each other out at once do not both succeed.
    query = select(User).where(User.active).order_by(User.id).with_for_update()
    owners = {one.id for one in session.scalars(query) if "owner" in one.roles}
    made = user.roles if roles is None else check_roles(roles)
    stays = user.active if active is None else active
    check_owners(owners, user.id, stays and "owner" in made)
    user.roles, user.active = made, stays
    if not stays:
        end_sessions(session, user.id)
        revoke_tokens(state, session, user.id)
