"""Which models make room for another, and what each is said to hold."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.core.model import FilesIn, Model, Signature
from edgewright.runtime.memory import Holding, Room, Uses, anonymous_bytes, held_bytes, make_room

HELD = st.lists(
    st.builds(Holding, st.integers(0, 10**6), st.integers(0, 100), st.floats(0, 100), st.booleans()),
    max_size=8,
    unique_by=lambda one: one.name,
)
A, B, C = Holding("a", 30, 3.0), Holding("b", 30, 1.0), Holding("c", 30, 2.0)


@pytest.mark.parametrize(
    ("held", "need", "budget", "unload"),
    [
        ([], 10, 100, ()),
        ([A, B, C], 10, 100, ()),
        ([A, B, C], 11, 100, ("b",)),
        ([A, B, C], 41, 100, ("b", "c")),
        ([A, B, C], 100, 100, ("b", "c", "a")),
        ([A, Holding("b", 30, 1.0, pinned=True), C], 40, 100, ("c",)),
        ([A, B, C], 0, 60, ("b",)),  # they grew
        ([A, B, C], 10**9, 0, ()),  # no budget
    ],
)
def test_the_coldest_go_first(held, need, budget, unload):
    assert make_room(held, need, budget) == Room(unload)


@pytest.mark.parametrize(
    ("held", "need", "says"),
    [
        ([A], 101 * 10**6, r"it needs 101.0 MB, more than the 100.0 MB that memory_mb allows"),
        ([Holding("a", 60 * 10**6, 1.0, pinned=True), B], 50 * 10**6, r"cannot be unloaded now hold 60.0 MB"),
    ],
)
def test_there_is_a_sentence_when_there_is_no_room(held, need, says):
    room = make_room(held, need, 100 * 10**6)
    assert room.unload == ()
    assert says in room.refused


@given(HELD, st.integers(0, 200), st.integers(1, 300))
def test_the_rule(held, need, budget):
    room = make_room(held, need, budget)
    by_name = {one.name: one for one in held}
    gone = [by_name[name] for name in room.unload]
    kept = [one for one in held if one.name not in room.unload]
    free = sum(one.size_bytes for one in held if not one.pinned)
    total = sum(one.size_bytes for one in held)

    assert not any(one.pinned for one in gone)
    assert len(set(room.unload)) == len(room.unload)
    assert [one.used for one in gone] == sorted(one.used for one in gone)
    warmest = max((one.used for one in gone), default=-1.0)
    assert all(one.pinned or one.used >= warmest for one in kept), "a warmer one went before a colder one"
    if room.refused:
        assert not gone
        assert total - free + need > budget, "it was refused although there was room to be made"
    else:
        assert sum(one.size_bytes for one in kept) + need <= budget
        if gone:
            spared = sum(one.size_bytes for one in kept) + gone[-1].size_bytes + need
            assert spared > budget, "the last one went for nothing"


def test_uses_are_told_by_counters():
    uses = Uses()
    uses.look({"a": 0, "b": 7}, 1.0)
    uses.look({"a": 3, "b": 7}, 2.0)
    assert (uses.used("a"), uses.used("b"), uses.used("c")) == (2.0, 1.0, 0.0)
    uses.look({"b": 7}, 3.0)
    assert (uses.used("a"), uses.used("b")) == (0.0, 1.0)
    uses.look({"a": 3, "b": 8}, 4.0)  # loaded again
    assert (uses.used("a"), uses.used("b")) == (4.0, 4.0)


def test_what_a_model_holds(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"x" * 100)
    kept = Model("onnx", "m.onnx", {"m.onnx": b"x" * 100}, Signature((), ()))
    mapped = Model("onnx", "m.onnx", FilesIn(tmp_path, ["m.onnx"]), Signature((), ()))
    assert (held_bytes(kept), held_bytes(kept, 250), held_bytes(kept, 50)) == (200, 350, 200)
    assert (held_bytes(mapped), held_bytes(mapped, 250)) == (100, 350)
    script = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        assert held_bytes(kept, pid=other.pid) > 10**6
        other.communicate(b"\n")
    assert held_bytes(kept, pid=other.pid) == 200  # gone
    (tmp_path / "m.onnx").unlink()
    assert held_bytes(mapped) == 0


def test_what_others_took_meanwhile_is_not_put_down_to_a_small_model():
    small = Model("onnx", "m.onnx", {"m.onnx": b"x" * 538}, Signature((), ()))
    large = Model("onnx", "m.onnx", {"m.onnx": bytes(10_000_000)}, Signature((), ()))
    assert held_bytes(small, 10_000_000) == 538 + 2 * 538 + 2_000_000
    assert held_bytes(large, 15_000_000) == 25_000_000


def test_small_figures_are_told_in_kilobytes():
    said = make_room([], 2_690, 1_000).refused
    assert "it needs 2.7 kB, more than the 1.0 kB" in said


def test_memory_that_is_taken_is_seen():
    before = anonymous_bytes()
    taken = bytearray(b"x" * (64 << 20))
    assert anonymous_bytes() - before > 60 << 20
    assert len(taken) == 64 << 20
