"""Choosing: who runs next, with whom, and who waits for company. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgewright.runtime.scheduling.line import NEVER, URGENT, Waiting
from edgewright.runtime.scheduling.machine import Machine

if TYPE_CHECKING:
    from edgewright.runtime.scheduling.scheduler import Job

_KINDS = 8
"""So many batches wait for company at a time; clients choose their requests' shapes, and must not fill the time."""


@dataclass(frozen=True)
class Batch:
    """Who runs together, how long that should take, and how long they wait for company first; in s."""

    members: list[Waiting]
    takes_s: float
    patience_s: float


def choose(
    line: Iterable[Waiting], now: float, machine: Machine, longest_s: float = NEVER, waits: bool = True
) -> tuple[Batch | None, float | None]:
    """Who runs now; or nobody, and how long those wait for company, in s, who could run (None: nobody could).

    The first whose model is free, with company. While that waits for more, others run if they are done by then, or
    leave it an executor; an executor that could run something is never idle. ``longest_s``: how long company may make a
    run of the less urgent; ``waits``: whether anybody may come for whom to wait.
    """
    first: Batch | None = None
    kinds: set[tuple[int, object]] = set()
    """Of batches that wait for company."""
    patience_s = NEVER
    for head in line:
        model = head.model
        kind = id(model), head.key
        if model.running >= model.most_runs or now + head.alone > head.deadline or (head.rows and kind in kinds):
            continue
        batch = _batch(head, line, now, machine, NEVER if head.priority == URGENT else longest_s)
        if batch.patience_s <= 0 or not waits:
            beside = first is None or (machine.free > 1 and all(one != id(model) for one, _ in kinds))
            return (batch if first is None or beside or batch.takes_s <= patience_s else first), None
        first = first or batch
        kinds.add(kind)
        patience_s = min(patience_s, batch.patience_s)
        if len(kinds) == _KINDS:
            break
    return None, None if first is None else patience_s


def _batch(head: Waiting, line: Iterable[Waiting], now: float, machine: Machine, longest_s: float) -> Batch:
    """The batch of ``head``: as large as its model takes, while nobody is late for it who was not so anyway."""
    first: Job = head.job
    model, times, key = first.model, first.model.times, first.key
    members, rows, beside = [head], first.rows, first.beside_s
    takes = times.mean(max(rows, 1)) + beside
    if not 0 < rows < model.most_rows:
        return Batch(members, takes, 0.0)
    soonest, latest, ahead = now + takes, head.deadline, 0.0
    for other in line:
        if other is head:
            continue
        alike = other.rows and other.model is model and rows + other.rows <= model.most_rows and other.key == key
        if alike and (head.priority != URGENT or other.priority == URGENT):  # no urgent one waits for less urgent rows
            together = times.mean(rows + other.rows) + beside + other.job.beside_s
            if together <= longest_s and now + together <= min(latest, other.deadline):
                members.append(other)
                rows, beside, takes = rows + other.rows, beside + other.job.beside_s, together
                latest = min(latest, other.deadline)
                continue
        # It runs after the batch, and after those like it that are before it in line.
        must_begin = other.deadline - max(other.cost, other.alone) - ahead
        if must_begin >= soonest:
            latest = min(latest, must_begin)
        ahead += other.cost / machine.executors
    if rows == model.most_rows or rows in model.preferred:
        return Batch(members, takes, 0.0)
    # For company it waits half the time that anybody can spare: the rest is for what nobody foresees.
    spare = (latest - takes - first.arrived) / 2
    return Batch(members, takes, first.arrived + min(model.delay_s, spare) - now)
