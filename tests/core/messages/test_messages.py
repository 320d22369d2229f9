"""Messages come back as they were sent, whatever their neighbours' versions, and nothing unbounded comes in."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.core import messages
from edgewright.core.errors import InputError
from edgewright.core.messages import (
    LIMITS,
    Benched,
    Benchmark,
    BenchmarkResult,
    Collect,
    Desired,
    Enrol,
    Enrolled,
    Event,
    Facts,
    Observation,
    Receipt,
    Release,
    Renew,
    Report,
    Series,
    Status,
    Sync,
    read,
    render,
)  # fmt: skip
from edgewright.core.messages.benchmarks import Figure

A, B = "a" * 64, "b" * 64
PEM = "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n"
SEEN = Observation(
    "detector", A, 1.7e9, 900.0, {"requests": 60, "errors": 1}, {"ok": 50, "crack": 9},
    {"latency_ms": Series.of([1.0, 2.0, 4.5, 1.0]), "margin": Series.of([-0.5, 0.0, 0.25, math.nan])},
)  # fmt: skip
EXAMPLES = [
    Enrol(PEM, "token-1", "line-3", Facts("0.1", "pi5", "m", "linux", 4, 2**33, 2**35, {"onnxruntime": "1.23"},
    {"a": "µ"})),
    Enrol(PEM),
    Renew(PEM),
    Enrolled("acme", "d-1", PEM, (PEM, PEM), "{}"),
    Sync(0, "boot-1"),
    Sync(7, "boot-1", Status("idle", A, B, B, "p95 over the limit", "r-1", 2, "rolled_back", "bundle", -5.0, 3600.0,
    10**9, (A,)), Facts(agent="0.2")),
    Desired(1),
    Desired(9, Release("r-1", A, True, 2, 30.0, 90.0, "02:00-04:00", {"latency_ms": 20.0}), {"models": [{"x": None}]},
            Collect(60.0, 2_000_000, 1, 4, benchmark=Benchmark(3, (A, B), 20.0, 7)), (PEM,)),
    Report("boot-1", 0),
    Report("boot-1", 12, (SEEN, SEEN), (Event(1.0, "staged", A, "in 3 s"), Event(-1.0, "booted")), 3),
    Receipt("boot-1", 12, 9),
    BenchmarkResult(3, (
        Benched(A, "onnxruntime", {"latency_ms": Figure(1.5, "ms", n=900, low=1.4, high=1.6)}, {"ram_bytes": "no"},
                (1.0, 1.0, 1.0), (1.2, 1.5, 9.0), 40, ("two heaps",)),
        Benched(B, why="this device does not have it"),
    ), {"cpu": "Cortex-A76", "load_average": [0.5]}),
    BenchmarkResult(4, why="none of them could be measured"),
]  # fmt: skip
by_kind = pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: type(m).__name__)


@by_kind
def test_it_comes_back_as_it_was_sent(message: Any) -> None:
    data = render(message)
    assert read(type(message), data) == message and render(read(type(message), data)) == data
    assert len(data) <= LIMITS[type(message).__name__]


def nested(value: Any) -> list[dict[str, Any]]:
    """Every object in a message, but free ones."""
    found = [value] if isinstance(value, dict) else []
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(inner, dict | list) and key not in (
            "config",
            "guardrails",
            "engines",
            "labels",
            "counters",
            "classes",
            "series",
            "metrics",
            "missing",
            "machine",
        ):
            found += nested(inner)
    return found


@by_kind
def test_what_a_newer_side_adds_is_passed_over(message: Any) -> None:
    value = json.loads(render(message))
    for part in nested(value):
        part["added later"] = {"x": [1]}
    assert read(type(message), json.dumps(value).encode()) == message


@pytest.mark.parametrize(
    ("kind", "least"),
    [
        (Enrol, {"csr": PEM}), (Renew, {"csr": PEM}), (Sync, {"revision": 0, "boot": "b"}), (Desired, {"revision": 1}),
        (Enrolled, {"tenant": "t", "device": "d", "certificate": PEM}), (Report, {"boot": "b", "sequence": 0}),
        (Receipt, {"boot": "b", "sequence": 0}), (BenchmarkResult, {"number": 1}),
    ],
)  # fmt: skip
def test_an_older_side_may_leave_out_all_but_a_few(kind: Any, least: dict[str, Any]) -> None:
    whole = read(kind, json.dumps(least).encode())
    assert (
        read(kind, json.dumps({**least, "config": None, "facts": None, "events": None, "status": None}).encode())
        == whole
    )
    for key in least:
        with pytest.raises(InputError, match=f"no '{key}'"):
            read(kind, json.dumps({k: v for k, v in least.items() if k != key}).encode())


def test_words_are_open() -> None:
    """A state or an event of a later release is told, not refused."""
    assert read(Sync, b'{"revision":1,"boot":"b","status":{"state":"teleporting"}}').status.state == "teleporting"


SERIES = {"p": [5, 2], "low": 1.0, "high": 1.2, "sum": 2.2}


def observation(**change: Any) -> dict[str, Any]:
    return {"boot": "b", "sequence": 0, "observations": [{"model": "m", "began_s": 0, "seconds": 1, **change}]}


def series(**change: Any) -> dict[str, Any]:
    return observation(series={"s": {**SERIES, **change}})


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Enrol, {"csr": "x" * 8193}), (Enrol, {"csr": PEM, "token": "x" * 513}), (Enrol, {"csr": PEM, "name": "a b"}),
        (Enrol, {"csr": 1}), (Enrol, {"csr": PEM, "facts": []}), (Enrol, {"csr": PEM, "facts": {"cpus": -1}}),
        (Enrol, {"csr": PEM, "facts": {"cpus": 2**17}}), (Enrol, {"csr": PEM, "facts": {"memory_bytes": 2**54}}),
        (Enrol, {"csr": PEM, "facts": {"labels": {str(i): "" for i in range(33)}}}),
        (Enrol, {"csr": PEM, "facts": {"labels": {"a": "x" * 257}}}),
        (Enrol, {"csr": PEM, "facts": {"labels": {"": ""}}}),
        (Enrol, {"csr": PEM, "facts": {"engines": {"a": 1}}}), (Enrol, {"csr": PEM, "facts": {"machine": "x" * 257}}),
        (Enrolled, {"tenant": "../t", "device": "d", "certificate": PEM}),
        (Enrolled, {"tenant": "t", "device": "d", "certificate": "x" * 40_000}),
        (Enrolled, {"tenant": "t", "device": "d", "certificate": PEM, "anchors": [PEM] * 9}),
        (Enrolled, {"tenant": "t", "device": "d", "certificate": PEM, "anchors": ["x" * 8193]}),
        (Sync, {"revision": -1, "boot": "b"}), (Sync, {"revision": 1.0, "boot": "b"}),
        (Sync, {"revision": True, "boot": "b"}),
        (Sync, {"revision": 2**53 + 1, "boot": "b"}), (Sync, {"revision": 1, "boot": "x" * 65}),
        (Sync, {"revision": 1, "boot": "b\n"}), (Sync, {"revision": 1, "boot": "b", "status": {"target": "A" * 64}}),
        (Sync, {"revision": 1, "boot": "b", "status": {"reason": "x" * 501}}),
        (Sync, {"revision": 1, "boot": "b", "status": {"quarantined": [A] * 33}}),
        (Sync, {"revision": 1, "boot": "b", "status": {"clock_s": 1e13}}),
        (Desired, {"revision": 1, "release": {"rollout": "r", "bundle": "x"}}),
        (Desired, {"revision": 1, "release": {}}),
        (Desired, {"revision": 1, "release": {"rollout": "r", "bundle": A, "activate": 1}}),
        (Desired, {"revision": 1, "release": {"rollout": "r", "bundle": A, "trial_s": -1}}),
        (Desired, {"revision": 1, "release": {"rollout": "r", "bundle": A, "guardrails": {"a": "x"}}}),
        (Desired, {"revision": 1, "config": []}), (Desired, {"revision": 1, "config": {"a": "x" * 65536}}),
        (Desired, {"revision": 1, "collect": {"period_s": 0.5}}),
        (Desired, {"revision": 1, "collect": {"period_s": 1e6}}),
        (Desired, {"revision": 1, "collect": {"budget_bytes": 2**41}}), (Desired, {"revision": 1, "anchors": "x"}),
        (Report, {"boot": "", "sequence": 0}), (Report, {"boot": "b", "sequence": -1}),
        (Report, {"boot": "b", "sequence": 0, "observations": [{}]}),
        (Report, {"boot": "b", "sequence": 0, "observations": {}}),
        (Report, {"boot": "b", "sequence": 0, "events": [{"at_s": 0, "kind": "x"}] * 257}),
        (Report, {"boot": "b", "sequence": 0, "events": [{"at_s": 0, "kind": "x", "detail": "y" * 501}]}),
        (Report, {**observation(), "observations": observation()["observations"] * 129}),
        (Report, observation(seconds=-1)), (Report, observation(seconds=1e9)), (Report, observation(bundle="x")),
        (Report, observation(counters={"a": -1})), (Report, observation(counters={"a": 1.0})),
        (Report, observation(counters={"a": 2**53 + 1})),
        (Report, observation(counters={f"a{i}": 1 for i in range(65)})),
        (Report, observation(counters={"a b": 1})), (Report, observation(classes={f"a{i}": 1 for i in range(257)})),
        (Report, observation(series={f"a{i}": {} for i in range(97)})), (Report, observation(series={"a": []})),
        (Report, series(p=[5])), (Report, series(p=[5, 0])), (Report, series(p=[5, -3])),
        (Report, series(p=[5, 1, -1])),
        (Report, series(p=[5, 1, -1, -1, 1])), (Report, series(p=[5, 1, -1023, 1])), (Report, series(p=[50_000, 2])),
        (Report, series(p=[5, 2**53 + 1])), (Report, series(p=[5.0, 2])), (Report, series(p=[5, True])),
        (Report, series(p="x")),
        (Report, series(p=[0] + [1] * 1025)), (Report, series(low=2.0)), (Report, series(sum=9.0)),
        (Report, series(sum=0.1)),
        (Report, series(low=None)), (Report, series(high=1e301)), (Report, series(zero=-1)), (Report, series(nan=1.5)),
        (Receipt, {"boot": "b", "sequence": 0, "revision": -1}),
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_refused(kind: Any, value: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"the {kind.__name__} message cannot be read"):
        read(kind, json.dumps(value).encode())


def test_the_bounds_themselves_are_in() -> None:
    assert read(Report, json.dumps(series()).encode()).observations[0].series["s"].sketch.count == 2
    assert read(Report, json.dumps(series(p=[5, 1, -1022, 1])).encode())
    assert read(Enrol, json.dumps({"csr": "x" * 8192}).encode())
    assert read(Sync, json.dumps({"revision": 2**53, "boot": "x" * 64}).encode())
    whole = {"boot": "b", "sequence": 0, "events": [{"at_s": 0, "kind": "x"}] * 256}
    assert (
        len(
            read(Report, json.dumps({**whole, **observation(counters={f"a{i}": 1 for i in range(64)})}).encode()).events
        )
        == 256
    )


@pytest.mark.parametrize("kind", [getattr(messages, name) for name in LIMITS])
@pytest.mark.parametrize(
    "data", [b"", b"[]", b"null", b"{", b"\xff", b'{"boot":"a","boot":"b"}', b'{"revision":NaN}', b"[" * 10**5]
)
def test_what_is_no_object_is_refused(kind: Any, data: bytes) -> None:
    with pytest.raises(InputError):
        read(kind, data)


@pytest.mark.parametrize("kind", [getattr(messages, name) for name in LIMITS])
def test_too_long_is_refused_before_it_is_parsed(kind: Any) -> None:
    with pytest.raises(InputError, match="more than the"):
        read(kind, b'"' + b"x" * LIMITS[kind.__name__])


def test_what_the_other_side_would_refuse_is_not_sent() -> None:
    with pytest.raises(ValueError, match="1 to 64 letters"):
        render(Report("no word", 0))
    with pytest.raises(ValueError, match="more than the"):
        render(
            Report(
                "b",
                0,
                tuple(
                    Observation("m", A, 0.0, 1.0, classes={"x" * 60 + str(i): 1 for i in range(200)})
                    for _ in range(100)
                ),
            )
        )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(max_size=9), x, max_size=4),
    max_leaves=12,
)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(EXAMPLES), st.data())
def test_any_value_anywhere_is_taken_or_refused(message: Any, data: st.DataObject) -> None:
    """One value of a good message replaced by anything: a message within bounds or InputError, nothing else."""
    value = json.loads(render(message))
    parts = nested(value)
    part = data.draw(st.sampled_from([p for p in parts if p]))
    part[data.draw(st.sampled_from(sorted(part)))] = data.draw(JSON)
    try:
        found = read(type(message), json.dumps(value).encode())
    except InputError:
        return
    assert read(type(message), render(found)) == found


@pytest.mark.parametrize(
    "bundles", [[], ["../../etc"], ["a" * 63], [A] * 9, "x"], ids=["none", "path", "short", "many", "word"]
)
def test_a_benchmark_names_some_bundles_and_nothing_else(bundles: Any) -> None:
    told = {"revision": 1, "collect": {"benchmark": {"number": 1, "bundles": bundles}}}
    with pytest.raises(InputError, match="bundles"):
        read(Desired, json.dumps(told).encode())


@pytest.mark.parametrize(
    ("subject", "why"),
    [
        ({"metrics": {"latency_ms": 5}}, "no object"),
        ({"metrics": {"x": {"value": 1.0, "unit": "m", "kind": "guessed"}}}, "measured"),
        ({"ratio": [1.0, 1.0]}, "ratio"), ({"distribution_ms": [1.0] * 202}, "numbers"),
        ({"distribution_ms": ["1"]}, "not a number"), ({"subject": "a b"}, "letters"),
        ({"metrics": {"x": {"value": 1e301, "unit": "m", "kind": "measured"}}}, "value"),
    ],
)  # fmt: skip
def test_what_a_device_measured_is_not_believed_blindly(subject: dict[str, Any], why: str) -> None:
    told = {"number": 1, "subjects": [{"subject": A, **subject}]}
    with pytest.raises(InputError, match=why):
        read(BenchmarkResult, json.dumps(told).encode())
