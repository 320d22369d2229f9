"""Routes of logging in at an OpenID provider, and of the provider itself."""

from __future__ import annotations

import logging
from typing import Annotated, Any

from fastapi import Cookie, Query, Request
from fastapi.responses import RedirectResponse
from pydantic import ConfigDict, Field, SecretStr
from sqlalchemy import select

from edgewright.core.errors import InputError, TrustError
from edgewright.hub.accounts import oidc
from edgewright.hub.accounts.access import Caller, actor_of, may
from edgewright.hub.accounts.audit import Actor, tell
from edgewright.hub.accounts.claims import check_mapping, check_page, check_url
from edgewright.hub.accounts.routes_account import is_secure, set_cookie
from edgewright.hub.accounts.rules import check_reach
from edgewright.hub.accounts.signin import find_tenant, open_login
from edgewright.hub.accounts.tables import Provider
from edgewright.hub.database import EVERY
from edgewright.hub.errors import Absent, Forbidden, Unknown
from edgewright.hub.state import state_of
from edgewright.hub.web.bodies import Answer, Body, Moment, Name, Router, Words
from edgewright.studio import ROOT

_LOG = logging.getLogger("edgewright.hub")
router = Router(prefix="/api/edge", tags=["provider"])
_COOKIE = "edgewright_attempt"
_PATH = "/api/edge/login/provider"
_EXAMPLE: dict[str, Any] = {
    "issuer": "https://login.example.com", "client": "edgewright", "claim": "groups",
    "roles": {"fleet-operators": "operator", "*": "viewer"},
}  # fmt: skip
Url = Annotated[Words, Field(max_length=300)]
Claim = Annotated[Words, Field(max_length=120)]
Mapped = Annotated[dict[Claim, Annotated[str, Field(max_length=40)]], Field(max_length=100)]


class ProviderTold(Answer):
    """The tenant's provider, without the client's secret."""

    issuer: str
    client: str
    claim: str
    roles: dict[str, str]
    changed: Moment


class NewProvider(Body):
    """A provider. ``roles``: what the values of the ID token's ``claim`` mean here; "*" is for everybody it lets in."""

    issuer: Url
    client: Name
    secret: Annotated[SecretStr, Field(max_length=1000)]
    claim: Claim = "groups"
    roles: Mapped

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE | {"secret": "the client's secret"}]})


class LoginWays(Answer):
    """How people log in. ``provider``: some tenant of the hub has one; which does is not told."""

    provider: bool

    model_config = ConfigDict(json_schema_extra={"examples": [{"provider": False}]})


@router.get("/login")
def ways(request: Request) -> LoginWays:
    """How people log in here: by a password always, perhaps at their organisation."""
    with state_of(request).database.read(EVERY) as session:
        return LoginWays(provider=session.scalar(select(Provider.tenant).limit(1)) is not None)


@router.get("/tenant/provider")
def provider(caller: Annotated[Caller, may("tenant.read")]) -> ProviderTold:
    """The provider at which users of the tenant log in."""
    with caller.read() as session:
        row = session.scalars(select(Provider)).one_or_none()
        if row is None:
            raise Absent("this tenant has no provider")
        return _told(row)


@router.put("/tenant/provider")
def set_provider(body: NewProvider, caller: Annotated[Caller, may("tenant.write")]) -> ProviderTold:
    """Name the provider. Whom it lets in, and with which roles, is its word from then on: roles that may no more than
    the caller."""
    state = caller.state
    check_url(body.issuer, loopback=not state.public_url)
    roles = check_mapping(body.roles)
    check_reach(roles.values(), caller.may)
    secret = state.safe.seal(body.secret.get_secret_value(), "provider")
    with caller.write() as session:
        row = session.scalars(select(Provider)).one_or_none() or Provider()
        row.issuer, row.client, row.secret, row.claim = body.issuer, body.client, secret, body.claim
        row.roles, row.changed = roles, caller.now
        session.add(row)
        session.flush()
        detail = {"issuer": row.issuer, "client": row.client, "claim": row.claim, "roles": roles}
        caller.tell(session, "provider.set", caller.tenant, detail)
        return caller.reply(session, _told(row))


