"""Access: who calls, what they may, and their transactions. What routes of every slice take::

    @router.post("", status_code=201)
    def make(body: NewThing, caller: Annotated[Caller, may("things.write")]) -> ThingTold:
        with caller.write() as session:
            thing = Thing(...)
            session.add(thing)
            caller.tell(session, "thing.made", thing.id, {"name": body.name})
            return caller.reply(session, ThingTold.of(thing), 201)

``may`` makes the route refuse others and says so in the OpenAPI document. ``write`` and ``reply`` keep idempotency
keys.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from fastapi import Request, Security, WebSocket
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from edgewright.core.errors import InputError
from edgewright.hub.accounts.audit import Actor, tell
from edgewright.hub.accounts.memo import CHANGES, Memo
from edgewright.hub.accounts.rules import PERMISSIONS, granted
from edgewright.hub.accounts.tables import Login, Token, User
from edgewright.hub.database import Look, Scoped
from edgewright.hub.errors import Absent, Forbidden, Unknown
from edgewright.hub.secrets import Credential
from edgewright.hub.state import State, state_of
from edgewright.hub.web import short
from edgewright.hub.web.idempotency import Once
from edgewright.hub.web.problems import Problem
from edgewright.hub.web.rates import network

COOKIE = "edgewright_session"
Told = TypeVar("Told", bound=BaseModel)
_BEARER = HTTPBearer(auto_error=False, scheme_name="token", description="an API token, or a session's text")
_COOKIE = APIKeyCookie(name=COOKIE, auto_error=False, scheme_name="session", description="set by logging in")
_SAFE = ("GET", "HEAD", "OPTIONS")
_CALLER, _COUNTED = "edgewright.caller", "edgewright.counted"


@dataclass(frozen=True)
class Caller:
    """Who calls: ``tenant``, ``user`` (an id), ``credential`` (an id), what it ``may``, and how it is told in the
    log."""

    state: State
    tenant: str
    user: str
    credential: str
    may: frozenset[str]
    actor: Actor
    until: datetime
    must_change: bool = False
    once: Once | None = None
    shown: str = field(default="", repr=False)
    """The credential itself, which is told to nobody."""

    @property
    def now(self) -> datetime:
        """The hub's clock."""
        return self.state.clock()

    def read(self) -> contextlib.AbstractContextManager[Scoped]:
        """A reading transaction in the caller's tenant."""
        return self.state.database.read(self.tenant)

    @property
    def look(self) -> Look:
        """For one statement in the caller's tenant, without a transaction: see ``Database.look``."""
        return self.state.database.look(self.tenant)

    @contextlib.contextmanager
    def write(self) -> Iterator[Scoped]:
        """A writing transaction in the caller's tenant. Raises Replayed when this very request was carried out
        before."""
        if self.once is None:
            with self.state.database.write(self.tenant) as session:
                yield session
            return
        with self.state.flights.flight(self.once.id), self.state.database.write(self.tenant) as session:
            self.once.check(session, self.now)
            yield session

    def again(self) -> Caller:
        """The same credential, looked at anew: for what goes on for long. Raises Unknown."""
        return authenticate(self.state, self.shown, self.actor)

    def of_body(self, digest: str) -> Caller:
        """The caller whose request had a streamed body with this digest: the idempotency key is for that one."""
        if self.once is None:
            return self
        asked = hashlib.sha256(f"{self.once.asked}\n{digest}".encode()).hexdigest()
        return replace(self, once=replace(self.once, asked=asked))

    def tell(self, session: Scoped, action: str, subject: str, detail: Mapping[str, Any] | None = None) -> None:
        """Append to the audit log, in the transaction of what was done."""
        tell(session, self.actor, action, subject, self.now, detail)

    def reply(self, session: Scoped, told: Told, status: int = 200) -> Told:
        """The answer to a request that changed something, kept for one that comes again with its idempotency key."""
        if self.once is not None:
            self.once.keep(session, self.now, status, told.model_dump_json().encode())
        return told


def may(permission: str = "", *, with_one_time_password: bool = False, streamed: bool = False, unless: str = "") -> Any:
    """A route's dependency: a Caller who may do this; "" asks for a credential alone. ``streamed``: the route reads the
    body itself, piece by piece, and says by ``Caller.of_body`` what it was. ``unless``: a parameter of the query that
    stands for a credential; with it there is no Caller but None, and the route looks at it."""
    if permission and permission not in PERMISSIONS:
        raise InputError(f"{permission!r} is no permission; add it to accounts.rules")

    async def first(request: Request) -> Caller | None:
        """Who calls, before anything of the body is read: ``StrictRoute`` asks for it."""
        if unless and unless in request.query_params:
            return None
        shown = _bearer(request)
        if not shown and (shown := request.cookies.get(COOKIE, "")) and request.method not in _SAFE:
            check_same_site(request)
        state = state_of(request)
        memo = state.part("accounts.memo", Memo)
        known = memo.get(shown) if shown and request.method in _SAFE else None
        if known is None or known.until <= state.clock():
            seen = CHANGES.seen
            found = await run_in_threadpool(authenticate, state, shown, actor_of(request))
            memo.keep(found.shown, found, seen)
        else:
            found = _asking(known, request)
        _let_in(found, scopes, with_one_time_password, request.scope)
        request.scope[_CALLER] = found
        return found

    async def caller(
        request: Request,
        _: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],  # for the document
        __: Annotated[str | None, Security(_COOKIE)],
    ) -> Caller | None:
        found: Caller | None = request.scope.get(_CALLER) or await first(request)
        once = None if found is None else await _once(request, streamed)
        return found if found is None or once is None else replace(found, once=Once(once[0], found.credential, once[1]))

    def at_once(request: Request, _: short.Query) -> Caller | None:
        memo: Memo = state_of(request).part("accounts.memo", Memo)
        known = memo.get(_shown(request))
        if known is None or known.until <= known.now:
            return None
        _let_in(known, scopes, with_one_time_password, request.scope)
        return _asking(known, request)

    scopes = [permission] if permission else []
    caller.first = first  # type: ignore[attr-defined]
    if not unless:
        caller.at_once = at_once  # type: ignore[attr-defined]
    return Security(caller, scopes=scopes)


