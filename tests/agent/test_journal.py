"""The journal: whole or not there, whatever happens to the file."""

import errno
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.agent import Journal, held
from edgewright.agent.frames import crc32c, frame, scan
from edgewright.core.errors import InputError, StorageError


def test_the_checksum_is_castagnolis():
    """RFC 3720, appendix B.4."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


@given(st.lists(st.dictionaries(st.text(max_size=4), st.integers(-9, 9), max_size=3), max_size=5), st.data())
def test_a_file_cut_anywhere_holds_the_records_before_the_cut(values, data):
    frames = [frame(value) for value in values]
    whole = b"".join(frames)
    cut = data.draw(st.integers(0, len(whole)))
    tail = data.draw(st.sampled_from([b"", bytes(700), b"\xed" * 9, b"\xedJ" + bytes(20)]))
    found = scan(whole[:cut] + tail)
    ends = [sum(map(len, frames[: n + 1])) for n in range(len(frames))]
    kept = [value for value, end in zip(values, ends, strict=True) if end <= cut]
    assert [one.value for one in found.records] == kept and not found.gaps


@given(st.integers(0, 10**6), st.integers(0, 7))
def test_no_flipped_bit_goes_unseen(place, bit):
    frames = [frame({"n": n, "text": "x" * 20}) for n in range(4)]
    raw = bytearray(b"".join(frames))
    place %= len(raw)
    raw[place] ^= 1 << bit
    hit = place // len(frames[0])
    found = scan(bytes(raw))
    assert [one.value["n"] for one in found.records] == [n for n in range(4) if n != hit]
    assert bool(found.gaps) == (hit < 3) and bool(found.torn) == (hit == 3)


@given(st.binary(max_size=300))
def test_any_bytes_can_be_scanned(raw):
    assert scan(raw).end <= len(raw)


def test_what_was_appended_is_there_again(tmp_path):
    with Journal(tmp_path / "j") as journal:
        assert journal.last is None and journal.append({"state": "a"}) == 1 and journal.append({"state": "b"}) == 2
    with Journal(tmp_path / "j") as again:
        assert again.last == {"state": "b"} and again.notes == () and again.append({"state": "c"}) == 3
        assert again.history() == [(1, {"state": "a"}), (2, {"state": "b"}), (3, {"state": "c"})]


def test_a_torn_last_record_is_dropped_and_written_over(tmp_path):
    with Journal(tmp_path / "j") as journal:
        journal.append({"state": "a"})
        end = journal._end
        journal.append({"state": "b", "pad": "x" * 100})
    raw = bytearray((tmp_path / "j").read_bytes())
    raw[end + 60 :] = bytes(len(raw) - end - 60)
    (tmp_path / "j").write_bytes(raw)
    with Journal(tmp_path / "j") as again:
        assert again.last == {"state": "a"} and "not written whole" in again.notes[0]
        again.append({"state": "c"})
    with Journal(tmp_path / "j") as last:
        assert last.last == {"state": "c"} and last.notes == ()


def test_a_damaged_middle_is_told_and_costs_nothing_but_history(tmp_path):
    with Journal(tmp_path / "j") as journal:
        for state in "abc":
            journal.append({"state": state})
    raw = bytearray((tmp_path / "j").read_bytes())
    raw[raw.index(b'"b"')] ^= 4
    (tmp_path / "j").write_bytes(raw)
    with Journal(tmp_path / "j") as again:
        assert again.last == {"state": "c"} and "damaged" in again.notes[0]


def test_a_cut_out_middle_is_told(tmp_path):
    ends = [0]
    with Journal(tmp_path / "j") as journal:
        for state in "abc":
            journal.append({"state": state})
            ends.append(journal._end)
    raw = (tmp_path / "j").read_bytes()
    (tmp_path / "j").write_bytes(raw[: ends[1]] + raw[ends[2] :])
    with Journal(tmp_path / "j") as again:
        assert again.last == {"state": "c"} and "missing" in again.notes[0]


def test_it_stays_as_large_as_it_may_be_and_goes_on_counting(tmp_path):
    with Journal(tmp_path / "j", 8192) as journal:
        for n in range(500):
            assert journal.append({"n": n, "pad": "x" * (n % 300)}) == n + 1
            assert (tmp_path / "j").stat().st_size == 8192
        kept = journal.history()
        assert kept[-1] == (500, journal.last) and len(kept) > 3
        with pytest.raises(StorageError, match="larger"):
            journal.append({"pad": "x" * 9000})
        assert journal.append({"n": 500}) == 501
    with Journal(tmp_path / "j", 8192) as again:
        assert again.notes == () and again.last == {"n": 500}


def test_a_record_has_its_bound(tmp_path):
    with Journal(tmp_path / "j") as journal, pytest.raises(InputError, match="tell less"):
        journal.append({"pad": "x" * 70_000})


class Failing:
    """``os`` calls that fail when told to."""

    def __init__(self, monkeypatch):
        self.failing, self.number = set(), errno.ENOSPC
        for name in ("pwrite", "fsync", "ftruncate"):
            monkeypatch.setattr(os, name, self.wrapped(name, getattr(os, name)))

    def wrapped(self, name, real):
        def call(*given):
            if name in self.failing:
                if name == "pwrite":
                    real(given[0], given[1][:5], given[2])
                elif name == "fsync":
                    real(*given)  # done all the same, and reported as failed
                raise OSError(self.number, os.strerror(self.number))
            return real(*given)

        return call


@pytest.mark.parametrize("name", ["pwrite", "fsync"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_what_was_refused_never_comes_back(tmp_path, monkeypatch, name, number):
    disk = Failing(monkeypatch)
    with Journal(tmp_path / "j") as journal:
        journal.append({"state": "a"})
        disk.failing, disk.number = {name}, number
        for _ in range(2):
            with pytest.raises(StorageError, match="cannot write"):
                journal.append({"state": "refused"})
        assert journal.last == {"state": "a"}
        disk.failing = set()
        assert journal.append({"state": "b"}) == 2
    with Journal(tmp_path / "j") as again:
        assert again.history() == [(1, {"state": "a"}), (2, {"state": "b"})] and again.notes == ()


def test_a_compaction_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    with Journal(tmp_path / "j", 4096) as journal:
        while journal._end < 3900:
            journal.append({"pad": "x" * 100})
        last = journal.last
        disk = Failing(monkeypatch)
        disk.failing = {"fsync"}
        with pytest.raises(StorageError):
            journal.append({"pad": "y" * 500})
        assert journal.last == last
        disk.failing = set()
        journal.append({"pad": "z" * 500})
    with Journal(tmp_path / "j", 4096) as again:
        assert again.last == {"pad": "z" * 500} and not any("y" in r["pad"] for _, r in again.history())


def test_two_agents_on_one_folder_are_refused_even_in_two_processes(tmp_path):
    program = f"""
from pathlib import Path
from edgewright.agent import held
with held(Path({str(tmp_path)!r})):
    print("held", flush=True)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StorageError, match="another agent runs"), held(tmp_path):
            pass
        other.kill()
        other.wait()
        with held(tmp_path):
            pass
