"""A recipe is a stranger's: it can make the signed files or nothing, and costs little whatever it says."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.bundles.deltas import make_delta, needed, read_recipe, reconstruct
from edgewright.bundles.deltas.codec import decode, encode, pack, unpack
from edgewright.bundles.deltas.onnxwire import stored_tensors
from edgewright.bundles.deltas.recipe import RECIPE_BYTES, Chunk, Made, Part, Range, Recipe, render
from edgewright.core.digests import canonical_json, digest_bytes
from edgewright.core.errors import StorageError, TrustError

from .conftest import Device, files_of, layers

A, B = "a" * 64, "b" * 64
HONEST: dict[str, Any] = {
    "schema": "edgewright.delta/1",
    "have": [A],
    "chunks": [[B, 100]],
    "files": {
        "m.onnx": {"sha256": A, "size": 30, "parts": [[10, 0, 5], [10, 0, 1, 0, 0, 10], [10, 2, 1, 0, 10, 9, 0, 0, 10]]}
    },
}
SIZES = {"m.onnx": (A, 30)}


def parts(*rows: list[Any]) -> dict[str, Any]:
    return {
        "files": {
            "m.onnx": {"sha256": A, "size": sum(r[0] for r in rows if r and type(r[0]) is int), "parts": list(rows)}
        }
    }


def test_the_honest_one_is_taken() -> None:
    assert len(read_recipe(pack(canonical_json(HONEST)), SIZES).files["m.onnx"].parts or ()) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "edgewright.delta/2"}, {"extra": 1}, {"have": None}, {"have": ["x"]}, {"have": [A.upper()]},
        {"chunks": [[B]]}, {"chunks": [[B, -1]]}, {"chunks": [[B, 0]]}, {"chunks": [[B, 2**40]]},
        {"chunks": [[B, 1.0]]}, {"chunks": [[B, True]]}, {"chunks": [B]}, {"chunks": [[]]}, {"chunks": [[B, 9],
        [B, 9]]},
        {"chunks": [[digest_bytes(bytes([i])), 2**20] for i in range(9)]},
        {"files": []}, {"files": {"m.onnx": {}}}, {"files": {"m.onnx": {"sha256": A, "size": 1, "parts": None,
        "x": 1}}},
        parts([0, 0, 0]), parts([-1, 0, 0], [31, 0, 0]), parts([True, 0, 0]), parts([10.0, 0, 0]), parts([10, "0", 0]),
        parts([10, 1, 0]), parts([10, 0, -1]), parts([10, 0, 2**70]), parts([10, 0]), parts([10, 0, 0, 0]), parts([]),
        parts([10, 5, 1, 0, 0, 9]), parts([10, 1, 0, 0, 0, 9]), parts([10, 1, 3, 0, 0, 9]), parts([10, 1, 1, 1, 0, 9]),
        parts([10, 1, 1, 0, 0, 101]), parts([10, 1, 1, 0, 100, 1]), parts([10, 2, 1, 0, 0, 9]),
        parts([10, 1, 1, 0, 0, 9, 0, 0, 9]), parts([10, 4, 1, 0, 0, 9, 0, 0, 2**23]),
        parts([2**22, 1, 1, 0, 0, 100]), parts([2**42, 0, 0]), parts(*[[1, 0, 0]] * 70_000),
        parts(*[[1, 4, 1, 0, 0, 9, 0, 0, 2**21]] * 100),
        {"files": {"m.onnx": {"sha256": A, "size": 31, "parts": [[30, 0, 0]]}}},
        {"files": {f"f{i}": {"sha256": A, "size": 0, "parts": []} for i in range(5000)}},
        *({"files": {name: {"sha256": A, "size": 30, "parts": None}}} for name in (
            "../m.onnx", "/etc/passwd", "a/../../m", "a\\b", "", ".", "..", ".hidden", "a//b", "con", "a\0b",
            "x" * 300)),
        {"files": {name: {"sha256": A, "size": 30, "parts": None} for name in ("m", "M")}},
        {"files": {name: {"sha256": A, "size": 30, "parts": None} for name in ("m", "m/n")}},
    ],
)  # fmt: skip
def test_a_recipe_that_could_do_harm_is_refused(change: dict[str, Any]) -> None:
    value = {**HONEST, **change}
    files = value["files"] if isinstance(value["files"], dict) else {}
    sizes = {name: (A, e.get("size", 0)) for name, e in files.items()}
    with pytest.raises(TrustError, match="fetch the bundle's files whole"):
        read_recipe(pack(canonical_json(value)), sizes)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"\x28\xb5\x2f\xfd", pack(b""), pack(b"[]"), pack(b"\xff"), pack(b"[" * 100_000),
        pack(canonical_json(HONEST))[:-1],
        pack(canonical_json(HONEST)) + b"x", pack(canonical_json(HONEST)) * 2, pack(bytes(2**26)),
        bytes(RECIPE_BYTES + 1),
    ],
    ids=range(12),
)  # fmt: skip
def test_what_is_no_recipe_is_refused(data: bytes) -> None:
    with pytest.raises(TrustError, match="fetch the bundle's files whole"):
        read_recipe(data, SIZES)


@pytest.mark.parametrize(
    "sizes", [{}, {"m.onnx": (A, 29)}, {"m.onnx": (B, 30)}, {"n.onnx": (A, 30)}, {**SIZES, "n": (A, 1)}]
)
def test_it_makes_the_signed_files_and_no_others(sizes: dict[str, tuple[str, int]], tmp_path: Path) -> None:
    data = pack(canonical_json(HONEST))
    with pytest.raises(TrustError, match="other than it is signed"):
        read_recipe(data, sizes)
    with pytest.raises(TrustError, match="other than it is signed"):
        reconstruct(read_recipe(data, SIZES), {}, tmp_path, tmp_path / "into", sizes)
    assert not (tmp_path / "into").exists()


def test_a_bomb_is_not_unpacked() -> None:
    """64 MiB of zeros in a few bytes, told as 10 or 1 MiB: neither time nor memory for more than was told."""
    bomb = pack(bytes(2**26))
    assert len(bomb) < 10_000
    decode("zstd", encode("zstd", b"x" * 99, b"", 1), b"", 1, 99)
    tracemalloc.start()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for most in (10, 2**20):
        with pytest.raises(ValueError, match="more, or less"):
            decode("zstd", bomb, b"", 1, most)
        with pytest.raises(ValueError):
            unpack(bomb, most)
    assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    tracemalloc.stop()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024


@pytest.mark.parametrize("code", ["stored", "zstd", "bytes", "bits", "prefix"])
@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 1000])
@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_codes_read_back_and_nothing_else_does(code: Any, length: int, width: int) -> None:
    rng = np.random.default_rng(length)
    data = rng.bytes(length)
    base = bytes(b ^ 1 for b in data)
    coded = encode(code, data, base, width)
    assert decode(code, coded, base, width, length) == data
    for wrong in (length + 1, max(length - 1, 0), 10**6):
        if wrong != length:
            with pytest.raises(ValueError):
                decode(code, coded, base, width, wrong)
    if code != "stored":
        for bad in (b"", coded[:-1], coded + b"x", coded * 2, rng.bytes(40)):
            with pytest.raises(ValueError):
                decode(code, bad, base, width, length)
    if code in ("bytes", "bits"):
        with pytest.raises(ValueError):
            decode(code, coded, base + b"x", width, length)


def test_a_frame_that_wants_a_huge_window_is_refused() -> None:
    """RFC 8878, 3.1.1.1.2: the window descriptor asks for 2 GiB before the first byte."""
    frame = b"\x28\xb5\x2f\xfd" + bytes([0x00, (31 - 10) << 3]) + bytes([0b001, 0, 0])
    with pytest.raises(ValueError):
        unpack(frame, 100)


def test_the_wrong_base_makes_nothing(device: Device) -> None:
    """Another model under the right digest, as a damaged disk or a careless agent would have it."""
    digest = next(d for d, p in device.have.items() if p.name == "model.onnx")
    device.have[digest] = device.root / "other.onnx"
    device.have[digest].write_bytes(files_of(layers(5))["models/onnxruntime/model.onnx"])
    recipe = read_recipe(device.delta.recipe, device.sizes)
    for chunk in needed(recipe, device.have, device.chunks):
        device.store(chunk.digest)
    wrong = reconstruct(recipe, device.have, device.chunks, device.into, device.sizes)
    assert list(wrong) == ["models/onnxruntime/model.onnx"] and not device.strays()


@pytest.mark.parametrize("kind", ["missing", "short", "folder", "pipe", "link"])
def test_what_is_no_plain_file_makes_nothing(device: Device, kind: str) -> None:
    digest, path = next((d, p) for d, p in device.have.items() if p.name == "model.onnx")
    odd = device.root / "odd"
    {
        "missing": lambda: None,
        "short": lambda: odd.write_bytes(path.read_bytes()[:50]),
        "folder": odd.mkdir,
        "pipe": lambda: os.mkfifo(odd),
        "link": lambda: odd.symlink_to(path),
    }[kind]()
    device.have[digest] = odd
    for chunk in device.delta.chunks:
        device.store(chunk)
    recipe = read_recipe(device.delta.recipe, device.sizes)
    assert list(reconstruct(recipe, device.have, device.chunks, device.into, device.sizes)) == [
        "models/onnxruntime/model.onnx"
    ]


def test_what_stood_in_the_way_is_replaced_and_a_full_disk_is_told(device: Device) -> None:
    for chunk in device.delta.chunks:
        device.store(chunk)
    recipe = read_recipe(device.delta.recipe, device.sizes)
    secret = device.root / "secret"
    secret.write_bytes(b"mine")
    target = device.into / "models/onnxruntime/model.onnx"
    target.parent.mkdir(parents=True)
    target.symlink_to(secret)
    assert reconstruct(recipe, device.have, device.chunks, device.into, device.sizes) == {}
    assert device.made() == device.new and secret.read_bytes() == b"mine" and not target.is_symlink()
    (device.root / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        reconstruct(recipe, device.have, device.chunks, device.root / "file", device.sizes)


def test_parts_that_reuse_one_chunk_make_no_more_than_the_size(tmp_path: Path) -> None:
    coded = encode("zstd", bytes(2**20), b"", 1)
    rows = tuple(Part(2**20, None, "zstd", 1, 0, 0, len(coded)) for _ in range(3))
    chunk = Chunk(digest_bytes(coded), len(coded))
    (tmp_path / chunk.digest).write_bytes(coded)
    honest = Recipe((chunk,), {"zeros": Made(digest_bytes(bytes(3 * 2**20)), 3 * 2**20, rows)})
    sizes = {"zeros": (honest.files["zeros"].digest, 3 * 2**20)}
    assert reconstruct(read_recipe(render(honest), sizes), {}, tmp_path, tmp_path / "into", sizes) == {}
    lying = replace(honest, files={"zeros": replace(honest.files["zeros"], parts=rows * 4)})
    with pytest.raises(TrustError):
        read_recipe(render(lying), sizes)
    # Were it not for the reading: the writing stops at the size as well.
    assert reconstruct(lying, {}, tmp_path, tmp_path / "again", sizes).keys() == {"zeros"}
    assert not list((tmp_path / "again").glob("*"))


def test_a_base_may_lie_anywhere_and_is_still_bounded(tmp_path: Path) -> None:
    part = Part(10, Range(A, 2**52, 10))
    recipe = Recipe((), {"m.onnx": Made(A, 10, (part,))})
    sizes = {"m.onnx": (A, 10)}
    (tmp_path / "base").write_bytes(bytes(100))
    wrong = reconstruct(read_recipe(render(recipe), sizes), {A: tmp_path / "base"}, tmp_path, tmp_path / "into", sizes)
    assert "m.onnx" in wrong


@pytest.mark.parametrize(
    "data", [b"\x3a\xff\xff\xff\xff\x7f", b"\x3a\x05\x0a", b"\x0f", b"\xff" * 20, b"\x3a\x02\x3a\x00" * 3]
)
def test_what_is_no_onnx_file_is_one_segment(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert list(stored_tensors(data)) == []
    assert make_delta({"m.onnx": data}, {"m.onnx": data + b"!"}).size_bytes


def test_graphs_in_graphs_end() -> None:
    data = b""
    for _ in range(60):  # graph > node > attribute > graph
        data = b"\x32" + _length(data)
        data = b"\x2a" + _length(data)
        data = b"\x0a" + _length(data)
    with pytest.raises(ValueError, match="deeply"):
        list(stored_tensors(b"\x3a" + _length(data)))


def _length(data: bytes) -> bytes:
    n, head = len(data), b""
    while True:
        head += bytes([n & 127 | (128 if n > 127 else 0)])
        n >>= 7
        if not n:
            return head + data


MEMORY = """
import resource, sys
from pathlib import Path
from edgewright.bundles.deltas import needed, read_recipe, reconstruct
root = Path(sys.argv[1])
sizes = {"m.ort": (sys.argv[2], int(sys.argv[3]))}
have = {sys.argv[4]: root / "old" / "m.ort"}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
recipe = read_recipe((root / "recipe").read_bytes(), sizes)
assert not needed(recipe, have, root / "chunks")
assert not reconstruct(recipe, have, root / "chunks", root / "new", sizes)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).normal(0, 1, 16 * 2**20 // 4 * 3).astype(np.float32)  # 48 MiB
    old, new = {"m.ort": weights.tobytes()}, {"m.ort": (weights * np.float32(1.00001)).tobytes()}
    device = Device(tmp_path, old, new)
    for digest in device.delta.chunks:
        device.store(digest)
    (tmp_path / "recipe").write_bytes(device.delta.recipe)
    digest, size = device.sizes["m.ort"]
    arguments = [str(tmp_path), digest, str(size), digest_bytes(old["m.ort"])]
    done = subprocess.run([sys.executable, "-c", MEMORY, *arguments], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 32 * 1024, "KiB"
    assert device.made() == new
