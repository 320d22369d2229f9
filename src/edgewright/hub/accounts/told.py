"""What the accounts' routes take and tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import ConfigDict, Field

from edgewright.hub.accounts.tables import Tenant, User
from edgewright.hub.web.bodies import Answer, Body, Moment, Name, Told, Words

if TYPE_CHECKING:
    from edgewright.hub.accounts.access import Caller

Roles = Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=10, examples=[["operator"]])]
_WHEN = "2026-11-21T09:30:00.000Z"
_USER: dict[str, Any] = {
    "id": "usr_01jd7x3w9q4e5r6t7y8a9b0c1d",
    "name": "ada",
    "shown": "Ada",
    "roles": ["operator"],
    "active": True,
}


class UserTold(Told):
    """A user. ``invited``: has a one-time password that was not used yet; ``provider``: logs in at the OpenID
    provider."""

    id: str
    name: str
    shown: str
    roles: list[str]
    active: bool
    invited: bool
    provider: bool
    made: Moment

    model_config = ConfigDict(
        json_schema_extra={"examples": [_USER | {"invited": False, "provider": False, "made": _WHEN}]}
    )

    also = ("password_until", "subject")

    @classmethod
    def adapt(cls, row: dict[str, Any]) -> dict[str, Any]:
        """Whether there is such a password, and such a login; not which."""
        return {**row, "invited": row["password_until"] is not None, "provider": row["subject"] is not None}


class UserMade(UserTold):
    """A user with the one-time password, which is shown once."""

    password: str

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                _USER | {"invited": True, "provider": False, "made": _WHEN, "password": "3fa2c1-90be77-51d0aa-e81c4f"}
            ]
        }
    )


class NewUser(Body):
    """A user to be made."""

    name: Name
    shown: Annotated[Words, Field(max_length=120)] = ""
    roles: Roles

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "ada", "shown": "Ada", "roles": ["operator", "releaser"]}]}
    )


class UserChange(Body):
    """What is to be changed; what is left out stays."""

    roles: Roles | None = None
    active: bool | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"roles": ["viewer"]}, {"active": False}]})


class TokenTold(Told):
    """A token without its text."""

    id: str
    user: str
    name: str
    scopes: list[str]
    made: Moment
    until: Moment
    revoked: Moment | None


class TokenMade(TokenTold):
    """A token with its text, which is shown once."""

    token: str


class NewToken(Body):
    """A token to be made. No scopes: all that its maker may."""

    name: Name
    scopes: Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=40, default_factory=list)]
    days: Annotated[int, Field(ge=1, le=365, description="how long it holds")] = 90

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "nightly release", "scopes": ["rollouts.write"], "days": 30}]}
    )


class LoggedIn(Answer):
    """A session. ``must_change``: the password was a one-time one; nothing else works until it is replaced."""

    user: str
    session: str
    until: Moment
    must_change: bool


class TenantTold(Answer):
    """A tenant. ``development``: its release key may lie online."""

    id: str
    name: str
    development: bool

    @classmethod
    def of(cls, tenant: Tenant) -> Self:
        """As it is told."""
        return cls(id=tenant.id, name=tenant.name, development=tenant.development)


class Account(Answer):
    """Who calls, and what they may do."""

    user: UserTold
    tenant: TenantTold
    may: list[str]
    credential: str
    until: Moment
    must_change: bool

    @classmethod
    def of(cls, user: User, tenant: Tenant, caller: Caller) -> Self:
        """As it is told."""
        return cls(
            user=UserTold.of(user), tenant=TenantTold.of(tenant), may=sorted(caller.may), credential=caller.credential,
            until=caller.until, must_change=caller.must_change,
        )  # fmt: skip
