"""What the routes of profiles take and tell."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from edgewright.hub.web.bodies import Answer, Body, Id, Moment

MOST_SECONDS = 3600.0
_VER = "ver_01jd7x3w9q4e5r6t7y8a9b0c1d"
_DAT, _JOB, _USR = (_VER.replace("ver", kind) for kind in ("dat", "job", "usr"))
_WHEN = "2026-11-22T09:30:00.000Z"


class NewLayerProfile(Body):
    """``dataset``: what layers are timed and their sensitivity is measured on; without one there are times alone, on
    noise. ``seconds``: how long it may take, about; what is known by then is kept."""

    dataset: Id | None = None
    seconds: Annotated[float, Field(ge=1, le=MOST_SECONDS, allow_inf_nan=False)] = 60.0

    model_config = ConfigDict(json_schema_extra={"examples": [{"dataset": _DAT, "seconds": 60.0}, {"dataset": None}]})


class LayerOperator(Answer):
    """An operator that the engine ran. ``layers``: the layers it stands for, by their names in the graph: several share
    its time where they were fused, none where the engine added it. ``ms``: of one run, a median over short rounds;
    ``share``: of all operators together."""

    name: str
    op: str
    kernel: str
    ms: float
    share: float
    layers: list[str]


class LayerSensitivity(Answer):
    """A layer, and the SQNR in dB of the answers with it alone in INT8: the lower, the more it loses."""

    layer: str
    sqnr_db: float


class LayersMeasured(Answer):
    """What was measured: ``operators``, the slowest first; ``sensitivity``, the most sensitive first, and ``why`` there
    is none or not all. ``timed_on``: inputs of the dataset or noise; ``samples``: how many calibrated;
    ``host``, ``machine``: where; ``at``: when."""

    dataset: str | None
    host: str
    at: Moment | None
    operators: list[LayerOperator]
    sensitivity: list[LayerSensitivity]
    why: str
    timed_on: Literal["dataset", "noise"]
    samples: int
    engine: str
    threads: int
    machine: dict[str, Any]
    notes: list[str]


_MEASURED: dict[str, Any] = {
    "dataset": _DAT, "host": "bench-2", "at": _WHEN, "why": "", "timed_on": "dataset", "samples": 64,
    "operators": [{"name": "relu_nchwc", "op": "Conv", "kernel": "CPU", "ms": 0.325, "share": 0.565,
                   "layers": ["conv_1", "relu_1"]}],
    "sensitivity": [{"layer": "conv_1", "sqnr_db": 45.3}], "engine": "onnxruntime", "threads": 1,
    "machine": {"cores": 4}, "notes": [],
}  # fmt: skip


class LayerProfile(Answer):
    """The newest measurement of a version's layers. ``reason``: why it waits or failed; ``stage``: times or
    sensitivity, of which ``tried`` layers are done. ``result``: of the last one that was done, an earlier one while the
    newest is not."""

    version: str
    job: str
    state: Literal["queued", "running", "stopping", "done", "failed", "cancelled"]
    reason: str
    dataset: str | None
    seconds: float
    host: str
    stage: str
    tried: int
    elapsed_s: float
    by: str
    made: Moment
    ended: Moment | None
    result: LayersMeasured | None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "version": _VER, "job": _JOB, "state": "done", "reason": "", "dataset": _DAT, "seconds": 60.0,
                    "host": "bench-2", "stage": "sensitivity", "tried": 1, "elapsed_s": 2.1, "by": _USR, "made": _WHEN,
                    "ended": _WHEN, "result": _MEASURED,
                }
            ]
        }
    )  # fmt: skip
