"""Decision: what should happen to a rollout, and the evidence for it. Made by rules, carried out elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgewright.core.digests import digest_json

KINDS = ("halt", "hold", "advance", "pause", "resume", "revert", "complete", "cancel", "supersede")
_DONE = {
    "halt": "halted", "hold": "held", "advance": "advanced", "pause": "paused", "resume": "resumed",
    "revert": "told to go back", "complete": "completed", "cancel": "cancelled", "supersede": "superseded",
}  # fmt: skip


@dataclass(frozen=True)
class Decision:
    """``rollout`` is decided upon at ``at`` (s since 1970, the hub's clock); ``wave`` counts from 0; ``why`` is a
    clause for people; ``evidence`` JSON values. ``by`` is a person, or "gate" or "rules"."""

    kind: str
    rollout: str
    wave: int | None
    at: float
    why: str
    by: str = "gate"
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"a decision is one of {', '.join(KINDS)}, not {self.kind!r}")

    def sentence(self) -> str:
        """The decision in one plain sentence."""
        where = "" if self.wave is None else f" in wave {self.wave + 1}"
        return f"Rollout {self.rollout} was {_DONE[self.kind]}{where}: {self.why}."

    def to_json(self) -> dict[str, Any]:
        """JSON values, the sentence with them."""
        return {
            "kind": self.kind, "rollout": self.rollout, "wave": self.wave, "at": self.at, "why": self.why,
            "by": self.by, "evidence": dict(self.evidence), "sentence": self.sentence(),
        }  # fmt: skip

    @property
    def digest(self) -> str:
        """SHA-256 of the decision, whatever order its evidence was written in: the audit log's name for it."""
        return digest_json(self.to_json())

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Decision:
        """The decision that ``to_json`` wrote. Raises ValueError for anything that is not one."""
        try:
            made = cls(
                str(value["kind"]), str(value["rollout"]), None if value["wave"] is None else int(value["wave"]),
                float(value["at"]), str(value["why"]), str(value["by"]), dict(value["evidence"]),
            )  # fmt: skip
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a decision: {error}") from error
        if made.to_json() != dict(value):
            raise ValueError("not a decision in its one spelling")
        return made
