"""Logging in: a password becomes a token of this machine's own, and the password is forgotten."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edgewright.client.hub import Hub, Refusal
from edgewright.client.profile import Profile
from edgewright.core.errors import InputError

DAYS = 90
"""How long the token holds."""


def log_in(
    profile: Profile, name: str, password: str, new_password: Callable[[], str], tenant: str = "", days: int = DAYS
) -> tuple[Profile, dict[str, Any]]:
    """The profile with a token, and the account as the hub tells it.

    ``new_password`` is asked for one where the hub wants the one-time password replaced. Raises Refusal, InputError.
    """
    with Hub(replace(profile, token="")) as hub:
        body = {"tenant": tenant, "name": name, "password": password}
        session = hub.post("/login", {key: value for key, value in body.items() if value})
    with Hub(replace(profile, token=session["session"])) as hub:
        if session["must_change"]:
            hub.put("/account/password", {"now": password, "new": new_password()})
        try:
            made = hub.post("/tokens", {"name": f"edgewright on {platform.node()[:60] or 'a machine'}", "days": days})
        except Refusal as refusal:
            if refusal.status != 403:
                raise
            raise InputError(f"{name} may not make tokens: {refusal}; have an owner change the role") from refusal
        account = hub.get("/account")
        hub.delete("/login")
    return replace(profile, token=made["token"]), account
