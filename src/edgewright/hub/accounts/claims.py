"""What an OpenID provider says of a person, held against what was asked: OpenID Connect Core 1.0, 3.1.3.7. Pure."""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from edgewright.core.errors import InputError, TrustError
from edgewright.hub.accounts.rules import ROLES

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""What an ID token may be signed with: never `none`, and no shared secret."""
_LEEWAY_S = 60
_PAGE = re.compile(r"/(?!/)[A-Za-z0-9._~/?=&%#-]{0,300}")


@dataclass(frozen=True)
class Identity:
    """A person as the provider knows them: ``subject`` is theirs for good, ``name`` what they are called now."""

    subject: str
    name: str
    shown: str
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """What an ID token has to answer."""

    issuer: str
    client: str
    nonce: str


def read_claims(
    claims: Mapping[str, Any], asked: Asked, now: datetime, claim: str, roles: Mapping[str, str]
) -> Identity:
    """The identity in an ID token whose signature held. ``roles``: what values of ``claim`` mean here.

    Raises TrustError with the clause that does not hold; numbers are those of section 3.1.3.7.
    """
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if claims.get("iss") != asked.issuer:
        raise TrustError("the ID token is of another issuer (2)")
    if asked.client not in audiences:
        raise TrustError("the ID token is for another client (3)")
    if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != asked.client:
        raise TrustError("the ID token was issued to another party (4, 5)")
    expires, issued = _seconds(claims.get("exp")), _seconds(claims.get("iat"))
    if expires is None or now.timestamp() >= expires + _LEEWAY_S:
        raise TrustError("the ID token has expired (9)")
    if issued is None or issued > now.timestamp() + _LEEWAY_S:
        raise TrustError("the ID token is from the future; are the clocks right? (10)")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), asked.nonce.encode()):
        raise TrustError("the ID token answers another request (11)")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
        raise TrustError("the ID token names nobody")
    return Identity(subject, _name(claims, subject), _text(claims.get("name")), _roles(claims.get(claim), roles))


def check_url(url: str, loopback: bool) -> str:
    """The URL of a provider: https, or http on this machine where ``loopback``. Raises InputError."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InputError("that is no URL") from error
    here = loopback and parts.scheme == "http" and host in ("127.0.0.1", "::1", "localhost")
    if not host or parts.username or parts.fragment or not (parts.scheme == "https" or here) or not url.isprintable():
        raise InputError("a provider is reached by https://HOST/..., without a user or a fragment in it")
    return url


def check_mapping(roles: Mapping[str, str]) -> dict[str, str]:
    """What values of a claim mean here. Raises InputError."""
    for role in roles.values():
        if role not in ROLES:
            raise InputError(f"{role[:40]!r} is no role; there are: {', '.join(ROLES)}")
    return dict(roles)


def check_page(page: str) -> str:
    """A page of the hub to go on to after logging in; never another site. Raises InputError."""
    if not _PAGE.fullmatch(page):
        raise InputError("the page to go on to is a path of the hub, as /")
    return page


def _roles(value: Any, known: Mapping[str, str]) -> tuple[str, ...]:
    """Roles by the claim's values; a mapping of "*" is for everybody whom the provider lets in."""
    given: Collection[Any] = value if isinstance(value, list) else [value]
    found = {known[one] for one in given if isinstance(one, str) and one in known}
    return tuple(sorted(found | ({known["*"]} if "*" in known else set())))


def _name(claims: Mapping[str, Any], subject: str) -> str:
    """What to call them: an address only where the provider has verified it."""
    email = _text(claims.get("email")) if claims.get("email_verified") is True else ""
    return (email or _text(claims.get("preferred_username")) or subject)[:120].casefold()


def _text(value: Any) -> str:
    return value[:120] if isinstance(value, str) and value.isprintable() else ""


def _seconds(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
