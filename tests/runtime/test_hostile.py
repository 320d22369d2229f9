"""Bytes from outside: nothing that reads them may crash, hang, or take them in two ways."""

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edgewright.testing import hostile

QUICK = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
WORDS = (
    b"\r\n", b"\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n", b"POST /a HTTP/1.1\r\nHost: a\r\n",
    b"Content-Length: ", b"3", b"abc", b"\0",
    b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"3\r\nabc\r\n", b"ffffffff\r\n", b"Connection: close\r\n", b"-1",
    b"Expect: 100-continue\r\n", b"Host: a\r\n", b"0x1\r\n", b"1_0\r\n", b"+1\r\n", b";", b" ", b"\n", b"\r",
    b"Upgrade: h2c\r\n", b"HTTP/1.0\r\n", b"18446744073709551616",
)  # fmt: skip
SPOKEN = st.lists(st.sampled_from(WORDS) | st.binary(max_size=8), max_size=24).map(b"".join)


@st.composite
def changed(draw, seeds):
    """A seed with a few bytes changed, cut or repeated."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(data)))
        cut = draw(st.integers(0, 8))
        data[place : place + cut] = draw(st.binary(max_size=8) | st.sampled_from(WORDS))
    return bytes(data)


@pytest.mark.parametrize("name", hostile.TARGETS)
def test_anything_is_read_or_refused(name):
    @QUICK
    @given(SPOKEN | changed(hostile.SEEDS[name]))
    def run(data):
        hostile.TARGETS[name](data)

    for seed in hostile.SEEDS[name]:
        hostile.TARGETS[name](seed)
    run()


@QUICK
@given(SPOKEN | changed(hostile.SEEDS["connection"]), st.lists(st.integers(1, 40), min_size=1, max_size=8))
@example(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3000, [1 << 16])
def test_it_does_not_matter_in_which_pieces_requests_come(data, sizes):
    assert hostile.connection(data, sizes) == hostile.connection(data)


@QUICK
@given(changed(hostile.SEEDS["frames"]), st.lists(st.integers(1, 40), min_size=1, max_size=8))
@example(hostile.SEEDS["frames"][1] * 2000, [1 << 16])
def test_it_does_not_matter_in_which_pieces_frames_come(data, sizes):
    assert hostile.frames(data, sizes) == hostile.frames(data)


@pytest.mark.parametrize(
    "opening", [b"[", b'{"a":', b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":' + b"["]
)
def test_json_of_any_depth_is_refused(opening):
    assert "no JSON that can be read" in hostile.request(opening + b"[" * 200_000)


@pytest.mark.parametrize(
    ("more", "binary", "says"),
    [
        ({"datatype": "FP32", "shape": [0] + [2**62] * 3}, 0, "elements"),
        ({"datatype": "FP32", "shape": [1] * 70}, 4, "dimensions"),
        ({"datatype": "FP32", "shape": [2**62] * 5000}, 4, "no shape of whole numbers"),
        ({"datatype": "BYTES", "shape": [2**31]}, 4, "more than 65,536 elements"),
        ({"datatype": "BOOL", "shape": [4]}, 4, "other than 0 and 1"),
    ],
)
def test_lying_shapes(more, binary, says):
    told = {"name": "x", "parameters": {"binary_data_size": binary}, **more}
    assert says in hostile.request(json.dumps({"inputs": [told]}).encode() + b"\0" + b"\x02" * binary)


NUMBER = st.integers(-(2**70), 2**70) | st.sampled_from([0, 1, 2, 2**31 - 1, 2**31, 2**63 - 1, -1])
SHAPE = st.lists(NUMBER, max_size=70) | NUMBER
VALUE = st.recursive(
    st.none() | st.booleans() | NUMBER | st.floats() | st.text(max_size=4),
    lambda v: st.lists(v, max_size=4),
    max_leaves=8,
)
KIND = st.sampled_from(["FP32", "BYTES", "BF16", "BOOL", "INT64", "UINT8", "FP16", "x"]) | VALUE
INPUT = st.fixed_dictionaries(
    {"name": st.sampled_from(["x", "y"]), "datatype": KIND, "shape": SHAPE},
    optional={"data": VALUE, "parameters": st.dictionaries(st.just("binary_data_size"), NUMBER, max_size=1) | VALUE},
)
REQUEST = st.fixed_dictionaries(
    {"inputs": st.lists(INPUT, max_size=3) | VALUE},
    optional={"id": VALUE, "outputs": VALUE, "parameters": st.dictionaries(st.just("timeout"), VALUE) | VALUE},
)


@settings(QUICK, max_examples=400)
@given(REQUEST, st.binary(max_size=16))
def test_any_json_of_a_requests_form_is_read_or_refused(told, binary):
    hostile.request(json.dumps(told).encode() + b"\0" + binary)
