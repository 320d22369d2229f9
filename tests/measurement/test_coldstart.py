"""Cold start in fresh processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgewright.core.samples import drawn_requests
from edgewright.measurement import fresh as fresh_module
from edgewright.measurement.coldstart import cold_start, measure_cold_start
from edgewright.measurement.fresh import Fresh, observe
from edgewright.measurement.subject import Subject
from edgewright.testing.build import Build


def negative():
    build = Build()
    x = build.input("x", [1, 4])
    build.output(build.node("Neg", x), [1, 4])
    return build.model()


def one(start: float, cold_disk: bool = False) -> Fresh:
    return Fresh(50.0, 1.0, start - 3.0, 2.0, 0.1, 400.0, 10, 20, None, "VmHWM, reset", cold_disk, "CPU")


@pytest.mark.parametrize(
    ("cold", "says"),
    [([False] * 3, "warm"), ([True] * 3, "model dropped"), ([True, False, True], "model dropped in 2 runs")],
)
def test_the_start_is_reading_opening_and_answering_and_says_what_the_cache_held(cold: list[bool], says: str):
    found = cold_start([one(s, c) for s, c in zip((10.0, 30.0, 12.0), cold, strict=True)], subject="abc")
    assert (found.value, found.low, found.high, found.n) == (12.0, 10.0, 30.0, 3)
    assert (found.unit, found.kind, found.subject) == ("ms", "measured", "abc")
    told = found.conditions
    assert told["page_cache"] == says
    assert told["import_ms"] == 50.0  # apart, not in the figure
    assert told["open_ms"] == 9.0


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_real_start_adds_up(engine: str):
    model = negative()
    seen = observe({"m": Subject(model, engine)}, drawn_requests(model.signature, 2), runs=1, cold_disk=True)["m"]
    run = seen[0]
    assert run.start_ms == run.read_ms + run.open_ms + run.first_ms
    assert run.import_ms > 0
    assert run.process_ms > run.start_ms + run.import_ms
    assert run.cold_disk in (True, False)


def test_runs_of_several_subjects_come_in_rounds_and_stop_at_the_checkpoint():
    model = negative()
    pair = {"a": Subject(model), "b": Subject(model)}
    found = measure_cold_start(pair, drawn_requests(model.signature, 1), runs=9, checkpoint=lambda: False)
    assert {name: m.n for name, m in found.items()} == {"a": 1, "b": 1}
    assert found["a"].conditions["interval"] == "one run"


def test_a_file_counts_as_forgotten_only_when_the_kernel_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "model"
    path.write_bytes(b"x" * 100_000)

    def still_there(*_: object) -> int:
        return 1

    def gone(*_: object) -> int:
        raise BlockingIOError

    def silent(*_: object) -> int:
        raise OSError(95, "not supported")

    for answer, forgotten in ((still_there, False), (gone, True), (silent, False)):
        monkeypatch.setattr(os, "preadv", answer)
        assert fresh_module._forget(path) is forgotten
