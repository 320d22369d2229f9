"""Durable: DBOS, which remembers what each job's workflow has done, and gives a dead worker's to a living one.

One workflow for each claim of a job, of two steps: its work, and its end. Nothing it keeps is ever read with pickle,
DBOS's default: whoever could write to the database would run code in every worker. Nothing leaves the hub.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from sqlalchemy import make_url

from edgewright import __version__
from edgewright.core.closing import Closing
from edgewright.core.errors import DiskFull, EdgewrightError, StorageError
from edgewright.core.files import storage
from edgewright.hub.database import no_room, postgresql
from edgewright.hub.state import State

for _name in [name for name in os.environ if name.startswith("DBOS")]:
    del os.environ[_name]  # it would send logs, workflows and who knows what to wherever these say

import dbos._serialization as serialization  # noqa: E402
import dbos._sys_db as system  # noqa: E402
from dbos import DBOS, DBOSConfig, Serializer, SetWorkflowID  # noqa: E402

SCHEMA = "edgewright_jobs"
_AT_ONCE = 1000
_LOG = logging.getLogger("edgewright.hub")
Work = Callable[[str, str, int], dict[str, Any]]
End = Callable[[str, str, int, dict[str, Any]], None]
Over = Callable[[str, int], None]
_does: tuple[Work, End, Over] | None = None
"""What the steps do in this process; DBOS is one to a process, too."""


def _refused(_: Any, __: str) -> Any:
    raise StorageError("the jobs' database holds what no release of Edgewright writes; it was changed by somebody else")


# A row may say of itself that it is pickled, whatever serializer is chosen.
serialization.DefaultSerializer.deserialize = _refused  # type: ignore[method-assign, assignment]


_ends = threading.Event()
"""Set while DBOS is ended here: then nothing is waited for."""


def _waits(before: Callable[[Exception], bool]) -> Callable[[Exception], bool]:
    return lambda error: not _ends.is_set() and (before(error) or no_room(error))


# It waits while PostgreSQL's disk is full, and writes a workflow off where SQLite's is: with it would go what its job
# has done. And it would go on waiting where the process is told to end.
for _name in ("retriable_sqlite_exception", "retriable_postgres_exception"):
    vars(system)[_name] = _waits(vars(system)[_name])


class Json(Serializer):
    """JSON values, and errors as their words."""

    def serialize(self, data: Any) -> str:
        """Raises TypeError for what is no JSON value."""
        return json.dumps({"error": str(data)[:500]} if isinstance(data, BaseException) else {"value": data})

    def deserialize(cls, serialized_data: str) -> Any:  # noqa: N805 - as DBOS declares it
        """What was serialized."""
        told = json.loads(serialized_data)
        return EdgewrightError(told["error"]) if "error" in told else told["value"]

    def name(self) -> str:
        """Kept with each value."""
        return "edgewright_json"


@DBOS.step(name="edgewright.work")
def _work(tenant: str, job: str, claim: int) -> dict[str, Any]:
    assert _does is not None  # noqa: S101 - launched with it
    return _does[0](tenant, job, claim)


@DBOS.step(name="edgewright.end")
def _end(tenant: str, job: str, claim: int, left: dict[str, Any]) -> None:
    assert _does is not None  # noqa: S101 - launched with it
    _does[1](tenant, job, claim, left)


@DBOS.workflow(name="edgewright.job", max_recovery_attempts=100)
def _job(tenant: str, job: str, claim: int) -> None:
    assert _does is not None  # noqa: S101 - launched with it
    try:
        _end(tenant, job, claim, _work(tenant, job, claim))
    finally:
        _does[2](job, claim)


class Durable(Closing):
    """DBOS in this process, as the executor ``worker``. One at a time. ``over`` hears that a workflow is, however it
    ended. Raises StorageError."""

    def __init__(self, state: State, worker: str, work: Work, end: End, over: Over) -> None:
        global _does
        _does = (work, end, over)
        _ends.clear()
        config: DBOSConfig = {
            "name": "edgewright", "system_database_url": _url(state), "dbos_system_schema": SCHEMA,
            "executor_id": worker, "application_version": __version__, "serializer": Json(), "enable_otlp": False,
            "use_listen_notify": False, "log_level": "ERROR", "sys_db_pool_size": 8,
        }  # fmt: skip
        try:
            self._dbos = DBOS(config=config)
            DBOS.launch()
        except Exception as error:
            with contextlib.suppress(Exception):
                DBOS.destroy()
            if no_room(error):
                raise DiskFull("the disk of the jobs' own database is full; free some space there") from error
            raise StorageError(
                f"the jobs' own database cannot be used ({type(error).__name__}); the hub's role may make schemas in "
                "it, or its file jobs.db may be written"
            ) from error
        for handler in logging.getLogger("dbos").handlers:
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))

    def start(self, tenant: str, job: str, claim: int) -> None:
        """Begin the workflow of this claim, here."""
        _apart(lambda: self._start(tenant, job, claim))

    def take_over(self, dead: str) -> None:
        """Have the workflows of a dead executor run by a living one. (3.4 has no public name for it.)"""
        _apart(lambda: DBOS._recover_pending_workflows([dead]))

    def forget(self, before: datetime, held: Collection[tuple[str, int]]) -> None:
        """Remove what it remembers of workflows that began before then, but for those of the claims that are held:
        the others could only find that theirs is over. Some thousand at a time; others may do the same."""
        _apart(lambda: forget(before, held))

    def _start(self, tenant: str, job: str, claim: int) -> None:
        try:
            with SetWorkflowID(_called(job, claim)):
                DBOS.start_workflow(_job, tenant, job, claim)
        except Exception:
            if _does is not None:
                _does[2](job, claim)
            raise

    def close(self) -> None:
        """End DBOS; workflows that run are waited for, and a database that does not answer is not."""
        _ends.set()
        DBOS.destroy(workflow_completion_timeout_sec=30)


def _called(job: str, claim: int) -> str:
    return f"{job}.{claim}"


def forget(before: datetime, held: Collection[tuple[str, int]]) -> int:
    """As ``Durable`` has it, at once; how many. (3.4 removes nothing by itself.)"""
    kept = {_called(job, claim) for job, claim in held}
    rows = DBOS.list_workflows(
        end_time=before.isoformat(), limit=_AT_ONCE + len(kept), load_input=False, load_output=False
    )
    gone = [row.workflow_id for row in rows if row.workflow_id not in kept]
    if gone:
        DBOS.delete_workflows(gone)
    return len(gone)


def _apart(work: Callable[[], object]) -> None:
    """Do it beside the caller, who has to go on: DBOS waits without end for a database that does not answer."""

    def tried() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever it is: what was not begun is handed back
            _LOG.error("workflows were not begun, taken over or forgotten, and are again", exc_info=error)

    threading.Thread(target=tried, name="edgewright-durable", daemon=True).start()


def _url(state: State) -> str:
    """Beside the hub's database: a file of its own with SQLite, a schema of its own with PostgreSQL."""
    url = make_url(state.database.url)
    if url.get_backend_name() == "sqlite":
        path = state.folder / "jobs.db"
        with storage(path):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            path.chmod(0o600)
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")  # kept in the file; DBOS leaves it as it is
        return f"sqlite:///{path.resolve()}"
    query = {name: str(value) for name, value in postgresql.dialled(url.query).items()}
    return url.set(drivername=postgresql.DRIVER, query=query).render_as_string(hide_password=False)
