"""Routes of a tenant's users and of the tenant itself."""

from __future__ import annotations

from typing import Annotated

from fastapi import Response
from sqlalchemy import select

from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.accounts.people import change_user, make_user
from edgewright.hub.accounts.rules import check_reach
from edgewright.hub.accounts.signin import end_sessions, one_time_password
from edgewright.hub.accounts.tables import Tenant, User
from edgewright.hub.accounts.told import NewUser, TenantTold, UserChange, UserMade, UserTold
from edgewright.hub.web.bodies import Id, Router
from edgewright.hub.web.paging import Page, PageQuery, paged
from edgewright.hub.web.short import brief

router = Router(prefix="/api/edge", tags=["users"])
Reads = Annotated[Caller, may("users.read")]
Writes = Annotated[Caller, may("users.write")]


@router.get("/tenant")
def tenant(caller: Annotated[Caller, may("tenant.read")]) -> TenantTold:
    """The caller's tenant."""
    with caller.read() as session:
        return TenantTold.of(session.scalars(select(Tenant)).one())


@router.get("/users", response_model=Page[UserTold])
@brief
def users(caller: Reads, page: PageQuery) -> Response:
    """The tenant's users."""
    return paged(caller.look, UserTold, User.id, page)


@router.post("/users", status_code=201)
def make(body: NewUser, caller: Writes) -> UserMade:
    """Make a user, who may no more than the caller. The one-time password is told here and never again."""
    check_reach(body.roles, caller.may)
    password = one_time_password(caller.state)
    with caller.write() as session:
        user = make_user(caller.state, session, body, password)
        caller.tell(session, "user.made", user.id, {"name": user.name, "roles": user.roles})
        told = UserMade(password=password.text, **UserTold.of(user).model_dump())
        return caller.reply(session, told, 201)


@router.get("/users/{user}")
def show(user: Id, caller: Reads) -> UserTold:
    """One user."""
    with caller.read() as session:
        return UserTold.of(session.find(User, user))


@router.patch("/users/{user}")
def change(user: Id, body: UserChange, caller: Writes) -> UserTold:
    """Give a user other roles, shut one out, or let one in again. The last active owner stays. Neither before nor
    afterwards may the user more than the caller."""
    with caller.write() as session:
        row = session.lock(User, user)
        check_reach((*row.roles, *(body.roles or ())), caller.may)
        change_user(caller.state, session, row, body.roles, body.active)
        caller.tell(session, "user.changed", row.id, {"roles": row.roles, "active": row.active})
        return caller.reply(session, UserTold.of(row))


@router.post("/users/{user}/password", status_code=201)
def reset_password(user: Id, caller: Writes) -> UserMade:
    """A new one-time password for a user who may no more than the caller, told once; every session of theirs ends."""
    password = one_time_password(caller.state)
    with caller.write() as session:
        row = session.lock(User, user)
        check_reach(row.roles, caller.may)
        password.give(row)
        end_sessions(session, row.id)
        caller.tell(session, "user.password-reset", row.id)
        return caller.reply(session, UserMade(password=password.text, **UserTold.of(row).model_dump()), 201)
