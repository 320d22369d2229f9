"""Energy is estimated and says so; what does not fit is told with figures."""

from dataclasses import replace

import pytest

from edgewright import targets
from edgewright.core.errors import InputError
from edgewright.core.measurement import Measurement
from edgewright.core.workload import OperatorCost, Workload

CONV = OperatorCost("c", "Conv", 28_901_376, 0, 589_824, 100_352, 100_352)
MODEL = Workload((CONV,), 147_456, 589_824, 200_704)


def test_energy_of_a_measured_latency_is_time_times_power():
    pi = targets.target("raspberry-pi-4")
    latency = Measurement(10.0, "ms", "measured", n=50, low=9.0, high=12.0, subject="abc")
    found = targets.estimate_energy(latency, pi, 4)
    assert (found.kind, found.unit, found.subject, found.n) == ("estimated", "mJ", "abc", 50)
    assert found.value == pytest.approx(10.0 * 5.4)
    assert found.low == pytest.approx(9.0 * (5.4 - 2.2))
    assert found.high == pytest.approx(12.0 * 5.4)
    assert found.conditions["latency_kind"] == "measured"
    assert targets.estimate_energy(latency, pi, 1).value == pytest.approx(10.0 * (2.2 + 3.2 / 4))


@pytest.mark.parametrize("name", [name for name in targets.names() if name != "host"])
def test_energy_is_predicted_for_every_target(name):
    found = targets.predict_energy(MODEL, targets.target(name), "int8")
    assert found.kind == "estimated"
    assert 0 < found.low <= found.value <= found.high
    floor = found.conditions.get("arithmetic_mj", 0.0)
    assert 0 <= floor < found.value


def test_a_gpu_makes_the_whole_machine_busy():
    orin = targets.target("jetson-orin-nano")
    assert targets.predict_energy(MODEL, orin, "int8", accelerator="ampere-gpu").conditions["power_w"] == 15.0


def test_mlperf_energy_is_met_where_it_is_published():
    # MLPerf Tiny v1.1, Krai, NUCLEO-H7A3ZI-Q: 7615 uJ for 12.5e6 MACs, at another clock of the same core.
    resnet = Workload((replace(CONV, macs=12_500_000, bits=8),), 1, 1, 1)
    found = targets.predict_energy(resnet, targets.target("stm32h7"))
    assert found.low <= 7.615 <= found.high


def test_energy_needs_power_and_milliseconds():
    pi = targets.target("raspberry-pi-4")
    with pytest.raises(InputError, match="states no power_busy"):
        targets.estimate_energy(Measurement(1.0, "ms", "measured"), replace(pi, power_busy=None))
    with pytest.raises(InputError, match="in ms"):
        targets.estimate_energy(Measurement(1.0, "s", "measured"), pi)


@pytest.mark.parametrize(
    ("name", "weights", "activations", "size", "reasons"),
    [
        ("raspberry-pi-4", 10_000_000, 1_000_000, 10_000_000, []),
        ("raspberry-pi-4", 4 << 30, 1_000_000, 4 << 30, ["of memory"]),
        ("android-mid", 700 << 20, 1, 700 << 20, ["of storage"]),
        ("stm32h7", 1_000_000, 100_000, 1_000_000, []),
        ("stm32h7", 1_000_000, 600_000, 1_000_000, ["of RAM at once"]),
        ("stm32h7", 3_000_000, 600_000, 3_000_000, ["of RAM at once", "of storage"]),
        ("arduino-nano-33-ble", 900_000, 1, 900_000, ["of storage"]),
        ("low", 200 << 20, 1, 200 << 20, ["sensible there"]),
    ],
)
def test_what_does_not_fit_is_told(name, weights, activations, size, reasons):
    found = targets.fits(Workload((), 1, weights, activations), size, targets.target(name))
    assert len(found) == len(reasons)
    assert all(expected in reason for expected, reason in zip(reasons, found, strict=True))


def test_int8_only_targets_refuse_wider_multiplications():
    small = replace(MODEL, weight_bytes=1000, peak_activation_bytes=1000)
    (reason,) = targets.fits(small, 1000, targets.target("ultra-low"))
    assert "runs int8 only" in reason
    assert "32-bit" in reason
    quantized = replace(small, operators=(replace(CONV, bits=8),))
    assert targets.fits(quantized, 1000, targets.target("ultra-low")) == []