@router.delete("/tenant/provider", status_code=204)
def remove_provider(caller: Annotated[Caller, may("tenant.write")]) -> None:
    """Remove the provider: its users have no way to log in any more. Sessions and tokens they have hold on."""
    with caller.write() as session:
        row = session.scalars(select(Provider)).one_or_none()
        if row is None:
            raise Absent("this tenant has no provider")
        session.delete(row)
        caller.tell(session, "provider.removed", caller.tenant, {"issuer": row.issuer})


@router.get("/login/provider", status_code=303, response_class=RedirectResponse)
def begin(
    request: Request,
    tenant: Annotated[Words, Query(max_length=120)] = "",
    page: Annotated[str, Query(max_length=300)] = "/",
) -> RedirectResponse:
    """Go to the tenant's provider to log in there, and then to ``page``."""
    state = state_of(request)
    state.tries.take(actor_of(request).network)
    asked = find_tenant(state, tenant), check_page(page), _back(request)
    try:
        begun = oidc.begin(state, *asked)
    except InputError as error:  # anybody may ask, and is not told what the hub reaches in its own network
        _LOG.warning("%s nobody can log in at the provider: %s", request.state.request_id, error)
        raise InputError("the provider cannot be used just now; the hub's log tells why under this request") from error
    answer = RedirectResponse(begun.url, 303)
    # Lax: the provider's page sends the browser back here by a link.
    answer.set_cookie(
        _COOKIE, begun.cookie, int(oidc.WAIT.total_seconds()), path=_PATH, secure=is_secure(request),
        httponly=True, samesite="lax",
    )  # fmt: skip
    return answer


@router.get("/login/provider/callback", status_code=303, response_class=RedirectResponse)
def callback(
    request: Request,
    state: Annotated[str, Query(max_length=300)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
    iss: Annotated[str | None, Query(max_length=300)] = None,
    error: Annotated[str, Query(max_length=200)] = "",
    edgewright_attempt: Annotated[str, Cookie(max_length=200)] = "",
) -> RedirectResponse:
    """Where the provider sends the browser back to. A browser whose user is not let in is shown the page for logging
    in, which says so."""
    try:
        return _let_in(request, state, code, iss, error, edgewright_attempt)
    except (Unknown, Forbidden, InputError, TrustError) as refusal:
        if "text/html" not in request.headers.get("accept", ""):
            raise
        why = "role" if isinstance(refusal, Forbidden) else "again"
        return RedirectResponse(f"{ROOT}?refused={why}", 303)


def _let_in(
    request: Request, state: str, code: str, iss: str | None, error: str, edgewright_attempt: str
) -> RedirectResponse:  # fmt: skip
    """A session for whom the provider names. Raises Unknown, Forbidden, InputError, TrustError, TooMany."""
    hub, actor = state_of(request), actor_of(request)
    hub.tries.take(actor.network)
    if error or not code:
        raise Unknown(f"the provider did not log you in: {ascii(error)[:80] or 'it gave no code'}")
    done = oidc.finish(hub, state, edgewright_attempt, code, iss)
    with hub.database.write(done.tenant) as session:
        user, new = oidc.admit(hub, session, done.issuer, done.who)
        credential = open_login(hub, session, user)
        acting = Actor("user", user.id, user.name, user.id, actor.network, actor.request)
        if new:
            tell(session, acting, "user.made", user.id, hub.clock(), {"name": user.name, "roles": user.roles})
        tell(session, acting, "login.made", user.id, hub.clock(), {"by": done.issuer, "roles": user.roles})
    answer = RedirectResponse(done.page, 303)
    answer.delete_cookie(_COOKIE, path=_PATH)
    set_cookie(request, answer, credential)
    return answer


def _back(request: Request) -> str:
    base = state_of(request).public_url or f"{request.url.scheme}://{request.headers.get('host', '')}"
    return f"{base}{_PATH}/callback"


def _told(row: Provider) -> ProviderTold:
    return ProviderTold(issuer=row.issuer, client=row.client, claim=row.claim, roles=row.roles, changed=row.changed)
