"""Benchmarks on devices: asked for one after the other, as part of what a device is told; answered once each.

A device runs what was signed for it and nothing else, so it measures bundles that it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import defer

from edgewright.core.messages import BenchmarkResult
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Absent
from edgewright.hub.events import emit
from edgewright.hub.fleet.desired import revise
from edgewright.hub.fleet.tables import Device, DeviceBenchmark
from edgewright.hub.ids import new_id

KIND = "benchmark"
OPEN = ("waiting", "asked")


def ask(
    session: Scoped, benchmark: str, devices: Iterable[Device], bundles: Sequence[str], seconds: float, seed: int,
    now: datetime,
) -> list[DeviceBenchmark]:  # fmt: skip
    """Have these (locked) devices measure the bundles side by side, each when it comes to it. Ring the ``news`` after
    the commit."""
    asked = {"bundles": list(bundles), "seconds": seconds, "seed": seed}
    made = []
    for device in devices:
        row = DeviceBenchmark(
            id=new_id("dbm"), benchmark=benchmark, device=device.name, number=0, state="waiting", reason="",
            asked=asked, result=None, made=now, ended=None,
        )  # fmt: skip
        session.add(row)
        made.append(row)
        session.flush()
        _next(session, device)
    return made


def take(session: Scoped, device: str, number: int, result: BenchmarkResult, now: datetime) -> None:
    """What came of a request; one that was answered already, or is wanted no more, changes nothing. Raises Absent when
    there was no such request."""
    locked = session.lock(Device, device)  # first: an answer that comes twice at once is one
    row = session.scalars(
        select(DeviceBenchmark).where(DeviceBenchmark.device == device, DeviceBenchmark.number == number)
    ).one_or_none()
    if row is None or number == 0:
        raise Absent("nobody asked for this")
    if row.state == "asked":
        row.result = result.to_json() | {"number": 0}
        _end(session, row, "failed" if result.why else "done", result.why, now)
        _next(session, locked)


def drop(session: Scoped, benchmark: str, now: datetime) -> int:
    """Nobody wants what is still to be measured of it; on how many devices. Ring the ``news`` after the commit."""
    query = select(DeviceBenchmark).where(DeviceBenchmark.benchmark == benchmark, DeviceBenchmark.state.in_(OPEN))
    rows = session.scalars(query.order_by(DeviceBenchmark.device)).all()
    for row in rows:
        device = session.lock(Device, row.device)
        _end(session, row, "cancelled", "it was cancelled", now)
        _next(session, device)
    return len(rows)


def end_all(session: Scoped, device: Device, now: datetime) -> None:
    """The device was revoked: it measures nothing any more."""
    mine = (DeviceBenchmark.device == device.name) & DeviceBenchmark.state.in_(OPEN)
    session.execute(
        update(DeviceBenchmark).where(mine).values(state="failed", reason="the device was revoked", ended=now)
    )


def parts(session: Scoped, benchmarks: Sequence[str], results: bool) -> list[DeviceBenchmark]:
    """What devices have of these benchmarks, by device; without ``results`` that is not read."""
    query = select(DeviceBenchmark).where(DeviceBenchmark.benchmark.in_(benchmarks))
    query = query if results else query.options(defer(DeviceBenchmark.result))
    return list(session.scalars(query.order_by(DeviceBenchmark.device))) if benchmarks else []


def _next(session: Scoped, device: Device) -> None:
    """Tell the device of the one that waits longest, unless it is at one; of none when none waits."""
    session.flush()
    mine = select(DeviceBenchmark).where(DeviceBenchmark.device == device.name, DeviceBenchmark.state.in_(OPEN))
    rows = session.scalars(mine.order_by(DeviceBenchmark.id)).all()
    if any(row.state == "asked" for row in rows):
        return
    told: dict[str, Any] = {key: value for key, value in device.collect.items() if key != KIND}
    if rows:
        revise(session, [device])  # its number is a revision: none of them is given twice, whatever is restored
        rows[0].state, rows[0].number = "asked", device.revision
        told |= {KIND: {"number": device.revision, **rows[0].asked}}
    elif KIND in device.collect:
        revise(session, [device])
    device.collect = told


def _end(session: Scoped, row: DeviceBenchmark, state: str, reason: str, now: datetime) -> None:
    row.state, row.reason, row.ended = state, reason, now
    session.flush()
    emit(session, "benchmark.state", row.benchmark, {"device": row.device, "state": state, "reason": reason}, now)
