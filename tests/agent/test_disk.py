"""Disks that are full, out of inodes, or read-only; clocks that are wrong. What serves goes on."""

import os
import subprocess
import time

import pytest

from edgewright.agent import Agent, Journal, Reports, Slots, Trial, children
from edgewright.agent.preflight import Needs, Room, clock_fault, lacks, misfit
from edgewright.core.errors import InputError, StorageError
from edgewright.testing.agents import in_process, state_folder, take, verified

MIB = 2**20
DAY = 86400.0


@pytest.fixture
def tmpfs(tmp_path):
    """Mounts small disks; skipped where that is not allowed."""
    mounted = []

    def mount(options):
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True)
        if done.returncode:
            pytest.skip("no disk may be mounted here")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(children, "run_child", in_process)


def fill(disk):
    """Take all that is free."""
    with (disk / "ballast").open("wb", buffering=0) as stream:
        try:
            while stream.write(bytes(4096)):
                pass
        except OSError:
            pass


def test_the_way_back_is_recorded_on_a_full_disk(tmpfs, key, made, quick):
    disk = tmpfs("size=16m")
    state = state_folder(disk / "state", key)
    assert take(state, made.a.path).result == take(state, made.b.path).result == "committed"
    fill(disk)
    with pytest.raises(OSError, match="space"):
        (disk / "more").write_bytes(bytes(4096))
    with Journal(state / "journal") as journal:
        for n in range(20):
            journal.append({**journal.last, "reason": f"{n}"})
    assert verified(state) == made.b.digest


def test_an_update_on_a_full_disk_is_postponed_and_then_goes_on(tmpfs, key, made, quick):
    disk = tmpfs("size=16m")
    state = state_folder(disk / "state", key)
    take(state, made.a.path)
    fill(disk)
    with pytest.raises(AssertionError, match="preflight"):
        take(state, made.b.path)  # it is asked to wait
    assert verified(state) == made.a.digest
    (disk / "ballast").unlink()
    assert take(state, made.b.path).good == made.b.digest


def test_a_disk_that_fills_in_the_middle(tmpfs, key, made, quick, monkeypatch):
    disk = tmpfs("size=16m")
    state = state_folder(disk / "state", key)
    take(state, made.a.path)
    monkeypatch.setattr(Room, "here", classmethod(lambda cls, state: Room(10**9, 10**6, 10**10, ("onnxruntime",), "x")))
    fill(disk)
    with pytest.raises(AssertionError, match=r"metadata|fetching"):
        take(state, made.b.path)
    assert verified(state) == made.a.digest and Slots(state).held() == [made.a.digest]
    (disk / "ballast").unlink()
    assert take(state, made.b.path).good == made.b.digest


def test_reports_are_refused_on_a_full_disk_and_come_back(tmpfs):
    disk = tmpfs("size=1m")
    with Reports(disk / "reports") as reports:
        assert reports.append({"n": 1}) == 1
        fill(disk)
        refused = sum(reports.append({"pad": "x" * 5000}) is None for _ in range(3))
        assert refused and reports.lost == refused and "full" in reports.trouble
        (disk / "ballast").unlink()
        assert reports.append({"n": 2}) is not None
        assert {"lost": refused} in [r.value for r in reports.batch()]


def test_a_disk_that_becomes_read_only_serves_on_and_says_so(tmpfs, key, made):
    disk = tmpfs("size=16m")
    state = state_folder(disk / "state", key)
    options = {"trial": Trial(0.0), "options": ("--http", "127.0.0.1:0")}
    with Agent(state, **options) as agent:
        agent.start()
        assert agent.update(made.a.path).result == "committed"
        agent.runtime.stop()
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    with Agent(state, **options) as agent:
        assert agent.start() == made.a.digest
        assert agent.runtime.serving() == {made.a.digest}, agent.notes
        with pytest.raises(StorageError, match="read-only"):
            agent.update(made.b.path)
        assert agent.machine.now.state == "idle"
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        assert agent.update(made.b.path).result == "committed"
        agent.runtime.stop()


@pytest.mark.parametrize("years", [-56, 10])
def test_a_clock_that_is_wrong_changes_nothing(state, made, quick, monkeypatch, years):
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + years * 365 * DAY)
    assert take(state, made.a.path).good == made.a.digest
    assert take(state, made.b.path).good == made.b.digest


@pytest.mark.parametrize(
    ("now", "seen", "wrong"),
    [
        (0.0, 0.0, "behind"),
        (1_795_000_000.0, 0.0, ""),
        (1_795_000_000.0, 1_796_000_000.0, "behind"),
        (1_795_000_000.0 + 10 * 365 * DAY, 0.0, "ahead"),
        (1_795_000_000.0 + 10 * 365 * DAY, 1_795_000_000.0 + 9 * 365 * DAY, ""),
    ],
)
def test_clocks_that_cannot_be_right(now, seen, wrong):
    assert wrong in clock_fault(now, seen) and bool(wrong) == bool(clock_fault(now, seen))


ROOM = Room(100 * MIB, 10_000, 500 * MIB, ("onnxruntime",), "aarch64")


@pytest.mark.parametrize(
    ("needs", "room", "why"),
    [
        (Needs(40 * MIB), ROOM, ""),
        (Needs(60 * MIB), ROOM, "bytes free"),
        (Needs(), Room(100 * MIB, 3, 0, (), ""), "inodes"),
        (Needs(ram_bytes=600 * MIB), ROOM, "memory"),
    ],
)
def test_what_is_lacking(needs, room, why):
    assert why in lacks(needs, room) and bool(why) == bool(lacks(needs, room))


@pytest.mark.parametrize(
    ("needs", "why"),
    [
        (Needs(engine="onnxruntime", architectures=("aarch64",)), ""),
        (Needs(engine="openvino"), "engine"),
        (Needs(architectures=("x86_64",)), "machine"),
    ],
)
def test_what_never_fits(needs, why):
    assert why in misfit(needs, ROOM) and bool(why) == bool(misfit(needs, ROOM))


@pytest.mark.parametrize(
    "told", [{"size_bytes": -1}, {"size_bytes": "9"}, {"engine": 3}, {"architectures": "arm"}, {"architectures": [1]}]
)
def test_needs_that_make_no_sense(told):
    with pytest.raises(InputError, match="release it again"):
        Needs.of(told)


def test_there_is_room_here(tmp_path):
    room = Room.here(tmp_path)
    assert room.disk_bytes > 0 and room.memory_bytes > 0 and "onnxruntime" in room.engines
    assert room.architecture == os.uname().machine
