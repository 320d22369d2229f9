"""Tensors through shared memory, and headers that lie."""

import json
import mmap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgewright.runtime.isolation.tensors import Reader, TooSmallError, Writer

NAMES = st.text(min_size=1, max_size=8).filter(lambda s: s.encode("utf-8", "ignore").decode() == s)
NUMBERS = hnp.arrays(
    st.sampled_from(["?", "i1", "<i2", ">i4", "<i8", "u1", "<u8", "<f2", "<f4", ">f8"]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
TEXT = hnp.arrays(object, hnp.array_shapes(min_dims=0, max_side=3), elements=st.text(max_size=5))
BYTES = hnp.arrays(object, hnp.array_shapes(min_side=1, max_side=3), elements=st.binary(max_size=5))


def pair(size=1 << 16):
    memory = mmap.mmap(-1, size)
    reader, writer = Reader(), Writer()
    reader.attach(memory)
    writer.attach(memory)
    return reader, writer


@given(st.lists(st.dictionaries(NAMES, NUMBERS | TEXT | BYTES, max_size=3), min_size=1, max_size=4))
def test_what_is_written_is_read(requests):
    reader, writer = pair()
    for arrays in requests:
        for _ in range(2):
            found = reader.read(writer.write(arrays))
            assert list(found) == list(arrays)
            for name, array in arrays.items():
                assert found[name].shape == array.shape and found[name].dtype == array.dtype.newbyteorder("=")
                np.testing.assert_array_equal(found[name], array)


def test_a_region_too_small_says_what_would_do():
    reader, writer = pair(mmap.PAGESIZE)
    arrays = {"x": np.ones(mmap.PAGESIZE, np.float32), "y": np.ones(1, np.int8)}
    with pytest.raises(TooSmallError) as caught:
        writer.write(arrays)
    assert caught.value.need == 4 * mmap.PAGESIZE + 64
    larger = mmap.mmap(-1, caught.value.need)
    reader.attach(larger)
    writer.attach(larger)
    np.testing.assert_array_equal(reader.read(writer.write(arrays))["x"], arrays["x"])


def test_a_type_of_no_fixed_meaning_does_not_travel():
    with pytest.raises(ValueError, match="complex64"):
        pair()[1].write({"x": np.ones(2, np.complex64)})


@pytest.mark.parametrize(
    "lie",
    [
        {"x": 1},
        [["x", "float32", [2], 0]],
        [["x", "float32", [2], 0, 12]],
        [["x", "float32", [-2], 0, -8]],
        [["x", "float32", [True], 0, 4]],
        [["x", "float32", [2**20], 0, 2**22]],
        [["x", "float32", [2], 65536, 8]],
        [["x", "float32", [2], 4, 8]],
        [["x", "float32", [2**32, 2**31], 0, 0]],
        [["x", "object", [1], 0, 8]],
        [["x", ["float32"], [1], 0, 4]],
        [["x", "str", [2**40], 0, 0]],
        [["x", "str", [1], 0, 2]],
        [["x", "float32", [0] * 65, 0, 0]],
        [["x", "float32", [0, 2**62, 2**62], 0, 0]],
        [["x", "uint8", [1], 0, 1], ["x", "uint8", [1], 0, 1]],
    ],
)
def test_a_header_that_lies_is_refused(lie):
    with pytest.raises(ValueError):
        pair()[0].read(json.dumps(lie).encode())


@given(
    st.lists(
        st.tuples(
            st.text(max_size=2), st.sampled_from(["float32", "str", "bytes", "bool", "x"]),
            st.lists(st.integers(-1, 2**63 - 1) | st.integers(0, 4), max_size=4), st.integers(-64, 2**17),
            st.integers(-1, 2**17),
        ),
        max_size=2,
    )
)  # fmt: skip
def test_no_header_leads_out_of_the_region(told):
    reader, _ = pair()
    try:
        found = reader.read(json.dumps(told).encode())
    except ValueError:
        return
    assert all(np.array(array).nbytes <= 1 << 20 for array in found.values())
