"""What the routes of benchmarks take and tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from edgewright.core.messages.benchmarks import MOST_SECONDS, MOST_SUBJECTS
from edgewright.hub.benchmarks.finding import state_of
from edgewright.hub.fleet.words import DeviceName, Word
from edgewright.hub.web.bodies import Answer, Body, Moment, Told, Words

MOST_DEVICES = 100
Subject = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64}|[a-z]{3}_[0-9a-z]{26})$")]
State = Literal["running", "done", "failed", "cancelled"]
_BMK, _VER, _USR = (f"{kind}_01jd7x3w9q4e5r6t7y8a9b0c1d" for kind in ("bmk", "ver", "usr"))
_D = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
_WHEN = "2026-11-22T09:30:00.000Z"
_ASKED: dict[str, Any] = {"name": "before the release", "seconds": 10.0, "seed": 0}
_SUBJECTS: list[Any] = [
    {"id": _VER, "kind": "version", "name": "digits v1"},
    {"id": _D, "kind": "bundle", "name": "digits 1.2.0"},
]
_FIGURE: dict[str, Any] = {"value": 0.081, "low": 0.080, "high": 0.082, "n": 5200, "unit": "ms", "kind": "measured"}
_BENCHED: dict[str, Any] = {
    "subject": _D, "engine": "onnxruntime", "metrics": {"latency_ms": _FIGURE}, "missing": {}, "rounds": 800,
    "ratio": [0.45, 0.44, 0.46], "distribution_ms": [0.078, 0.081, 0.14], "notes": [], "why": "",
}  # fmt: skip


class NewBenchmark(Body):
    """``subjects``: ids of versions and digests of bundles, the first is the baseline; ``hub``: on a worker of the hub;
    ``devices`` and the devices of ``group``: on these, which take bundles they have and nothing else. ``seconds``: how
    long each place measures, about."""

    subjects: Annotated[list[Subject], Field(min_length=1, max_length=MOST_SUBJECTS)]
    hub: bool = True
    devices: Annotated[list[DeviceName], Field(max_length=MOST_DEVICES, default_factory=list)]
    group: Word = ""
    seconds: Annotated[float, Field(ge=1, le=MOST_SECONDS, allow_inf_nan=False)] = 10.0
    seed: Annotated[int, Field(ge=0, lt=2**53)] = 0
    name: Annotated[Words, Field(max_length=120)] = ""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"subjects": [_VER, _D], **_ASKED},
                {"subjects": [_D], "hub": False, "devices": ["press-1", "press-2"], **_ASKED},
            ]
        }
    )


class SubjectTold(Answer):
    """What is measured. ``id``: a version's, or a bundle's digest."""

    id: str
    kind: Literal["version", "bundle"]
    name: str


class PlaceTold(Answer):
    """Where it is measured: ``name`` is a device's, or that of the machine whose worker took it ("" until one has).
    ``reason``: why it waits, or failed."""

    kind: Literal["hub", "device"]
    name: str
    state: Literal["waiting", "asked", "queued", "running", "stopping", "done", "failed", "cancelled"]
    reason: str


class PlaceWhole(PlaceTold):
    """With what was measured, as ``BenchmarkResult`` in the device protocol: ``subjects`` with ``metrics``, the
    ``ratio`` to the first and quantiles ``distribution_ms``; ``machine``: what it was and how busy."""

    result: dict[str, Any] | None


class BenchmarkTold(Told):
    """A benchmark. ``state`` is done when a place is, and none still measures."""

    id: str
    name: str
    subjects: list[SubjectTold]
    seconds: float
    seed: int
    state: State
    places: list[PlaceTold]
    by: str
    made: Moment

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _BMK, **_ASKED, "subjects": _SUBJECTS, "state": "done", "by": _USR, "made": _WHEN,
                    "places": [{"kind": "hub", "name": "bench-2", "state": "done", "reason": ""}],
                }
            ]
        }
    )  # fmt: skip

    also = ("job",)

    @classmethod
    def adapt(cls, row: dict[str, Any], there: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
        """``there``: where each is measured, by its id."""
        places = there[row["id"]]
        return {**row, "state": state_of(places), "places": places}


class BenchmarkWhole(BenchmarkTold):
    """A benchmark with what was measured."""

    places: list[PlaceWhole]  # type: ignore[assignment]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _BMK, **_ASKED, "subjects": _SUBJECTS, "state": "done", "by": _USR, "made": _WHEN,
                    "places": [
                        {
                            "kind": "hub", "name": "bench-2", "state": "done", "reason": "",
                            "result": {"number": 0, "subjects": [_BENCHED], "machine": {"cores": 4}, "why": ""},
                        }
                    ],
                }
            ]
        }
    )  # fmt: skip


class SeenTold(Answer):
    """One version in a run. ``metrics`` by name as in a report or benchmark; ``ratio``: its latency over the first
    one's, with the ends of its 95% interval, where the run took it so."""

    engine: str
    metrics: dict[str, Any]
    ratio: list[float] | None


class RunTold(Answer):
    """A run that measured several of the versions asked for: a ``benchmark``, or the ``search`` that one of them was
    kept from, by ``id``. ``place``: the device, machine or target; ``seen``: in the order in which they were asked for,
    null for one that it had not."""

    kind: Literal["benchmark", "search"]
    id: str
    name: str
    place: str
    made: Moment
    seen: list[SeenTold | None]


class Together(Answer):
    """Versions as they were measured side by side; ``runs``: that with most of them first, of each place the latest."""

    runs: list[RunTold]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "runs": [
                        {
                            "kind": "benchmark", "id": _BMK, "name": "", "place": "bench-2", "made": _WHEN,
                            "seen": [
                                {"engine": "tflite", "metrics": {"latency_ms": _FIGURE}, "ratio": [1, 1, 1]},
                                {"engine": "onnxruntime", "metrics": {"latency_ms": _FIGURE}, "ratio": [2, 1.9, 2.1]},
                            ],
                        }
                    ]
                }
            ]
        }
    )  # fmt: skip
