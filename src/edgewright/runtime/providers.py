"""Providers: which one a served model asked for, and which one runs it. A step down is never silent."""

from __future__ import annotations

from edgewright.core.session import Session


def step_down(session: Session) -> str:
    """A sentence where another provider runs than was asked for (``policy = "degrade"``), "" where not."""
    if session.requested == session.provider:
        return ""
    return f"it runs on {session.provider}; {session.requested} was asked for and is not here"


def provider_parameters(session: Session) -> dict[str, str]:
    """Both by name, for a model's metadata (OIP's ``properties``), configuration (Triton's ``parameters``) and logs."""
    return {"provider": session.provider, "provider_requested": session.requested}
