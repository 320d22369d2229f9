"""Long JSON, read in pieces: the same as read whole, or refused as well."""

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgewright.runtime.aside import drained
from edgewright.runtime.faults import BadRequest
from edgewright.runtime.oip import long
from edgewright.runtime.oip.messages import plan, planning

SHORT = 40
"""Bytes: longer than a shape, shorter than most data here."""


@pytest.fixture(autouse=True, scope="module")
def small():
    """Lists are soon long, and are read a few bytes at a time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(long, "_LOOK", 11)
        patched.setattr(long, "_PIECE", 7)
        patched.setattr(long, "_SHORT", SHORT)
        yield


def read(reader, raw):
    try:
        return reader(raw).inputs(raw, len(raw))
    except BadRequest:
        return None


def both(raw):
    """What is read whole, and in pieces."""
    return read(plan, raw), read(lambda raw: drained(planning(raw)), raw)


def same(one, other):
    if one is None or other is None:
        return one is other
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and one[name].shape == other[name].shape
        and one[name].tolist() == other[name].tolist() for name in one
    )  # fmt: skip


TEXT = st.text(alphabet='a"\\,[]{}é\n\0', max_size=6)
NUMBER = st.integers(-300, 300) | st.floats(-1e6, 1e6, width=32)
KINDS = {"FP32": NUMBER, "INT64": st.integers(-(2**63), 2**63 - 1), "BOOL": st.booleans(), "BYTES": TEXT}


@st.composite
def requests(draw):
    """A request of one or two tensors, flat or in rows, with white space wherever JSON has room for it."""
    inputs = []
    for name in draw(st.sampled_from(["x", "xy"])):
        kind = draw(st.sampled_from(sorted(KINDS)))
        shape = draw(st.lists(st.integers(1, 5), max_size=3))
        values = draw(st.lists(KINDS[kind], min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
        data = np.array(values, object).reshape(shape or [1]).tolist() if draw(st.booleans()) else values
        inputs.append({"name": name + draw(TEXT), "shape": shape, "datatype": kind, "data": data})
    told = {"id": draw(TEXT), "inputs": inputs, "parameters": {"key": draw(TEXT)}}
    return json.dumps(told, indent=draw(st.sampled_from([None, 0, 1])), ensure_ascii=draw(st.booleans())).encode()


@settings(max_examples=300)
@given(requests())
def test_it_is_read_as_the_whole_is(raw):
    whole, pieces = both(raw)
    assert whole is not None and same(whole, pieces)


@st.composite
def damaged(draw):
    raw = bytearray(draw(requests()))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(raw)))
        signs = st.sampled_from(
            [b'"', b"\\", b"[", b"]", b"{", b"}", b",", b"1", b" ", b'"a":', b"\xff", b"[]", b"null"]
        )
        raw[place : place + draw(st.integers(0, 3))] = draw(signs | st.just(b""))
    return bytes(raw)


def entry(data, shape="[2]", kind="FP32"):
    told = b'{"inputs":[{"name":"x","shape":%s,"datatype":"%s","data":%s}]}' % (shape.encode(), kind.encode(), data)
    return told.replace(b'"data":[', b'"data":[' + b" " * SHORT, 1)


@settings(max_examples=600)
@given(damaged())
@example(entry(b"[1111,2222,]"))
@example(entry(b"[1,,2]"))
@example(entry(b"[1 2]"))
@example(entry(b"[[1],[2],[]]"))
@example(entry(b"[[11,22]"))
@example(entry(b"[11,222]]"))
@example(entry(b'[1,2],"data":[3,4]'))
@example(entry(b"[111111,222222}"))
@example(entry(b'[11111111111111,"\\",2222222222"]'))
@example(entry(b"[1,[2]]"))
@example(entry(b"[[1,1],[2]]", "[3]"))
@example(entry(b"[[[1,1],[2,2]],[[3,3]]]", "[6]"))
@example(entry(b"[[[1,1]],[[2,2]],[[3,3]]]", "[6]"))
@example(entry(b'[{"a":1,"b":2}]', "[2]"))
@example(entry(b"[1,2],[3,4]:5"))
def test_what_is_damaged_is_refused_whole_and_in_pieces(raw):
    whole, pieces = both(raw)
    if whole is None or pieces is not None:
        assert same(whole, pieces), (whole, pieces)
        return
    with pytest.raises(BadRequest) as caught:  # stricter than the other, in what no client sends
        drained(planning(raw)).inputs(raw, len(raw))
    assert any(odd in str(caught.value) for odd in STRICTER), (raw, caught.value)


STRICTER = ("no input's 'data'", "no shape of whole numbers", "that is empty", "has 1 elements, its shape")
"""Long lists under another key, or under one that comes twice; of sizes; of nothing but rows, or of nothing."""


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (entry(b"[[1,2],[3]]", "[3]"), "rows of different lengths"),
        (entry(b"[[1,2],[[3]]]", "[3]"), "no FP32"),
        (entry(b"[[1,2],3]", "[3]"), "mixes rows with numbers"),
        (entry(b"[[1,2],[],[3]]", "[4]"), "is empty"),
        (entry(b"[1,2,3]", "[4]"), "has 3 elements, its shape"),
        (entry(b"[1,2,3")[:-3], "ends within a list"),
        (entry(b"[1,2,'3'").rstrip(b"]}"), "ends within a list"),
        (entry(b"[1,2,03]", "[3]"), "no JSON that can be read: number with leading zero"),
        (entry(b'[1,2,"NaN","nan"]', "[4]"), "no FP32"),
        (entry(b"[1,2,1e39]", "[3]"), "cannot"),
        (entry(b"[%s1,2%s]" % (b"[" * 40, b"]" * 40)), "nested too deeply"),
        (entry(b'[1],"more":[%s1]' % (b" " * SHORT), "[1]"), "no input's 'data'"),
        (entry(b"[1]", str([1] * 20)), "no shape of whole numbers"),
        (b'{"id":"' + b"x" * 200_000 + b'"}', "may have 131,072 bytes besides"),
        (entry(b"[" * 200_000), "no JSON that can be read"),
    ],
)
def test_what_is_wrong_is_said(raw, says):
    with pytest.raises(BadRequest, match=says):
        drained(planning(raw)).inputs(raw, len(raw))


def test_an_element_has_its_limit(monkeypatch):
    monkeypatch.setattr(long, "MOST_TEXT", 20)
    raw = entry(b'["%s","b"]' % (b"a" * 30), kind="BYTES")
    with pytest.raises(BadRequest, match="has more than 20 bytes; send it as binary"):
        drained(planning(raw)).inputs(raw, len(raw))


def test_what_stands_for_a_list_is_known_to_nobody_and_stands_for_nothing_else():
    assert long.cut_out("anything", []) == "anything" and len(long._MARK) == 32
    raw = b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":"0"}]}'
    with pytest.raises(BadRequest, match="neither"):
        drained(planning(raw))


def test_a_list_is_read_in_many_steps_none_of_them_large(monkeypatch):
    sizes = []
    loads = long.orjson.loads
    raw = entry(b"[%s]" % b",".join([b"[1,2]"] * 5000), "[5000,2]")
    monkeypatch.setattr(long, "_LOOK", 4096)
    monkeypatch.setattr(long, "_PIECE", 1000)
    asked = drained(planning(raw))
    monkeypatch.setattr(long.orjson, "loads", lambda text: (sizes.append(len(text)), loads(text))[1])
    found = drained(asked.reading(raw, len(raw)))["x"]
    assert found.tolist() == [[1, 2]] * 5000 and len(sizes) > 20 and max(sizes) < 1100
