"""Energy counted where there are counters, estimated from power figures where not; never the one for the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgewright.core.errors import InputError
from edgewright.measurement import Effort, Plan, Subject, drawn_requests, measure_all, suite
from edgewright.measurement.energy import Domain, Meter, energy_meter, measure_energy
from edgewright.targets import target
from edgewright.testing.build import Build
from edgewright.testing.clockwork import FakeClock, FakeSession

INPUTS = [{"x": np.zeros(1, np.float32)}]
MS = 1_000_000


def zone(folder: Path, name: str, energy: int, limit: int | None = 1000) -> Path:
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{energy}\n")
    if limit is not None:
        (folder / "max_energy_range_uj").write_text(f"{limit}\n")
    return folder


def test_packages_and_their_memory_add_up_and_nothing_counts_twice(tmp_path: Path):
    base = tmp_path / "sys/class/powercap"
    first = zone(base / "intel-rapl:0", "package-0", 900)
    zone(first / "intel-rapl:0:0", "core", 500)
    zone(first / "intel-rapl:0:1", "dram", 100, limit=None)
    zone(base / "intel-rapl:1", "package-1", 50)
    zone(base / "intel-rapl:2", "psys", 9999)
    meter = energy_meter(tmp_path)
    assert meter is not None
    assert [d.name for d in meter.domains] == ["package-0", "package-0 dram", "package-1"]
    assert meter.domains[1].range_uj == 1 << 32
    assert meter.read() == (900, 100, 50)


def test_a_board_counter_serves_where_packages_have_none(tmp_path: Path):
    zone(tmp_path / "sys/class/powercap/intel-rapl:0", "psys", 1)
    meter = energy_meter(tmp_path)
    assert meter is not None
    assert [d.name for d in meter.domains] == ["psys"]


@pytest.mark.parametrize("content", [None, "", "no number"])
def test_no_counter_or_one_that_cannot_be_read_is_no_meter(tmp_path: Path, content: str | None):
    if content is not None:
        folder = zone(tmp_path / "sys/class/powercap/intel-rapl:0", "package-0", 1)
        (folder / "energy_uj").write_text(content)
    assert energy_meter(tmp_path) is None


@pytest.mark.parametrize(("before", "after", "joules"), [((10, 0), (30, 0), 20e-6), ((990, 5), (15, 10), 30e-6)])
def test_a_counter_that_starts_again_is_added_right(before: tuple[int, int], after: tuple[int, int], joules: float):
    meter = Meter((Domain("a", Path("a"), 1000), Domain("b", Path("b"), 500)))
    assert meter.joules(before, after) == pytest.approx(joules)


def test_energy_of_a_sample_is_what_the_counter_saw(tmp_path: Path):
    clock = FakeClock()
    path = zone(tmp_path / "sys/class/powercap/intel-rapl:0", "package-0", 0, limit=10**9) / "energy_uj"
    meter = energy_meter(tmp_path)
    assert meter is not None

    def drawing(ms: float, watts: float):
        def call(number: int, now: int) -> float:
            path.write_text(str((int(path.read_text()) + round(watts * ms * 1000)) % 10**9))
            return ms * MS

        return call

    sessions = {"a": FakeSession(clock, drawing(10, 20)), "b": FakeSession(clock, drawing(5, 20))}
    found = measure_energy(sessions, INPUTS, meter, idle_s=0.0, rounds=6, clock=clock)
    assert found["a"].value == pytest.approx(200)
    assert found["b"].value == pytest.approx(100)
    for one in found.values():
        assert (one.unit, one.kind, one.n) == ("mJ", "measured", 6)
        assert one.conditions["source"] == "RAPL package-0"
    with pytest.raises(InputError, match="at least one"):
        measure_energy({}, INPUTS, meter)


def test_a_machine_without_counters_estimates_and_says_so(monkeypatch: pytest.MonkeyPatch):
    build = Build()
    x = build.input("x", [1, 4])
    build.output(build.node("Neg", x), [1, 4])
    subject = Subject(build.model())
    monkeypatch.setattr(suite, "energy_meter", lambda: None)
    brief = Effort(Plan(budget_s=0.05), openings=1, sustained_s=0, throughput_s=0, fresh_runs=0)
    requests = drawn_requests(subject.model.signature, 1)
    machine = target("host")
    found = measure_all({"a": subject}, requests, brief, target=machine)["a"].metrics["energy_mj"]
    assert (found.kind, found.unit, found.target) == ("estimated", "mJ", "host")
    silent = measure_all({"a": subject}, requests, brief, target=replace(machine, power_busy=None))["a"]
    assert "no energy counter" in silent.missing["energy_mj"]


def test_a_machine_with_counters_measures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    zone(tmp_path / "sys/class/powercap/intel-rapl:0", "package-0", 5)
    build = Build()
    x = build.input("x", [1, 4])
    build.output(build.node("Neg", x), [1, 4])
    subject = Subject(build.model())
    monkeypatch.setattr(suite, "energy_meter", lambda: energy_meter(tmp_path))
    brief = Effort(Plan(budget_s=0.05), openings=1, sustained_s=0, throughput_s=0, energy_s=0.2, fresh_runs=0)
    found = measure_all({"a": subject}, drawn_requests(subject.model.signature, 1), brief)["a"].metrics["energy_mj"]
    assert (found.kind, found.unit) == ("measured", "mJ")
    assert found.conditions["source"] == "RAPL package-0"
