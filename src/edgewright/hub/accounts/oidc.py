"""Logging in at an OpenID provider: authorization code flow with PKCE (RFC 7636, RFC 9700), one login at a time.

What is secret on the way lies sealed in a row that is used once, and the browser holds a part without which it is of no
use.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import httpx2
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy import select

from edgewright.core.errors import InputError, TrustError
from edgewright.core.strict import parse_json
from edgewright.hub.accounts.claims import ALGORITHMS, Asked, Identity, check_url, read_claims
from edgewright.hub.accounts.people import change_user
from edgewright.hub.accounts.tables import Attempt, Provider, User
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Forbidden, Unknown
from edgewright.hub.ids import new_id
from edgewright.hub.secrets import Credential
from edgewright.hub.state import State
from edgewright.hub.turns import Turns

WAIT = timedelta(minutes=10)
_LIMIT = 1 << 20
_TIMEOUT_S = 10.0
_GONE = "this login is over; begin again"


@dataclass(frozen=True)
class Begun:
    """``url``: where the browser goes; ``cookie``: what it keeps meanwhile."""

    url: str
    cookie: str


def begin(state: State, tenant: str, page: str, back: str) -> Begun:
    """Begin a login at the tenant's provider, which sends the browser ``back``. Raises InputError, Unknown."""
    with state.database.read(tenant) as session:
        provider = session.scalars(select(Provider)).one_or_none()
    if provider is None:
        raise Unknown("there is no provider to log in at; use a password")
    with _turn(state, tenant):
        told = discover(state, provider.issuer)
    credential, cookie = Credential.new("att", tenant), secrets.token_urlsafe(32)
    verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    sealed = state.safe.seal(json.dumps({"verifier": verifier, "nonce": nonce, "back": back}), credential.id)
    with state.database.write(tenant) as session:
        until = state.clock() + WAIT
        bound = _bound(credential, cookie)
        session.add(Attempt(id=credential.id, digest=bound, secrets=sealed, page=page, until=until))
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    query = {
        "response_type": "code", "client_id": provider.client, "redirect_uri": back, "scope": "openid profile email",
        "state": credential.text, "nonce": nonce, "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip
    joint = "&" if "?" in told["authorization_endpoint"] else "?"
    return Begun(told["authorization_endpoint"] + joint + urlencode(query), cookie)


@dataclass(frozen=True)
class Finished:
    """A login that came back: ``page`` is where the person wanted to go."""

    tenant: str
    issuer: str
    who: Identity
    page: str


def finish(state: State, shown: str, cookie: str, code: str, issuer: str | None) -> Finished:
    """The login that ``shown`` (the answer's state) and ``cookie`` belong to. Raises Unknown, TrustError,
    InputError."""
    credential = Credential.parse(shown)
    if credential is None or credential.kind != "att":
        raise Unknown(_GONE)
    now = state.clock()
    with state.database.write(credential.tenant) as session:
        attempt = session.get(Attempt, (credential.tenant, credential.id), with_for_update=True)
        provider = session.scalars(select(Provider)).one_or_none()
        bound = _bound(credential, cookie)
        if attempt is None or provider is None or not secrets.compare_digest(attempt.digest, bound):
            raise Unknown(_GONE)
        session.delete(attempt)  # used once, whatever comes of it
    if attempt.until < now:
        raise Unknown(_GONE)
    if issuer not in (None, provider.issuer):
        raise TrustError("the answer is of another provider")  # RFC 9207
    kept = json.loads(state.safe.open(attempt.secrets, credential.id))
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": kept["back"]}
    client = (provider.client, state.safe.open(provider.secret, "provider"))
    with _turn(state, credential.tenant):
        told = discover(state, provider.issuer)
        answer = _fetch(told["token_endpoint"], form | {"code_verifier": kept["verifier"]}, client)
        claims = _claims(answer.get("id_token"), _fetch(told["jwks_uri"]))
    asked = Asked(provider.issuer, provider.client, kept["nonce"])
    who = read_claims(claims, asked, now, provider.claim, provider.roles)
    return Finished(credential.tenant, provider.issuer, who, attempt.page)


def admit(state: State, session: Scoped, issuer: str, who: Identity) -> tuple[User, bool]:
    """The user whom the provider knows as this, made where there is none, with the roles that it gives; and whether
    they are new. Names are no proof: a user of the same name who was made here is another one. Raises Forbidden,
    Conflict."""
    if not who.roles:
        raise Forbidden("the provider knows you, and gives you no role here; ask an owner of the tenant")
    user = session.scalar(select(User).where(User.issuer == issuer, User.subject == who.subject))
    if user is not None:
        if not user.active:
            raise Forbidden("this user was shut out; ask an owner of the tenant")
        if sorted(who.roles) != user.roles:
            change_user(state, session, user, roles=who.roles)
        return user, False
    taken = session.scalar(select(User.id).where(User.name == who.name)) is not None
    key = new_id("usr")
    user = User(
        id=key, name=f"{who.name}#{key[-6:]}" if taken else who.name, shown=who.shown, roles=sorted(who.roles),
        issuer=issuer, subject=who.subject, made=state.clock(),
    )  # fmt: skip
    session.add(user)
    session.flush()
    return user, True


def _turn(state: State, tenant: str) -> AbstractContextManager[None]:
    """To speak with a provider: one that is slow is waited for by some threads, and of one tenant's by fewer."""
    return state.part("accounts.providers", lambda: Turns(8, 0, 4)).turn(tenant, "others are logging in just now")


def discover(state: State, issuer: str) -> dict[str, str]:
    """The provider's endpoints (OpenID Connect Discovery 1.0, 4). Raises InputError."""
    loopback = not state.public_url  # a hub that others reach asks nothing of its own machine in plain text
    told = _fetch(check_url(issuer, loopback).rstrip("/") + "/.well-known/openid-configuration")
    if told.get("issuer") != issuer:
        raise InputError(f"the provider calls itself {str(told.get('issuer'))[:80]!r}; give that as its issuer")
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    return {name: check_url(str(told.get(name)), loopback) for name in names}


def _claims(token: Any, keys: dict[str, Any]) -> dict[str, Any]:
    try:
        usable: Any = {"keys": [key for key in keys.get("keys", []) if key.get("kty") in ("RSA", "EC", "OKP")]}
        return dict(jwt.decode(str(token), KeySet.import_key_set(usable), algorithms=list(ALGORITHMS)).claims)
    except (JoseError, ValueError, TypeError, AttributeError) as error:
        raise TrustError("the provider's ID token does not verify") from error


def _fetch(url: str, form: dict[str, str] | None = None, client: tuple[str, str] | None = None) -> dict[str, Any]:
    """A JSON object from the provider: bounded in time and size, and no redirect is followed. Raises InputError."""
    headers = {"Accept": "application/json"}
    if client is not None:  # RFC 6749, 2.3.1: both are form-encoded first
        pair = ":".join(quote(part, safe="") for part in client)
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    try:
        status, body = asyncio.run(_asked(url, form, headers))
        value = parse_json(body, _LIMIT)
    except TimeoutError as error:
        raise InputError(f"the provider did not answer within {_TIMEOUT_S:.0f} s") from error
    except httpx2.HTTPError as error:
        raise InputError(f"the provider cannot be reached: {type(error).__name__}") from error
    except ValueError as error:
        raise InputError(f"the provider's answer (status {status}) cannot be used: {error}") from error
    if status != 200 or not isinstance(value, dict):
        raise InputError(f"the provider refused with status {status}")
    return value


async def _asked(url: str, form: dict[str, str] | None, headers: dict[str, str]) -> tuple[int, bytes]:
    """Its status and body, within one time in all: a provider that sends a byte from time to time holds a thread no
    longer than one that sends none."""
    method = "GET" if form is None else "POST"
    async with (
        asyncio.timeout(_TIMEOUT_S),
        httpx2.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False) as asking,
        asking.stream(method, url, data=form, headers=headers) as answer,
    ):
        body = b""
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > _LIMIT:
                raise InputError("the provider's answer is too long")
        return answer.status_code, body


def _bound(credential: Credential, cookie: str) -> str:
    return hashlib.sha256(f"{credential.secret} {cookie}".encode()).hexdigest()
