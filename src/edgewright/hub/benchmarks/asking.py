"""Asking: a benchmark's rows, its job for a worker, its part for each device; all of them in one transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from edgewright.core.digests import digest_json
from edgewright.core.errors import InputError
from edgewright.hub import library, models, plans
from edgewright.hub.accounts.access import Caller
from edgewright.hub.benchmarks.tables import Benchmark
from edgewright.hub.benchmarks.told import MOST_DEVICES, NewBenchmark
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Conflict
from edgewright.hub.fleet import benchmarks as fleet
from edgewright.hub.fleet.tables import Device
from edgewright.hub.ids import new_id
from edgewright.hub.jobs.queue import add, room


def begin(caller: Caller, session: Scoped, body: NewBenchmark) -> Benchmark:
    """The benchmark, on its way everywhere. Raises Absent, Conflict, InputError."""
    plans.check(session, caller.now, "benchmarks_a_day")
    subjects = [_subject(session, one) for one in dict.fromkeys(body.subjects)]
    devices = _devices(session, body)
    if not body.hub and not devices:
        raise InputError("it is to be measured nowhere; say hub, or name devices or a group")
    if devices:
        _runnable(session, subjects)
    wish = {"subjects": subjects, "budget_s": body.seconds, "seed": body.seed}
    row = Benchmark(
        id=new_id("bmk"), name=body.name, subjects=subjects, seconds=body.seconds, seed=body.seed, job="",
        by=caller.user, made=caller.now,
    )  # fmt: skip
    if body.hub:
        room(session, 1)
        needs = {"engines": sorted({engine for one in subjects for engine in _engines(session, one)})}
        asked = {"benchmark": row.id, **wish}
        job = add(session, "benchmark", asked, needs, digest_json(row.id), caller.user, caller.now)
        row.job = job.id
    session.add(row)
    session.flush()
    bundles = [one["id"] for one in subjects]
    fleet.ask(session, row.id, devices, bundles, body.seconds, body.seed, caller.now)
    told = {"subjects": bundles, "hub": body.hub, "devices": [device.name for device in devices]}
    caller.tell(session, "benchmark.made", row.id, told)
    return row


def _subject(session: Scoped, id_: str) -> dict[str, Any]:
    if "_" not in id_:
        bundle = library.find(session, id_)
        return {"id": id_, "kind": "bundle", "name": f"{bundle.name} {bundle.version}"}
    version = models.take_version(session, id_)
    return {"id": id_, "kind": "version", "name": models.name_of(session, version)}


def _engines(session: Scoped, subject: dict[str, Any]) -> list[str]:
    """A bundle runs on the first of its engines; a model as it was uploaded on ONNX Runtime."""
    return library.find(session, subject["id"]).engines[:1] if subject["kind"] == "bundle" else ["onnxruntime"]


def _devices(session: Scoped, body: NewBenchmark) -> list[Device]:
    names = set(body.devices)
    if body.group:
        mine = select(Device.name).where(Device.group == body.group, Device.revoked.is_(None))
        found = session.scalars(mine.limit(MOST_DEVICES + 1)).all()
        if not found:
            raise InputError(f"there is no device in the group {body.group!r}")
        names |= set(found)
    if len(names) > MOST_DEVICES:
        raise InputError(f"a benchmark runs on at most {MOST_DEVICES} devices; name some of them")
    devices = [session.lock(Device, name) for name in sorted(names)]
    revoked = [device.name for device in devices if device.revoked is not None]
    if revoked:
        raise Conflict(f"{', '.join(revoked[:5])} was revoked; leave it out")
    return devices


def _runnable(session: Scoped, subjects: list[dict[str, Any]]) -> None:
    """Devices run what was signed for them. Raises Conflict."""
    for one in subjects:
        if one["kind"] == "version":
            told = "is a model as it was uploaded; devices measure bundles, so ask the hub alone, or release it first"
            raise Conflict(f"{one['name']} {told}")
        if not library.signed(session, one["id"]):
            raise Conflict(f"{one['name']} was never released, so no device may run it; ask the hub alone")
