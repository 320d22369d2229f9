"""``edgewright agent``: the agent of a device."""

from __future__ import annotations

from edgewright.agent.net.command import add, run

__all__ = ["add", "run"]
