"""Requests and replies of the protocol: what travels comes back, and what is wrong with a request is said."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgewright.runtime.faults import BadRequest
from edgewright.runtime.oip.messages import Wanted, plan
from edgewright.runtime.oip.replies import reply
from edgewright.runtime.oip.types import NUMPY, narrow, read_bytes, widen, write_bytes
from edgewright.runtime.scheduling.batches import join, key, part, rows

KINDS = sorted(NUMPY)


def arrays(kind):
    return hnp.arrays(NUMPY[kind], hnp.array_shapes(max_dims=3, max_side=4), fill=st.nothing())


def asked(told, body=b"", at=0):
    return plan(json.dumps(told).encode()).inputs(body, at)


@given(st.data(), st.sampled_from(KINDS), st.booleans())
def test_tensors_come_through_binary_and_json_unchanged(data, kind, odd):
    array = data.draw(arrays(kind))
    raw = array.tobytes()
    entry = {"name": "x", "datatype": kind, "shape": list(array.shape)}
    # A body's tensors begin wherever its JSON ends, aligned or not.
    head = {"inputs": [{**entry, "parameters": {"binary_data_size": len(raw)}}]}
    binary = asked(head, b"-" * odd + raw, int(odd))["x"]
    np.testing.assert_array_equal(binary, array)
    assert binary.flags.aligned
    if np.isfinite(array.astype(np.float64)).all():
        np.testing.assert_array_equal(asked({"inputs": [{**entry, "data": array.tolist()}]})["x"], array)
        np.testing.assert_array_equal(asked({"inputs": [{**entry, "data": array.ravel().tolist()}]})["x"], array)
    told, tensors = reply("m", "1", "id7", {"y": array}, {"y": kind}, [Wanted("y", binary=True)])
    assert json.loads(told)["id"] == "id7" and tensors == [raw]


def test_an_output_that_is_asked_for_twice_is_answered_once():
    twice = [{"name": "y"}, {"name": "z"}, {"name": "y", "parameters": {"binary_data": True}}]
    found = plan(json.dumps({"inputs": [X], "outputs": twice}).encode()).request
    assert [(one.name, one.binary) for one in found.outputs] == [("y", True), ("z", False)]


@given(st.lists(st.binary(max_size=20), max_size=6))
def test_bytes_keep_their_lengths(values):
    raw = write_bytes(values)
    assert read_bytes(raw, len(values)).tolist() == values
    if raw:
        for wrong in (raw[:-1], raw + b"x"):
            with pytest.raises(BadRequest):
                read_bytes(wrong, len(values))


@given(hnp.arrays(np.float32, st.integers(0, 20), elements=st.floats(width=32, allow_nan=True)))
def test_bf16_is_the_nearest_of_its_kind(values):
    back = widen(narrow(values))
    finite = np.isfinite(values) & (np.abs(values) < 3e38)
    np.testing.assert_allclose(back[finite], values[finite], rtol=2**-8, atol=1e-38)
    assert (np.isnan(back) == np.isnan(values)).all()


BARE = {"name": "x", "datatype": "FP32", "shape": [2]}
X = {**BARE, "data": [1, 2]}
KEYS = ["inputs", "name", "shape", "datatype", "data", "parameters", "binary_data_size", "id"]


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ("no json", "no JSON"),
        ([], "not a JSON object"),
        ({}, "'inputs' is not a list"),
        ({"inputs": []}, "no inputs"),
        ({"inputs": [3]}, "no 'name'"),
        ({"inputs": [X, X]}, "given twice"),
        ({"inputs": [{**X, "datatype": "FP31"}]}, "no datatype"),
        ({"inputs": [{**X, "shape": [-1]}]}, "no shape of whole numbers"),
        ({"inputs": [{**X, "shape": [2.0]}]}, "no shape of whole numbers"),
        ({"inputs": [{**X, "shape": [2**40]}]}, "more than"),
        ({"inputs": [{**X, "shape": [3]}]}, "has 2 elements"),
        ({"inputs": [{**X, "shape": [1] * 33}]}, "dimensions"),
        ({"inputs": [{**X, "shape": [0, 2**40]}]}, "more than"),
        ({"inputs": [{**X, "shape": [2, 2], "data": [[1, 2, 3], [4]]}]}, "different lengths"),
        ({"inputs": [{**X, "data": [1, "nan"]}]}, "no FP32"),
        ({"inputs": [{**X, "data": [1, 1e39]}]}, "cannot"),
        ({"inputs": [{**X, "datatype": "FP16", "data": [1, 1e5]}]}, "cannot"),
        ({"inputs": [{**X, "datatype": "INT64", "data": [1, 1.5]}]}, "no INT64"),
        ({"inputs": [{**X, "datatype": "UINT64", "data": [1, -1]}]}, "cannot"),
        ({"inputs": [{**BARE, "parameters": {"shared_memory_region": "r", "shared_memory_byte_size": 8}}]}, "machine"),
        ({"inputs": [{**X, "data": [1, "2"]}]}, "no FP32"),
        ({"inputs": [{**X, "data": [[1], 2]}]}, "mixes"),
        ({"inputs": [{**X, "datatype": "INT8", "data": [1, 300]}]}, "cannot"),
        ({"inputs": [{**X, "datatype": "BOOL", "data": [1, 0]}]}, "no BOOL"),
        ({"inputs": [{**X, "datatype": "BYTES", "data": [1, 0]}]}, "strings"),
        ({"inputs": [{**X, "parameters": {"binary_data_size": 8}}]}, "'data' is given as well"),
        ({"inputs": [BARE]}, "neither"),
        ({"inputs": [{**BARE, "parameters": {"binary_data_size": 7}}]}, "takes 8"),
        ({"inputs": [{**BARE, "parameters": {"binary_data_size": 8}}]}, "8 bytes"),
        ({"inputs": [X], "outputs": [{}]}, "no 'name'"),
        ({"inputs": [X], "id": 3}, "not a string"),
        ({"inputs": [X], "parameters": {"timeout": -1}}, "not a whole number"),
        ({"inputs": [X], "parameters": 3}, "not an object"),
        ({"inputs": [X], "parameters": {"a": [1]}}, "'a' is no string, number or boolean"),
        ({"inputs": [{**X, "parameters": {"a": None}}]}, "'a' is no string, number or boolean"),
        ({"inputs": [X], "outputs": [{"name": "y", "parameters": {"a": {}}}]}, "'a' is no string"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_request_is_said(told, says):
    with pytest.raises(BadRequest, match=says):
        asked(told) if not isinstance(told, str) else plan(told.encode())


@given(st.binary(max_size=60) | st.recursive(
    st.none() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(KEYS), inner),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_nothing_that_comes_breaks_the_reader(raw):
    try:
        plan(raw).inputs(b"", 0)
    except BadRequest as error:
        assert "\n" not in str(error)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.integers(1, 3))
def test_everybody_gets_their_own_rows(counts, width):
    made = np.random.default_rng(0)
    requests = [{"x": made.normal(size=(n, width)), "z": made.integers(0, 9, (n, 2))} for n in counts]
    assert len({key(r) for r in requests}) == 1 and [rows(r) for r in requests] == counts
    together = join(requests)
    for request, answer in zip(requests, part({"y": 2 * together["x"]}, counts), strict=True):
        np.testing.assert_array_equal(answer["y"], 2 * request["x"])
        assert answer["y"].base is None
    with pytest.raises(ValueError, match="batch of"):
        part({"y": np.zeros(sum(counts) + 1)}, counts)


def test_what_cannot_be_batched_is_told_apart():
    assert rows({"x": np.zeros(())}) == 0 and rows({"x": np.zeros((2, 1)), "z": np.zeros(3)}) == 0
    assert key({"x": np.zeros((1, 3))}) != key({"x": np.zeros((1, 4))}) != key({"x": np.zeros((1, 4), np.float32)})


def test_numbers_that_json_lacks_have_names_and_bytes_that_are_no_text_are_refused():
    y = np.array([1, np.nan, np.inf, -np.inf])
    told, _ = reply("m", "1", "", {"y": y}, {"y": "FP64"}, [Wanted("y")])
    assert json.loads(told, parse_constant=pytest.fail)["outputs"][0]["data"] == [1, "NaN", "Infinity", "-Infinity"]
    entry = {"name": "x", "datatype": "FP64", "shape": [4], "data": [1, "NaN", "Infinity", "-Infinity"]}
    np.testing.assert_array_equal(asked({"inputs": [entry]})["x"], y)
    with pytest.raises(BadRequest, match="binary_data"):
        reply("m", "1", "", {"y": np.array([b"\xff"], object)}, {"y": "BYTES"}, [Wanted("y")])
    assert asked({"inputs": [{"name": "x", "datatype": "UINT64", "shape": [1], "data": [2**64 - 1]}]})["x"] == 2**64 - 1
