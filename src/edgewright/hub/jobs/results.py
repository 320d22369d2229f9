"""What a job leaves: its report, its candidates, and a bundle in the library like any that was uploaded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select

from edgewright.bundles.archive import pack_files
from edgewright.bundles.names import KIND, MANIFEST, SIGNATURE
from edgewright.core.errors import EdgewrightError
from edgewright.core.files import read_file, scratch, storage
from edgewright.core.messages import LIMITS, BenchmarkResult, read
from edgewright.core.strict import parse_json
from edgewright.hub.accounts.audit import HUB, tell
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Conflict
from edgewright.hub.jobs.found import found
from edgewright.hub.jobs.inputs import inputs
from edgewright.hub.jobs.keys import job_key
from edgewright.hub.jobs.queue import held, move
from edgewright.hub.jobs.tables import Job, Saved, Worker
from edgewright.hub.jobs.telling import enter, sound_candidate
from edgewright.hub.library import bundles
from edgewright.hub.library.bundles import Arrived
from edgewright.hub.objects import expect, object_name, objects, work_folder
from edgewright.hub.state import State
from edgewright.trust import sign

_REPORT_BYTES, _FILE_BYTES = 2**26, 2**31
_SHOWN = ("id", "recipe", "engine", "feasible", "metrics")


def collect(state: State, tenant: str, out: Path) -> dict[str, Any]:
    """Store what the run in ``out`` left; the job's result as JSON, with ``files`` and the digest of its bundle. Done
    twice it is the same. Raises StorageError, TrustError, InputError."""
    report = parse_json(read_file(out / "report.json", _REPORT_BYTES), _REPORT_BYTES)
    result, files = found(report), {}
    for which, name in (("report", "report.json"), ("page", "report.html")):
        files[which] = _stored(state, tenant, out / name)
    if result["best"] is not None:
        try:
            result["bundle"] = _bundle(state, tenant, out / "bundle")
        except Conflict as error:
            result["notes"].append(f"its bundle did not enter the library: {error}")
    return {"result": result, "files": files}


def settle(state: State, tenant: str, job: str, claim: int, worker: str, left: Mapping[str, Any]) -> bool:
    """End the job with what ``collect`` found; False where it is another's by now."""
    now, entries = state.clock(), _entries(state, tenant, left["files"]["report"])
    with state.database.write(tenant) as session:
        row = held(session, job, claim, worker)
        if row is None:
            return False
        enter(session, job, entries)
        row.report, row.page, row.result = left["files"]["report"], left["files"]["page"], dict(left["result"])
        best = entries.get(str(row.result["best"]))
        if best is not None:
            row.progress = row.progress | {"best": {name: best.get(name) for name in _SHOWN}}
        _forget_caches(session, row)
        won = row.result["best"] is not None
        if won:
            inputs(state).optimized(session, row.version)
        reason = "" if won else why(row.result, entries.values(), bool(row.wish.get("only")))
        move(session, row, "done" if won else "infeasible", now, reason)
        tell(session, HUB, "job.ended", job, now, {"state": row.state, "bundle": row.result["bundle"]})
    return True


def measured(path: Path) -> dict[str, Any]:
    """A benchmark's result. Its process read strangers' files: it is read like a device's. Raises InputError."""
    return read(BenchmarkResult, read_file(path, LIMITS["BenchmarkResult"])).to_json()


def settle_measured(
    state: State, tenant: str, job: str, claim: int, worker: str, result: Mapping[str, Any]
) -> bool:  # fmt: skip
    """End a benchmark or profile with what was measured; False where it is another's by now."""
    with state.database.write(tenant) as session:
        row = held(session, job, claim, worker)
        if row is None:
            return False
        host = session.scalars(select(Worker.host).where(Worker.id == worker)).one_or_none()
        row.result, row.progress = dict(result), row.progress | {"host": host or ""}
        move(session, row, "done", state.clock())
    return True


