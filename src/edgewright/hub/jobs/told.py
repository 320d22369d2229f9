"""What the jobs' routes take and tell."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from edgewright.hub.jobs.rules import Able, nobody
from edgewright.hub.web.bodies import Answer, Body, Id, Moment, Told, Words

Target = Annotated[Words, Field(min_length=1, max_length=120)]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:+-]{0,119}$")]
State = Literal["queued", "running", "stopping", "done", "infeasible", "failed", "cancelled"]
Limit = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
_VERSION = "ver_01jd7x3w9q4e5r6t7y8a9b0c1d"
_DATA, _JOB = _VERSION.replace("ver", "dat"), _VERSION.replace("ver", "job")
_WISH: dict[str, Any] = {"limits": {"max_latency_ms": 5.0, "max_accuracy_drop": 1.0}, "budget_s": 120.0}


class SearchLimits(Body):
    """Upper limits; MB are 10^6 bytes; ``max_accuracy_drop`` is in points, without it 95% of the baseline is kept."""

    max_latency_ms: Limit | None = None
    max_size_mb: Limit | None = None
    max_memory_mb: Limit | None = None
    max_energy_mj: Limit | None = None
    max_accuracy_drop: Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)] | None = None


class SearchPreference(Body):
    """Weights by which one is chosen among those that keep all limits."""

    latency: Weight = 0.0
    size: Weight = 0.0
    memory: Weight = 0.0
    energy: Weight = 0.0
    accuracy: Weight = 0.0


class Search(Body):
    """How to search. ``engines``: only these; ``keep_structure``: channels stay as they are; ``metric``: by name
    (null: chosen from the labels); ``name``: of the bundle ("": the model file's); ``priority``: higher goes first
    among the tenant's own."""

    limits: Annotated[SearchLimits, Field(default_factory=SearchLimits)]
    preference: SearchPreference | None = None
    budget_s: Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)] = 300.0
    seed: Annotated[int, Field(ge=0, lt=2**53)] = 0
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    engines: Annotated[list[Word], Field(max_length=16, default_factory=list)]
    keep_structure: bool = False
    metric: Word | None = None
    name: Annotated[Words, Field(max_length=64)] = ""
    priority: Annotated[int, Field(ge=-10, le=10)] = 0

    def wish(self) -> dict[str, Any]:
        """As the row keeps it."""
        told: dict[str, Any] = self.model_dump(include=set(Search.model_fields))
        return told


class NewOptimization(Search):
    """A search for the best way to run a version on a target within limits, judged on a dataset. ``target``: the
    name of a target or a profile, or a profile's id; ``host`` is the machine of the worker that takes the job."""

    version: Id
    dataset: Id
    target: Target = "host"

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"version": _VERSION, "dataset": _DATA, "target": "raspberry-pi-4", **_WISH},
                {"version": _VERSION, "dataset": _DATA},
            ]
        }
    )


class NewBatch(Search):
    """The same search for each version on each target, at most a hundred jobs."""

    versions: Annotated[list[Id], Field(min_length=1, max_length=100)]
    dataset: Id
    targets: Annotated[list[Target], Field(min_length=1, max_length=100)]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"versions": [_VERSION], "dataset": _DATA, "targets": ["host", "raspberry-pi-4"], **_WISH},
            ]
        }
    )


class CancelJob(Body):
    """``keep``: stop the search where it stands and hand back the best so far; else nothing of it is kept but the
    measurements, for a retry."""

    keep: bool = False

    model_config = ConfigDict(json_schema_extra={"examples": [{"keep": True}, {"keep": False}]})


_TOLD: dict[str, Any] = {
    "id": _JOB, "kind": "optimization", "state": "done", "reason": "", "version": _VERSION, "dataset": _DATA,
    "target": "host", "wish": {**_WISH, "seed": 0, "threads": 1, "engines": [], "priority": 0}, "priority": 0,
    "progress": {"stage": "gates and report", "tried": 12, "elapsed_s": 58.2, "left_s": 61.8, "best": None,
                 "baseline": None},
    "result": {"best": "0f3a5c7e9b1d", "pareto": ["0f3a5c7e9b1d"], "nearest": [], "binding": None, "bundle": "9f" * 32,
               "notes": [], "stopped": "", "elapsed_s": 70.1},
    "worker": "wrk_01jd7x3w9q4e5r6t7y8a9b0c1d", "attempts": 1, "by": "usr_01jd7x3w9q4e5r6t7y8a9b0c1d",
    "made": "2026-11-21T09:30:00.000Z", "began": "2026-11-21T09:30:01.000Z", "ended": "2026-11-21T09:31:10.000Z",
}  # fmt: skip


class JobTold(Told):
    """A job. ``reason``: why it waits, failed or found nothing, and what to do; ``progress``: where it stands, times in
    s, ``best`` and ``baseline`` as in its report; ``result``: ids of candidates, ``bundle``: the digest of what entered
    the library, where it waits for its signature like any other."""

    id: str
    kind: str
    state: State
    reason: str
    version: str
    dataset: str
    target: str
    wish: dict[str, Any]
    priority: int
    progress: dict[str, Any]
    result: dict[str, Any] | None
    worker: str | None
    attempts: int
    by: str
    made: Moment
    began: Moment | None
    ended: Moment | None

    model_config = ConfigDict(json_schema_extra={"examples": [_TOLD]})

    also = ("needs",)
    ready = ("wish", "progress", "result")

    @classmethod
    def adapt(cls, row: dict[str, Any], live: Collection[Able]) -> dict[str, Any]:
        """``live``: what the workers can, for why it waits."""
        why = nobody(row["needs"], live) if row["state"] == "queued" else ""
        row["reason"] = why or row["reason"]
        return row


class BatchTold(Answer):
    """The jobs of a batch."""

    jobs: list[JobTold]


class CandidateTold(Told):
    """A candidate as the report has it; ``number`` is the order in which they were measured."""

    number: int
    candidate: dict[str, Any]

    also = ready = ("told",)

    @classmethod
    def adapt(cls, row: dict[str, Any]) -> dict[str, Any]:
        """It is kept as it is told."""
        return {**row, "candidate": row["told"]}


class WorkerTold(Told):
    """A process that does jobs. ``running``: your own jobs on it; ``helping``: your own whose searches it helps;
    ``slots``: how many it does at a time."""

    id: str
    host: str
    engines: list[str]
    accelerators: list[str]
    cores: int
    memory_bytes: int
    slots: int
    running: list[str]
    helping: list[str]
    seen: Moment
    state: Literal["live", "leaving", "lost"]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "wrk_01jd7x3w9q4e5r6t7y8a9b0c1d", "host": "bench-2", "engines": ["onnxruntime"],
                    "accelerators": [], "cores": 8, "memory_bytes": 33_000_000_000, "slots": 1, "running": [_JOB],
                    "helping": [], "seen": "2026-11-21T09:30:00.000Z", "state": "live",
                }
            ]
        }
    )  # fmt: skip

    @classmethod
    def adapt(
        cls, row: dict[str, Any], running: Mapping[str, list[str]], helping: Mapping[str, list[str]]
    ) -> dict[str, Any]:  # fmt: skip
        """``running``, ``helping``: of the caller's tenant, by worker."""
        return {**row, "running": running.get(row["id"], []), "helping": helping.get(row["id"], [])}
