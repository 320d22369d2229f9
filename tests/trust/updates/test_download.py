"""Bundles come piece by piece, go on where they stopped, and are used only when all of it is what was signed."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.core.errors import StorageError, TrustError
from edgewright.trust.updates import Release, fetch_bundle, verify_bundle
from edgewright.trust.updates.download import PIECE_BYTES

DATA = bytes(range(256)) * (3 * PIECE_BYTES // 256) + b"the end"
RELEASE = Release(hashlib.sha256(DATA).hexdigest(), len(DATA), "r1", "digits", "1")


@pytest.fixture
def part(tmp_path):
    return tmp_path / "bundle.part"


def source(data, asked=None, most=PIECE_BYTES):
    def read(start, length):
        if asked is not None:
            asked.append((start, length))
        return data[start : start + min(length, most)]

    return read


def test_a_bundle_comes_in_pieces(part):
    asked = []
    fetch_bundle(RELEASE, part, source(DATA, asked))
    assert part.read_bytes() == DATA
    assert asked == [(0, PIECE_BYTES), (PIECE_BYTES, PIECE_BYTES), (2 * PIECE_BYTES, PIECE_BYTES),
                     (3 * PIECE_BYTES, 7)]  # fmt: skip


def test_short_answers_are_gone_on_from(part):
    fetch_bundle(RELEASE, part, source(DATA, most=100_000))
    assert part.read_bytes() == DATA


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_it_goes_on_where_it_stopped(part, cut):
    calls = []

    def read(start, length):
        if len(calls) == cut:
            raise ConnectionResetError("gone")
        calls.append(start)
        return DATA[start : start + length]

    with pytest.raises(ConnectionResetError):
        fetch_bundle(RELEASE, part, read)
    asked = []
    fetch_bundle(RELEASE, part, source(DATA, asked))
    assert part.read_bytes() == DATA
    assert asked[0][0] == (cut - 1) * PIECE_BYTES  # the last piece may never have reached the disk: once more


def test_a_last_piece_of_zeros_after_a_power_cut_is_fetched_again(part):
    part.write_bytes(DATA[:PIECE_BYTES] + bytes(PIECE_BYTES))
    fetch_bundle(RELEASE, part, source(DATA))
    assert part.read_bytes() == DATA


@pytest.mark.parametrize("kept", [DATA, DATA + b"x", b"x" * (len(DATA) * 2), DATA[:1]])
def test_whatever_lies_there_it_ends_well(part, kept):
    part.write_bytes(kept)
    fetch_bundle(RELEASE, part, source(DATA))
    assert part.read_bytes() == DATA


def test_a_part_of_something_else_is_thrown_away(part):
    part.write_bytes(b"?" * (2 * PIECE_BYTES + 5))
    with pytest.raises(TrustError, match="refused"):
        fetch_bundle(RELEASE, part, source(DATA))
    assert not part.exists()
    fetch_bundle(RELEASE, part, source(DATA))
    assert part.read_bytes() == DATA


@pytest.mark.parametrize(
    "read",
    [
        lambda start, length: b"",
        lambda start, length: DATA,  # the range was ignored
        lambda start, length: b"x" * (length + 1),
    ],
)
def test_a_source_that_sends_too_much_or_nothing(part, read):
    with pytest.raises(TrustError, match="asked for"):
        fetch_bundle(RELEASE, part, read)
    assert not part.exists() or part.stat().st_size == 0


def test_a_source_that_always_begins_at_the_beginning(part):
    with pytest.raises(TrustError, match="refused"):
        fetch_bundle(RELEASE, part, lambda start, length: DATA[:length])
    assert not part.exists()


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_any_flipped_byte_is_found(tmp_path_factory, place, flip):
    part = tmp_path_factory.mktemp("part") / "part"
    bad = bytearray(DATA)
    bad[place] ^= flip
    with pytest.raises(TrustError, match="refused"):
        fetch_bundle(RELEASE, part, source(bytes(bad)))
    assert not part.exists()


@pytest.mark.parametrize("data", [b"", DATA[:-1], DATA + b"x", bytes(len(DATA))])
def test_what_was_put_together_otherwise_is_verified_too(part, data):
    part.write_bytes(data)
    with pytest.raises(TrustError):
        verify_bundle(RELEASE, part)
    part.write_bytes(DATA)
    verify_bundle(RELEASE, part)


def test_a_link_is_not_followed(part, tmp_path):
    (tmp_path / "precious").write_bytes(b"keep")
    part.symlink_to(tmp_path / "precious")
    with pytest.raises(StorageError):
        fetch_bundle(RELEASE, part, source(DATA))
    assert (tmp_path / "precious").read_bytes() == b"keep"


def test_a_missing_file_is_told(part):
    with pytest.raises(StorageError):
        verify_bundle(RELEASE, part)
