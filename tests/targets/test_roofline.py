"""What a prediction promises: an interval around a value, and answers that move the right way."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright import targets
from edgewright.core.errors import InputError
from edgewright.core.measurement import Measurement
from edgewright.core.workload import OperatorCost, Workload
from edgewright.targets.efficiency import profiles
from edgewright.targets.families import MULTIPLYING, family

CONV = OperatorCost("c", "Conv", 28_901_376, 0, 589_824, 100_352, 100_352)
NAMES = [name for name in targets.names() if name != "host"]


def workload(*operators):
    return Workload(tuple(operators), 1, sum(o.weight_bytes for o in operators), 200_704)


def op(kind, macs=0, weights=0, read=0, written=0, bits=32):
    return OperatorCost(kind.lower(), kind, macs, 0, weights, read, written, bits)


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        (op("Conv", 288 * 1000, 4 * 32 * 288, 4000, 4000), "conv"),
        (op("Conv", 288 * 1000, 4 * 16 * 288, 4000, 4000), "narrow"),
        (op("Conv", 9 * 1000, 360, 4000, 4000), "shallow"),
        (op("Conv", 9 * 1000, 90, 1000, 1000, bits=8), "shallow"),
        (op("Gemm", 65536, 4 * 65536, 1024, 1024), "gemv"),
        (op("Gemm", 65536, 65536, 256, 256, bits=8), "gemv"),
        (op("MatMul", 197 * 65536, 4 * 65536, 201_728, 201_728), "matmul"),
        (op("MatMul", 65536, 0, 1024, 1024), "attention"),
        (op("LSTM", 65536, 65536, 1024, 1024), "recurrent"),
        (op("Relu", 0, 0, 10, 10), "fused"),
        (op("QuantizeLinear", 0, 0, 40, 10), "fused"),
        (op("Reshape", 0, 0, 10, 10), "free"),
        (op("Softmax", 0, 0, 10, 10), "transcendental"),
        (op("LayerNormalization", 0, 0, 10, 10), "normalisation"),
        (op("MaxPool", 0, 0, 10, 5), "pool"),
        (op("Concat", 0, 0, 10, 10), "move"),
        (op("Add", 0, 0, 20, 10), "elementwise"),
        (op("SomethingNew", 0, 0, 20, 10), "elementwise"),
        (op("SomethingNew", 500, 0, 20, 10), "attention"),
    ],
)
def test_families_are_told_apart_by_costs(operator, expected):
    assert family(operator) == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number_type", targets.NUMBER_TYPES)
def test_every_target_predicts_every_type_with_an_interval(name, number_type):
    found = targets.predict_latency(
        workload(CONV, op("Add", 0, 0, 200_704, 100_352)), targets.target(name), number_type
    )
    assert (found.kind, found.unit, found.target, found.n) == ("predicted", "ms", name, 0)
    assert 0 < found.low < found.value < found.high
    assert found.conditions["device"] == "cpu"
    assert found.conditions["sustained_ms"] >= found.value
    assert Measurement.from_json(found.to_json()) == found


def test_operators_add_up_to_the_model():
    pi = targets.target("raspberry-pi-5")
    model = workload(CONV, op("Relu", 0, 0, 5, 5), op("Softmax", 0, 0, 4000, 4000), op("Reshape", 0, 0, 5, 5))
    times = targets.predict_operators(model, pi, "fp32", 1)
    assert [t.op_type for t in times] == ["Conv", "Relu", "Softmax", "Reshape"]
    assert [t.bound for t in times if t.ms == 0] == ["none", "none"]
    assert all(t.low_ms <= t.ms <= t.high_ms for t in times)
    assert times[0].ms == pytest.approx(max(times[0].compute_ms, times[0].memory_ms) + times[0].overhead_ms)
    whole = targets.predict_latency(model, pi, "fp32", 1)
    assert 0 < whole.value - sum(t.ms for t in times) < 0.05


@pytest.mark.parametrize("name", ["server-x86-vnni", "raspberry-pi-5", "intel-n100", "android-flagship", "stm32h7"])
def test_int8_is_faster_where_instructions_for_it_are(name):
    target = targets.target(name)
    assert (
        targets.predict_latency(workload(CONV), target, "int8", 1).value
        < 0.55 * targets.predict_latency(workload(CONV), target, "fp32", 1).value
    )


def test_int8_gains_little_without_a_dot_product():
    pi = targets.target("raspberry-pi-4")
    ratio = (
        targets.predict_latency(workload(CONV), pi, "int8", 1).value
        / targets.predict_latency(workload(CONV), pi, "fp32", 1).value
    )
    assert 0.7 < ratio < 1.1


def test_weight_only_int4_helps_what_is_bound_by_weights_and_nothing_else():
    pi = targets.target("raspberry-pi-5")
    row = workload(op("Gemm", 4_194_304, 16_777_216, 8192, 8192))
    found = {t: targets.predict_latency(row, pi, t, 1).value for t in ("fp32", "int8", "int4")}
    assert found["int4"] < found["int8"] < found["fp32"]
    assert targets.predict_operators(row, pi, "fp32", 1)[0].bound == "memory"
    assert targets.predict_latency(workload(CONV), pi, "int4", 1).value == pytest.approx(
        targets.predict_latency(workload(CONV), pi, "fp32", 1).value, rel=0.1
    )


def test_a_quantized_model_is_predicted_as_it_is_stored():
    pi = targets.target("raspberry-pi-5")
    stored = replace(CONV, weight_bytes=147_456, read_bytes=25_088, written_bytes=25_088, bits=8)
    as_stored = targets.predict_latency(workload(stored), pi, None, 1)
    assert as_stored.value == pytest.approx(targets.predict_latency(workload(CONV), pi, "int8", 1).value)
    assert as_stored.conditions["number_type"] == "as stored"


def test_an_accelerator_is_used_by_name_and_known_for_its_doubt():
    orin = targets.target("jetson-orin-nano")
    big = workload(*[CONV] * 50)
    gpu = targets.predict_latency(big, orin, "int8", accelerator="ampere-gpu")
    assert gpu.conditions["device"] == "ampere-gpu"
    assert gpu.value < targets.predict_latency(big, orin, "int8").value
    assert gpu.high / gpu.low > 4
    assert targets.predict_latency(big, targets.target("iphone"), "int8", accelerator="neural-engine").value > 0


def test_measured_peaks_need_no_share_of_a_derived_one():
    server = targets.target("server-x86-vnni")
    reached = {
        name: targets.Figure(figure.value * 0.88, "MAC/s", "measured: here") for name, figure in server.compute.items()
    }
    one = targets.predict_latency(workload(CONV), server, "fp32", 1)
    two = targets.predict_latency(workload(CONV), replace(server, compute=reached), "fp32", 1)
    assert two.value == pytest.approx(one.value, rel=0.02)
    assert two.high - two.low < one.high - one.low


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"number_type": "fp8"}, "no number type is named 'fp8'"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"accelerator": "tpu"}, "has no accelerator 'tpu'; it has: hexagon-npu, adreno-gpu"),
        ({"accelerator": "adreno-gpu"}, "nobody states what adreno-gpu"),
    ],
)
def test_what_cannot_be_predicted_is_said(options, complaint):
    with pytest.raises(InputError, match=complaint):
        targets.predict_latency(workload(CONV), targets.target("android-mid"), **options)


def test_an_unknown_processor_is_predicted_with_wide_doubt():
    odd = replace(targets.target("raspberry-pi-5"), architecture="riscv64")
    found = targets.predict_latency(workload(CONV), odd, "fp32", 1)
    assert found.high / found.low > 4


def test_an_empty_model_costs_its_call_alone():
    found = targets.predict_latency(workload(), targets.target("raspberry-pi-5"))
    assert 0 < found.value < 0.05
    assert targets.predict_latency(workload(op("Conv")), targets.target("raspberry-pi-5")).value > 0


operators = st.builds(
    OperatorCost,
    name=st.just("o"),
    op_type=st.sampled_from(["Conv", "Gemm", "MatMul", "LSTM", "Add", "Softmax", "MaxPool", "Concat", "Relu", "Odd"]),
    macs=st.integers(0, 10**11),
    flops=st.just(0),
    weight_bytes=st.integers(0, 10**9),
    read_bytes=st.integers(0, 10**9),
    written_bytes=st.integers(0, 10**9),
    bits=st.sampled_from([32, 16, 8, 4, 64]),
)


@given(
    st.lists(operators, max_size=5),
    st.sampled_from(NAMES),
    st.sampled_from([None, *targets.NUMBER_TYPES]),
    st.integers(1, 64),
)
def test_more_threads_and_less_work_never_cost_more(costs, name, number_type, threads):
    target, model = targets.target(name), workload(*costs)
    one = targets.predict_latency(model, target, number_type, 1)
    many = targets.predict_latency(model, target, number_type, threads)
    assert one.low <= one.value <= one.high
    assert many.value <= one.value * (1 + 1e-9)
    fewer = targets.predict_latency(workload(*costs[:-1]), target, number_type, 1)
    assert fewer.value <= one.value * (1 + 1e-9)


def test_every_share_has_a_source_and_every_family_a_share():
    for profile in profiles().values():
        for kind in MULTIPLYING:
            for number_type in targets.NUMBER_TYPES:
                part = profile.share(kind, number_type)
                assert 0 < part.range.low <= part.range.high
                assert len(part.range.source) > 10
        for table in (profile.attained, profile.work, profile.memory, profile.general):
            assert all(len(entry.source) > 10 for entry in table.values())
        assert {"dram", "cache", "core"} == set(profile.memory)
        assert {"serial", "operator", "call"} == set(profile.general)


def test_one_profile_for_each_shipped_architecture():
    claimed = [name for profile in profiles().values() for name in profile.architectures]
    assert len(claimed) == len(set(claimed))
    assert {targets.target(name).architecture for name in NAMES} <= set(claimed)
