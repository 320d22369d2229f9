"""The cache: what is the same request, what is forgotten, and that nobody can spoil it."""

import gc
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgewright.core.errors import InputError
from edgewright.runtime.cache import Cache, image_key, request_key

DTYPES = st.one_of(hnp.boolean_dtypes(), hnp.integer_dtypes(), hnp.floating_dtypes(), hnp.unicode_string_dtypes())
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))


class Owner:
    """A model version."""


def f(*values, dtype=np.float32):
    return {"x": np.array(values, dtype)}


def strings(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return {"x": array}


@given(ARRAYS)
def test_equal_requests_have_equal_keys_however_they_lie_in_memory(array):
    other = np.array(array, order="F")
    assert request_key("m", {"x": array, "y": other}) == request_key("m", {"y": array.copy(), "x": other})
    if array.ndim:
        wide = np.repeat(array, 2, axis=0)[::2]
        assert request_key("m", {"x": wide}) == request_key("m", {"x": array})


@given(ARRAYS, ARRAYS)
def test_requests_that_differ_in_anything_have_different_keys(one, other):
    same = one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    assert (request_key("m", {"x": one}) == request_key("m", {"x": other})) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("m", f(1)), ("n", f(1))),
        (("m", f(1)), ("m", {"y": f(1)["x"]})),
        (("m", f(0.0)), ("m", f(-0.0))),
        (("m", f(1, 2)), ("m", {"x": f(1, 2)["x"].reshape(2, 1)})),
        (("m", f(1, dtype="<i4")), ("m", f(1, dtype=">i4"))),
        (("m", strings("ab", "c")), ("m", strings("a", "bc"))),
        (("m", strings("a")), ("m", strings(b"a"))),
    ],
)
def test_these_are_not_the_same(one, other):
    assert request_key(*one) != request_key(*other)
    assert request_key(*one) == request_key(*one) and len(request_key(*one)) == 16


def test_equal_nans_and_equal_strings_are_the_same_and_other_objects_have_no_key():
    assert request_key("m", f(np.nan, 1)) == request_key("m", f(np.nan, 1))
    assert request_key("m", strings("é", "\ud800")) == request_key("m", strings("é", "\ud800"))
    assert request_key("m", strings("a", 3)) is None


def test_an_image_is_told_apart_by_its_bytes_and_its_preprocessing():
    keys = [image_key(b"a", {"mean": 1}), image_key(b"b", {"mean": 1}), image_key(b"a", {"mean": 2})]
    assert len(set(keys)) == 3 and keys[0] == image_key(memoryview(b"a"), {"mean": 1})


def test_nobody_can_spoil_what_is_kept():
    cache, owner, mine = Cache(10**6), Owner(), np.arange(6.0)
    whole = np.arange(12.0)
    first = cache.keep(owner, b"k", {"own": mine, "part": whole[:6]})
    whole[:] = -1
    for given_out in (first, cache.find(b"k")):
        for array in given_out.values():
            with pytest.raises(ValueError):
                array[0] = 7
            with pytest.raises(ValueError):
                array.flags.writeable = True
            array.shape = (2, 3)
        del given_out["own"]
    found = cache.find(b"k")
    assert all(np.array_equal(found[name], np.arange(6.0)) for name in ("own", "part"))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 900), st.integers(0, 2)), max_size=60))
def test_it_never_holds_more_than_it_may_and_forgets_the_least_recently_used(steps):
    """Against a list that does the same slowly. A step with an odd key looks, the others keep."""
    cache, owners, model = Cache(6000), [Owner() for _ in range(3)], []
    for name, count, whose in steps:
        key = bytes([name])
        if name % 2:
            found = cache.find(key)
            assert (found is None) == all(k != key for k, _, _ in model)
        else:
            cache.keep(owners[whose], key, {"y": np.zeros(count)})
            held = Cache(10**6)
            held.keep(owners[whose], key, {"y": np.zeros(count)})
            size = held.counts().bytes
            assert size >= 8 * count
            if size > 6000:
                continue
            model = [entry for entry in model if entry[0] != key]
            model.append((key, size, whose))
            while sum(size for _, size, _ in model) > 6000:
                del model[0]
        counts = cache.counts()
        assert counts.entries == len(model) and counts.bytes == sum(size for _, size, _ in model) <= 6000
    cache.forget(owners[0])
    left = [(key, size) for key, size, whose in model if whose]
    assert cache.counts().bytes == sum(size for _, size in left) and cache.counts().entries == len(left)


def test_looking_keeps_an_entry_alive():
    cache, owner = Cache(3000), Owner()
    for key in (b"a", b"b"):
        cache.keep(owner, key, {"y": np.zeros(60)})
    assert cache.find(b"a")
    cache.keep(owner, b"c", {"y": np.zeros(60)})
    assert cache.find(b"a") and cache.find(b"c") and cache.find(b"b") is None
    counts = cache.counts()
    assert (counts.hits, counts.misses, counts.evicted) == (3, 1, 1)


def test_what_an_entry_takes_is_counted():
    """Python's own count of memory, for entries whose arrays hold nearly nothing."""
    cache, owner = Cache(10**9), Owner()
    gc.collect()
    tracemalloc.start()
    for number in range(2000):
        cache.keep(owner, number.to_bytes(16, "big"), {"a": np.zeros(1), "b": np.zeros(1)})
    took = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert 0.5 * cache.counts().bytes < took < 1.05 * cache.counts().bytes


def test_an_owner_that_is_gone_has_nothing_and_gets_nothing():
    cache, owner, other = Cache(10**6), Owner(), Owner()
    cache.keep(owner, b"a", f(1))
    cache.keep(other, b"b", f(1))
    cache.forget(owner)
    assert cache.find(b"a") is None and cache.find(b"b")
    assert cache.keep(owner, b"a", f(2))["x"][0] == 2, "a run that was under way is still answered"
    assert cache.find(b"a") is None and cache.counts().dropped == 1


@pytest.mark.parametrize("told", [-1, "4", True, float("nan"), float("inf")])
def test_sizes_that_are_none_are_refused(told):
    with pytest.raises(InputError, match="cache_mb"):
        Cache.of_megabytes(told)


def test_it_is_off_unless_it_has_a_size():
    assert Cache.of_megabytes(0) is None and Cache.of_megabytes(0.5).most_bytes == 2**19
