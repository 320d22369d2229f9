"""Requests whose numbers are read apart, and replies that are filled in: the same as those read and written whole."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgewright.runtime.faults import BadRequest
from edgewright.runtime.oip.messages import Wanted, plan
from edgewright.runtime.oip.plans import find_plan, take_numbers
from edgewright.runtime.oip.replies import reply
from edgewright.runtime.oip.templates import template
from edgewright.runtime.oip.types import NUMPY, datatype

FLOATS = st.one_of(st.floats(-1e30, 1e30), st.integers(-(2**40), 2**40))


def body(told, indent=None):
    return json.dumps(told, indent=indent).encode()


def entry(data, name="x", kind="FP32", **more):
    return {"name": name, "shape": [len(data)], "datatype": kind, "data": data, **more}


def spell(told, size, binary):
    return b"%d %d %d " % (told, size, binary)


@given(st.lists(FLOATS, max_size=20), st.sampled_from(["FP32", "FP64", "BF16"]), st.sampled_from([None, 1]))
def test_numbers_read_apart_are_those_read_with_the_rest(values, kind, indent):
    raw = body({"id": "a", "inputs": [entry(values, kind=kind)], "outputs": [{"name": "y"}]}, indent)
    asked, numbers, _ = find_plan(raw, None, {}, inline=True)
    assert numbers and asked.request.id == "a"
    found, whole = asked.inputs(raw, len(raw), numbers)["x"], plan(raw).inputs(raw, len(raw))["x"]
    assert found.dtype == whole.dtype and found.shape == whole.shape
    np.testing.assert_array_equal(found, whole)


@pytest.mark.parametrize("data", [[[1, 2], [3, 4]], [True], ["NaN"], ["a]b"], [None], [{}], [[]]])
def test_what_is_no_flat_list_of_numbers_is_read_with_the_rest(data):
    assert take_numbers(body({"inputs": [entry(data)]})) is None


@pytest.mark.parametrize(
    "raw",
    [
        body({"inputs": [entry([1.0]), entry([2.0], name="z")]}),
        body({"id": '"data": [7]', "inputs": [entry([1.0])]}),
        body({'x"data': [5], "inputs": [entry([1.0])]}),
        body({"extra": {"data": [7]}, "inputs": [entry([1.0])]}),
        body({"extra": {"data": [7]}, "inputs": [entry([1.0])]}).replace(b'[{"name"', b' [{"n\\u0061me"'),
        body({"extra": {"data": [7]}, "inputs": [entry([1.0])]}).replace(b'"data": [1', b'"d\\u0061ta": [1'),
        body({"inputs": [entry([1.0])]}).replace(b"}]", b', "d\\u0061ta": [1.0]}]'),
        body({"inputs": [entry([])]}),
    ],
)
def test_the_value_is_that_of_the_whole_json_wherever_data_stands(raw):
    asked, numbers, _ = find_plan(raw, None, {}, inline=True)
    found, whole = asked.inputs(raw, len(raw), numbers), plan(raw).inputs(raw, len(raw))
    assert found.keys() == whole.keys()
    for name in whole:
        np.testing.assert_array_equal(found[name], whole[name])


def test_equal_heads_with_other_numbers_are_one_plan():
    known = {}
    first, second = (body({"inputs": [entry([value])]}) for value in (1.5, 2.5))
    one, two = (find_plan(raw, None, known, inline=True) for raw in (first, second))
    assert one[0] is two[0] and len(known) == 1
    assert one[0].inputs(first, len(first), one[1])["x"] == [1.5]
    assert two[0].inputs(second, len(second), two[1])["x"] == [2.5]


@given(
    st.integers(0, 2**40), st.sampled_from([None, 1]), st.booleans(), st.sampled_from(["top", "input", "text", "both"])
)
def test_the_timeout_is_that_of_the_whole_json_wherever_one_stands(timeout, indent, inline, where):
    one = entry([1.0]) if inline else entry([1.0], parameters={"binary_data_size": 4})
    if not inline:
        del one["data"]
    told = {"id": '"timeout": 7, ' if where == "text" else "a", "inputs": [one]}
    if where in ("top", "both", "text"):
        told["parameters"] = {"timeout": timeout, "priority": 1}
    if where in ("input", "both"):
        one["parameters"] = one.get("parameters", {}) | {"timeout": 5}
    raw, known = body(told, indent), {}
    for _ in range(2):  # when it is remembered as well
        asked, _, timeout_s = find_plan(raw, None, known, inline=inline)
        whole = plan(raw).request
        assert timeout_s == whole.timeout_s and asked.request.priority == whole.priority


def test_equal_heads_with_other_timeouts_are_one_plan():
    known = {}
    for microseconds in (900, 12345):
        raw = body({"parameters": {"timeout": microseconds}, "inputs": [entry([1.0])]})
        asked, numbers, timeout_s = find_plan(raw, None, known, inline=True)
        assert timeout_s == microseconds / 1e6 and numbers == b"[1.0]"
    assert list(known.values()) == [asked]


@pytest.mark.parametrize("wrong", [b"-5", b"1.5", b"007", b'"5"', b"null", b"1e3"])
def test_a_timeout_that_is_none_is_declined(wrong):
    raw = body({"parameters": {"timeout": 77}, "inputs": [entry([1.0])]}).replace(b"77", wrong)
    with pytest.raises(BadRequest):
        find_plan(raw, None, {}, inline=True)


@pytest.mark.parametrize(
    ("text", "kind", "why"),
    [
        ("[1,,2]", "FP32", "no JSON"), ("[01]", "FP32", "no JSON"), ("[1e999]", "FP32", "no JSON"),
        ("[1 2]", "FP32", "no JSON"),
        ("[1e39]", "FP32", "cannot"), ("[70000]", "FP16", "cannot"), ("[1, 2]", "FP32", "2 elements"),
        ("[1.5]", "INT32", "no INT32"), ("[300]", "UINT8", "cannot"),
        ("[1]", "BOOL", "no BOOL"), ("[1]", "BYTES", "strings"),
    ],
)  # fmt: skip
def test_wrong_numbers_are_declined(text, kind, why):
    raw = body({"inputs": [entry([0], kind=kind)]}).replace(b"[0]", text.encode())
    with pytest.raises(BadRequest, match=why):
        asked, numbers, _ = find_plan(raw, None, {}, inline=True)
        asked.inputs(raw, len(raw), numbers)


@given(st.data(), st.sampled_from(sorted(NUMPY)), st.booleans(), st.integers(1, 3))
def test_a_reply_filled_in_is_the_reply_written(data, kind, binary, count):
    shapes = [data.draw(hnp.array_shapes(max_dims=2, max_side=3)) for _ in range(count)]
    first, second = (
        {f"y{i}": data.draw(hnp.arrays(NUMPY[kind], shape)) for i, shape in enumerate(shapes)} for _ in range(2)
    )
    kinds = {name: datatype(array.dtype.name) for name, array in first.items()}
    wanted = [Wanted(name, binary) for name in first]

    def written(outputs):
        told, tensors = reply("m", "1", 'an "id"', outputs, kinds, wanted)
        size = len(told) + sum(map(len, tensors))
        return told, b"".join([spell(len(told), size, bool(tensors)), told, *tensors])

    made = template(written(first)[0], first, kinds, wanted, spell)
    for outputs in (first, second):
        finite = binary or all(np.isfinite(array.astype(np.float64)).all() for array in outputs.values())
        if made is None:
            assert not binary
        else:
            assert made.fill(outputs) == (written(outputs)[1] if finite else None)
    if made is not None:
        assert made.fill({name: np.zeros((7, *array.shape), array.dtype) for name, array in first.items()}) is None


def test_some_replies_have_no_template():
    outputs, kinds = {"y": np.zeros(2, np.float32), "z": np.zeros(2, np.float32)}, {"y": "FP32", "z": "FP32"}
    for wanted in (
        [Wanted("y", True), Wanted("z")], [Wanted("y"), Wanted("y")], [Wanted("y", classes=2)],
    ):  # fmt: skip
        told, _ = reply("m", "1", "", outputs, kinds, wanted)
        assert template(told, outputs, kinds, wanted, spell) is None
