"""Providers: which one a served model asked for, and which one runs it, and how. A step down is never silent."""

from __future__ import annotations

from edgewright.core.session import Session


def step_down(session: Session) -> str:
    """A sentence where another provider runs than was asked for (``policy = "degrade"``), "" where not."""
    if session.requested == session.provider:
        return ""
    return f"it runs on {session.provider}; {session.requested} was asked for and is not here"


def engine_note(session: Session) -> str:
    """In what else the session differs from what was asked for, and why; "" where it does not."""
    found: str = getattr(session, "note", "")
    return found


def provider_parameters(session: Session) -> dict[str, str]:
    """Both by name, and the engine's note where there is one, for a model's configuration (Triton's ``parameters``)."""
    note = engine_note(session)
    told = {"provider": session.provider, "provider_requested": session.requested}
    return {**told, "engine_note": note} if note else told