def why(result: Mapping[str, Any], entries: Iterable[Mapping[str, Any]] = (), alone: bool = False) -> str:
    """What stood in the way, and what to do; ``entries``: the candidates, as the report has them; ``alone``: one was
    asked for."""
    bound = result["binding"]
    refused = [str(one["refused"][0])[:400] for one in entries if one.get("refused")]
    if refused and (bound is None or bound["kept"]):
        return f"{'it was refused' if len(refused) == 1 else 'the last one was refused'}: {refused[-1]}"
    if result["stopped"] and not result["nearest"]:
        return "there was time to measure the original alone, and it does not keep every limit; give it more time"
    if bound is None or bound["value"] is None:
        return "nothing kept every limit; loosen one, or give it more time"
    sign_ = "<=" if bound["sense"] == "max" else ">="
    limit = f"{bound['metric']} {sign_} {bound['limit']:.4g} {bound['unit']}"
    if alone:
        return f"it does not keep {limit}, but has {bound['value']:.4g}; choose another one, or loosen that limit"
    return f"nothing kept {limit} (the nearest: {bound['value']:.4g}); loosen that limit, or give it more time"


def _entries(state: State, tenant: str, place: str) -> dict[str, dict[str, Any]]:
    digest, _, length = place.partition("/")
    data = objects(state).read(tenant, f"reports/{digest}", 0, int(length))
    return {one["id"]: one for one in parse_json(data, _REPORT_BYTES)["candidates"] if sound_candidate(one)}


def _stored(state: State, tenant: str, path: Path) -> str:
    """The file in the store; ``SHA256/BYTES``."""
    data = read_file(path, _REPORT_BYTES)
    digest = hashlib.sha256(data).hexdigest()
    name = object_name("reports", digest)
    expect(state, tenant, name)
    with scratch("report", work_folder(state)) as place, storage(place):
        (place / "file").write_bytes(data)
        objects(state).put(tenant, name, place / "file")
    return f"{digest}/{len(data)}"


def _bundle(state: State, tenant: str, folder: Path) -> str:
    """The bundle in ``folder``, sealed by the hub's key for jobs, in the library; the digest of its manifest. It was
    made by a process that read strangers' files, so the library verifies it like a stranger's."""
    key = job_key(state, tenant)
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise EdgewrightError("the bundle holds a link")
        if path.is_file():
            files[str(path.relative_to(folder))] = read_file(path, _FILE_BYTES)
    files[SIGNATURE] = sign(files[MANIFEST], KIND, key)
    data = pack_files(files)
    with scratch("job", work_folder(state)) as place:
        packed = place / "bundle.ewb"
        with storage(packed):
            packed.write_bytes(data)
        arrived = Arrived(packed, hashlib.sha256(data).hexdigest(), len(data))
        facts = bundles.inspect(state, tenant, arrived, key.public)
        if facts is not None:
            bundles.keep(state, tenant, arrived)
        with state.database.write(tenant) as session:
            if facts is None:
                return bundles.same(session, arrived).digest
            row, new = bundles.enter(session, arrived, facts, key.public, state.clock())
            if new:
                told = {"name": row.name, "version": row.version, "file": row.file, "signer": row.signer}
                tell(session, HUB, "bundle.made", row.digest, state.clock(), told)
            return row.digest


def _forget_caches(session: Scoped, row: Job) -> None:
    for saved in session.scalars(select(Saved).where(Saved.content == row.content)):
        session.delete(saved)


def named(session: Scoped, name: str | None = None) -> set[str]:
    """The objects that jobs' rows name, or ``name`` alone if one does (``objects.Named``)."""
    found = set[str]()
    for report, page in session.execute(select(Job.report, Job.page).where(Job.report != "")):
        found |= {f"reports/{one.partition('/')[0]}" for one in (report, page)}
    found |= {place.partition(":")[0] for place in session.scalars(select(Saved.object))}
    return found if name is None else found & {name}
