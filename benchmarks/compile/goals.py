"""What the compile flow must reach, as data, and whether a run reached it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from measuring import Row
from subjects import FIXED, FREE

GATE = 0.5
FIRST_S, FINAL_S = 10.0, 180.0


@dataclass(frozen=True)
class Goal:
    """``speedup`` over fp32; ``latency`` and ``size`` at most this share of the best peer's (None: not asked)."""

    row: str
    speedup: float | None
    latency: float
    size: float | None


GOALS = {
    "residual": Goal(FREE, 5.0, 0.6, 0.5),
    "depthwise": Goal(FREE, 2.5, 0.8, 0.7),
    "transformer": Goal(FREE, 2.0, 0.9, None),
    "mlp": Goal(FREE, 3.5, 1.0, None),
}
FIXED_GOAL = Goal(FIXED, None, 1.0, 1.0)


@dataclass(frozen=True)
class Check:
    """One clause of one model: what was wanted, what was found. ``met`` None: there was nothing to judge by."""

    model: str
    what: str
    wanted: str
    found: str
    met: bool | None


def within_gate(row: Row) -> bool:
    return row.lost is not None and row.lost.value <= GATE


def best_peer(rows: Sequence[Row], key: str) -> Row | None:
    """The peer with the least ``key`` (ratio, size_bytes) of those that lose no more than the gate allows.

    For speed and for size this may be two different peers: Edgewright is held against the better one in each.
    """
    peers = [row for row in rows if row.entry.tool not in ("", FREE) and within_gate(row)]
    return min(peers, key=lambda row: float(row.ratio.value if key == "ratio" else row.size_bytes or 0), default=None)  # type: ignore[union-attr]


def checks(model: str, family: str, rows: Sequence[Row]) -> list[Check]:
    """Every clause for one model."""
    return [*_held(model, GOALS[family], rows), *_held(model, FIXED_GOAL, rows), *_original(model, rows)]


def _original(model: str, rows: Sequence[Row]) -> Iterator[Check]:
    ours = [row.ratio for row in rows if row.entry.tool == FREE and row.ratio is not None]
    slower = [ratio for ratio in ours if ratio.high > 1.0]
    yield Check(model, "nothing slower than fp32 chosen", "none", str(len(slower)), not slower if ours else None)


def _held(model: str, goal: Goal, rows: Sequence[Row]) -> Iterator[Check]:
    row = next(row for row in rows if row.entry.name == goal.row)
    if row.ratio is None or row.lost is None or row.size_bytes is None:
        yield Check(model, f"{goal.row}: an answer", "a feasible candidate", row.entry.failure or "none", False)
        return
    if goal.speedup is not None:
        found = 1 / row.ratio.value
        yield Check(model, f"{goal.row}: over fp32", f">= {goal.speedup:g}x", f"{found:.2f}x", found >= goal.speedup)
    yield Check(
        model, f"{goal.row}: lost", f"<= {GATE:g} points",
        f"{row.lost.value:+.2f} [{row.lost.low:+.2f}, {row.lost.high:+.2f}]", within_gate(row),
    )  # fmt: skip
    fastest, smallest = best_peer(rows, "ratio"), best_peer(rows, "size_bytes")
    yield _beside(model, f"{goal.row}: latency", goal.latency, row.ratio.value, fastest, "ratio")
    if goal.size is not None:
        yield _beside(model, f"{goal.row}: file", goal.size, row.size_bytes, smallest, "size_bytes")
    first, final = row.entry.first_s, row.entry.seconds
    if first is not None:
        yield Check(model, f"{goal.row}: first answer", f"<= {FIRST_S:g} s", f"{first:.1f} s", first <= FIRST_S)
    if final is not None:
        yield Check(model, f"{goal.row}: final answer", f"<= {FINAL_S:g} s", f"{final:.0f} s", final <= FINAL_S)


def _beside(model: str, what: str, wanted: float, ours: float, peer: Row | None, key: str) -> Check:
    if peer is None:
        return Check(model, what, f"<= {wanted:g}x the best peer's", "no peer within the gate", True)
    theirs = peer.ratio.value if key == "ratio" and peer.ratio is not None else float(peer.size_bytes or 1)
    share = round(ours / theirs, 2)  # as it is shown; two that run the same kernels differ by less from run to run
    return Check(model, what, f"<= {wanted:g}x the best peer's", f"{share:.2f}x ({peer.entry.name})", share <= wanted)
