"""Routes of one's own account: logging in and out, who one is, the password, tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Request, Response
from pydantic import ConfigDict, Field, SecretStr
from sqlalchemy import select

from edgewright.hub.accounts.access import COOKIE, Caller, actor_of, check_same_site, may
from edgewright.hub.accounts.rules import check_password, check_scopes
from edgewright.hub.accounts.signin import SESSION, log_in, set_password
from edgewright.hub.accounts.tables import Login, Tenant, Token, User
from edgewright.hub.accounts.told import Account, LoggedIn, NewToken, TokenMade, TokenTold
from edgewright.hub.errors import Forbidden
from edgewright.hub.secrets import Credential
from edgewright.hub.state import state_of
from edgewright.hub.web.bodies import Body, Id, Name, Router, Words
from edgewright.hub.web.paging import Page, PageQuery, paged

router = Router(prefix="/api/edge", tags=["account"])
Here = Annotated[Caller, may(with_one_time_password=True)]


class Password(Body):
    """What one logs in with. ``tenant`` may be left out where the hub has one only."""

    tenant: Annotated[Words, Field(max_length=120)] = ""
    name: Name
    password: Annotated[SecretStr, Field(max_length=1024)]

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "owner", "password": "four unrelated words here"}]}
    )


class NewPassword(Body):
    """``now`` is the password that holds now, so that a page left open does not lose the account."""

    now: Annotated[SecretStr, Field(max_length=1024)]
    new: Annotated[SecretStr, Field(max_length=1024)]

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"now": "the one so far", "new": "four unrelated words here"}]}
    )


@router.post("/login", status_code=201)
def login(body: Password, request: Request, response: Response) -> LoggedIn:
    """Log in by password: a session as a cookie for browsers, which is also told as text to be sent as a bearer
    token."""
    check_same_site(request)
    state, actor = state_of(request), actor_of(request)
    state.tries.take(actor.network)
    credential, user = log_in(state, body.tenant, body.name, body.password.get_secret_value(), actor)
    set_cookie(request, response, credential)
    until = state.clock() + SESSION
    return LoggedIn(user=user.id, session=credential.text, until=until, must_change=user.password_until is not None)


def is_secure(request: Request) -> bool:
    """Whether browsers reach this hub by https, where a proxy ends that, too."""
    return "https" in (request.url.scheme, urlsplit(state_of(request).public_url).scheme)


def set_cookie(request: Request, response: Response, credential: Credential) -> None:
    """The session as a cookie that scripts do not see and other sites do not bring along."""
    seconds = int(SESSION.total_seconds())
    secure = is_secure(request)
    response.set_cookie(
        COOKIE, credential.text, seconds, path="/", secure=secure, httponly=True, samesite="lax"
    )  # lax: who comes back from the provider's page is logged in; what changes something checks where it came from


@router.delete("/login", status_code=204)
def logout(caller: Here, response: Response) -> None:
    """End this session."""
    with caller.write() as session:
        row = session.get(Login, (session.tenant, caller.credential))
        if row is None:
            raise Forbidden("a token is not logged in; revoke it instead: DELETE /api/edge/tokens/ID")
        session.delete(row)
        caller.tell(session, "login.ended", caller.user)
    response.delete_cookie(COOKIE, path="/")


@router.get("/account")
def account(caller: Here) -> Account:
    """Who the caller is, and what they may do."""
    with caller.read() as session:
        user, tenant = session.find(User, caller.user), session.scalars(select(Tenant)).one()
        return Account.of(user, tenant, caller)


@router.put("/account/password", status_code=204)
def change_password(body: NewPassword, caller: Here) -> None:
    """Choose another password. Every other session of the user ends."""
    if caller.actor.kind != "user":
        raise Forbidden("a token does not change its user's password; log in")
    state = caller.state
    with caller.read() as session:
        user = session.find(User, caller.user)
        known, name = user.password, user.name
    if not state.passwords.verify(known, body.now.get_secret_value()):
        state.tries.take(caller.actor.network, 5)
        raise Forbidden("that is not the password that holds now")
    hashed = state.passwords.hash(check_password(body.new.get_secret_value(), name))
    with caller.write() as session:
        user = session.lock(User, caller.user)
        if user.password != known:
            raise Forbidden("the password was changed meanwhile")
        set_password(session, user, hashed, caller.credential)
        caller.tell(session, "user.password-changed", user.id)


@router.get("/tokens", response_model=Page[TokenTold])
def tokens(caller: Annotated[Caller, may()], page: PageQuery) -> Response:
    """The caller's tokens; all of the tenant for who may change users."""
    where = [] if "users.write" in caller.may else [Token.user == caller.user]
    return paged(caller.look, TokenTold, Token.id, page, *where, newest_first=True)


@router.post("/tokens", status_code=201)
def make_token(body: NewToken, caller: Annotated[Caller, may("tokens.write")]) -> TokenMade:
    """Make a token. Its text is told here and never again. It may no more than who makes it, and a token's own tokens
    do not outlive it."""
    now = caller.now
    until = now + timedelta(days=body.days)
    if caller.actor.kind == "token":
        until = min(until, caller.until)
    credential = Credential.new("tok", caller.tenant)
    scopes = check_scopes(body.scopes, caller.may)
    with caller.write() as session:
        token = Token(
            id=credential.id, user=caller.user, name=body.name, scopes=scopes, digest=credential.digest, made=now,
            until=until,
        )  # fmt: skip
        session.add(token)
        session.flush()
        caller.tell(session, "token.made", token.id, {"name": token.name, "scopes": scopes})
        return caller.reply(session, TokenMade(token=credential.text, **TokenTold.of(token).model_dump()), 201)


@router.delete("/tokens/{token}", status_code=204)
def revoke_token(token: Id, caller: Annotated[Caller, may("tokens.write")]) -> None:
    """Revoke a token of one's own; anybody's for who may change users."""
    with caller.write() as session:
        row = session.lock(Token, token)
        if row.user != caller.user and "users.write" not in caller.may:
            raise Forbidden("this token is another user's")
        if row.revoked is None:
            row.revoked = caller.now
            caller.tell(session, "token.revoked", row.id, {"name": row.name})
