"""Roles, permissions and passwords: from values to values."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping

from edgewright.core.errors import InputError
from edgewright.hub.errors import Conflict, Forbidden

PERMISSIONS: Mapping[str, str] = {
    "tenant.read": "see the tenant's settings",
    "tenant.write": "change the tenant's settings and its identity provider",
    "users.read": "see users",
    "users.write": "make users, change their roles, shut them out",
    "tokens.write": "make and revoke tokens of one's own",
    "audit.read": "read and export the audit log",
    "bundles.read": "see and fetch bundles",
    "bundles.write": "upload and remove bundles",
    "models.read": "see and fetch models and data sets",
    "models.write": "upload, change and remove models and data sets",
    "devices.read": "see devices and groups",
    "devices.write": "enrol, configure, group and revoke devices",
    "rollouts.read": "see rollouts and their decisions",
    "rollouts.write": "make, approve and sign rollouts",
    "rollouts.control": "pause, resume and abort rollouts",
    "telemetry.read": "see what devices report",
    "alerts.read": "see alerts",
    "alerts.write": "acknowledge alerts, change their rules",
    "jobs.read": "see jobs, workers and what happens",
    "jobs.write": "start, stop and retry jobs",
    "benchmarks.read": "see benchmarks",
    "benchmarks.write": "measure on the hub's workers and on devices",
}
"""What can be allowed. Every route names one of these, or none beyond a credential that holds."""

_SEES = frozenset(one for one in PERMISSIONS if one.endswith(".read")) - {"users.read", "audit.read"} | {"tokens.write"}
ROLES: Mapping[str, frozenset[str]] = {
    "viewer": _SEES,
    "auditor": _SEES | {"users.read", "audit.read"},
    "engineer": _SEES | {"models.write", "bundles.write", "jobs.write", "benchmarks.write"},
    "operator": _SEES | {"devices.write", "benchmarks.write", "rollouts.control", "alerts.write"},
    "releaser": _SEES | {"bundles.write", "jobs.write", "benchmarks.write", "rollouts.write", "rollouts.control"},
    "owner": frozenset(PERMISSIONS),
}
"""A user has one or several; they add up."""

LEAST_LETTERS = 12
"""NIST SP 800-63B-4, 3.1.1.2, asks for 15 where a password is the only factor and 8 where not; this is between, with a
limit on tries."""
MOST_LETTERS = 256
_COMMON = (
    "password", "passwort", "123456", "qwerty", "qwertz", "edgewright", "letmein", "abcdef", "iloveyou", "welcome",
)  # fmt: skip


def granted(roles: Iterable[str], scopes: Collection[str] | None = None) -> frozenset[str]:
    """What these roles may, within ``scopes`` where a token has some. Roles that are no more give nothing."""
    allowed = frozenset[str]().union(*(ROLES.get(role, frozenset()) for role in roles))
    return allowed if scopes is None else allowed & frozenset(scopes)


def check_roles(roles: Collection[str]) -> list[str]:
    """Roles sorted and once each. Raises InputError."""
    for role in roles:
        if role not in ROLES:
            raise InputError(f"{role[:40]!r} is no role; there are: {', '.join(ROLES)}")
    if not roles:
        raise InputError(f"a user needs a role; there are: {', '.join(ROLES)}")
    return sorted(set(roles))


def check_reach(roles: Iterable[str], own: frozenset[str]) -> None:
    """Nobody gives, takes or takes over what they may not themselves: all that these roles grant is in ``own``. Raises
    Forbidden."""
    if beyond := sorted(granted(roles) - own):
        raise Forbidden(f"that takes {beyond[0]}, which you may not ({PERMISSIONS[beyond[0]]}); ask an owner")


def check_scopes(scopes: Collection[str], own: frozenset[str]) -> list[str]:
    """Scopes sorted and once each; none asked for are all of one's own. Raises InputError, Forbidden beyond ``own``."""
    for scope in scopes:
        if scope not in PERMISSIONS:
            raise InputError(f"{scope[:40]!r} is no scope; there are: {', '.join(PERMISSIONS)}")
    if beyond := sorted(set(scopes) - own):
        raise Forbidden(f"you may not {PERMISSIONS[beyond[0]]} ({beyond[0]}), so a token of yours may not either")
    return sorted(set(scopes) or own)


def check_owners(owners: Collection[str], changed: str, stays: bool) -> None:
    """A tenant keeps an owner: ``owners`` are those who can act now, ``changed`` whom it is about. Raises Conflict."""
    if not stays and set(owners) == {changed}:
        raise Conflict("this is the tenant's last active owner; make another one first")


def check_password(password: str, name: str) -> str:
    """The password as it is hashed (Unicode NFKC, NIST SP 800-63B-4, 3.1.1.2). Raises InputError for a weak one."""
    made = unicodedata.normalize("NFKC", password)
    if not LEAST_LETTERS <= len(made) <= MOST_LETTERS:
        raise InputError(f"a password has {LEAST_LETTERS} to {MOST_LETTERS} characters")
    plain = made.casefold()
    local = name.casefold().partition("@")[0]
    left = plain
    for word in (*_COMMON, *([local] if len(local) > 3 else [])):
        left = left.replace(word, "")
    if len(set(plain)) < 5 or len(left) < LEAST_LETTERS // 2:
        raise InputError("that password is easy to guess; take several unrelated words, or let a program make one")
    return made


def pause_s(failures: int) -> float:
    """How long (s) after the last of ``failures`` wrong passwords in a row the next one is looked at: five are free,
    then it doubles up to a quarter of an hour."""
    return 0.0 if failures < 5 else float(min(2 ** (failures - 5), 900))