def _asking(known: Caller, request: Request) -> Caller:
    """Who was known, in this request."""
    told = actor_of(request)
    return replace(known, actor=replace(known.actor, network=told.network, request=told.request))


def _shown(request: Request) -> str:
    """The credential of a request that changes nothing, where it is spelled as most do; else ""."""
    bearer = request.headers.get("authorization")
    if bearer is None:
        return request.cookies.get(COOKIE, "")
    return bearer[7:] if bearer.startswith("Bearer ") else ""


def _bearer(request: HTTPConnection) -> str:
    header = request.headers.get("authorization", "")
    return header[7:].strip() if header[:7].lower() == "bearer " else ""


async def socket_caller(websocket: WebSocket, permission: str) -> Caller:
    """Who opens a websocket, by cookie or ``Authorization`` as everywhere. A browser lets any page open one with our
    cookie: where a cookie came, the page must be ours. Raises Unknown, Forbidden, Problem, TooMany."""
    bearer = _bearer(websocket)
    if not bearer:
        check_same_site(websocket)
    state: State = websocket.state.hub
    shown = bearer or websocket.cookies.get(COOKIE, "")
    found = await run_in_threadpool(authenticate, state, shown, actor_of(websocket))
    _let_in(found, [permission], False, websocket.scope)
    return found


def _let_in(
    found: Caller, scopes: Sequence[str], with_one_time_password: bool, request: MutableMapping[str, Any]
) -> None:
    """Raises Forbidden, Problem, TooMany. A request counts once, whichever ways it goes."""
    if _COUNTED not in request:
        found.state.rates.take(found.credential)
        request[_COUNTED] = True
    if found.must_change and not with_one_time_password:
        raise Problem("password-change-needed", "choose a password: PUT /api/edge/account/password")
    for scope in scopes:
        if scope not in found.may:
            raise Forbidden(f"you may not {PERMISSIONS[scope]}: that takes {scope}")


def authenticate(state: State, shown: str, actor: Actor) -> Caller:
    """The caller whose credential this is. Raises Unknown, in the same words whatever is wrong with it."""
    credential = Credential.parse(shown)
    if credential is None or credential.kind not in ("tok", "log"):
        state.tries.take(actor.network)
        raise Unknown("log in, or send a token: Authorization: Bearer TOKEN")
    now = state.clock()
    with state.database.read(credential.tenant) as session:
        kind: type[Token] | type[Login] = Token if credential.kind == "tok" else Login
        try:
            row = session.find(kind, credential.id)
            user = session.find(User, row.user)
        except Absent:
            row, user = None, None
    gone = row is None or row.until <= now or (isinstance(row, Token) and row.revoked is not None)
    if row is None or user is None or gone or not user.active or not credential.holds(row.digest):
        state.tries.take(actor.network)
        raise Unknown("this credential does not hold: it expired, was revoked, or never was one")
    token = isinstance(row, Token)
    name = f"{user.name} ({row.name})" if isinstance(row, Token) else user.name
    who = Actor("token" if token else "user", row.id if token else user.id, name, user.id, actor.network, actor.request)
    allowed = granted(user.roles, row.scopes if isinstance(row, Token) else None)
    change = user.password_until is not None and not token
    return Caller(state, credential.tenant, user.id, row.id, allowed, who, row.until, change, shown=shown)


def actor_of(request: HTTPConnection) -> Actor:
    """What is known of a request before who calls is."""
    host = request.client.host if request.client else ""
    return Actor("nobody", "", "", "", network(host), request.state.request_id)


def check_same_site(request: HTTPConnection) -> None:
    """A cookie comes along with whatever page asks for it: what changes something must be asked by a page of ours.

    ``Sec-Fetch-Site`` (Fetch Metadata) where the browser sends it, else ``Origin``. A proxy that ends TLS changes the
    scheme, so the hub's own public address counts as well. Raises Forbidden.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    scheme = {"ws": "http", "wss": "https"}.get(request.url.scheme, request.url.scheme)
    state: State = request.state.hub
    public = urlsplit(state.public_url)
    ours = origin in (None, f"{scheme}://{request.headers.get('host', '')}", f"{public.scheme}://{public.netloc}")
    if (site is not None and site not in ("same-origin", "none")) or not ours:
        raise Forbidden("this request came from a page of another site")


async def _once(request: Request, streamed: bool) -> tuple[str, str] | None:
    """The idempotency key and the digest of what is asked, without a body that is streamed. Raises Problem for a key
    that is none."""
    key = request.headers.get("idempotency-key")
    if key is None or request.method in _SAFE:
        return None
    if not 8 <= len(key) <= 200 or not key.isascii() or not key.isprintable():
        raise Problem("bad-request", "an idempotency key has 8 to 200 printable characters; take a random UUID")
    asked = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    if not streamed:
        asked.update(await request.body())
    return key, asked.hexdigest()
