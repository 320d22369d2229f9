"""Following: the agent's own rules (``agent.net.follow``) on a situation that lies in memory. Pure."""

from __future__ import annotations

from dataclasses import replace

from edgewright.agent.net.follow import follow
from edgewright.agent.states import Situation, Update, failed, offered
from edgewright.core.messages import Release


def followed(now: Situation, release: Release | None) -> Situation:
    """The situation after the hub's word was taken to heart; as it was where there is nothing to do."""
    action = follow(now, release)
    if action.kind == "offer" and action.update is not None:
        return offered(now, action.update)
    if action.kind == "amend":
        return replace(now, update=action.update)
    if action.kind == "end":
        return failed(now, action.reason, bad=False)
    if action.kind == "revert":
        return replace(
            now, state="rolling_back", update=Update(now.good), good=now.before, before="",
            bad={**now.bad, now.good: action.reason}, reason=action.reason,
        )  # fmt: skip
    if action.kind == "empty":
        return replace(now, good="", before=now.good, result="")
    return now
