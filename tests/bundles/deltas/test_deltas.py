"""New files come out byte for byte, from little, whatever the device has; and go on where they stopped."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from edgewright.bundles.deltas import accept, bundle_files, make_delta, needed, read_recipe, reconstruct
from edgewright.bundles.deltas.recipe import Chunk, render
from edgewright.bundles.deltas.splitting import split
from edgewright.core.digests import digest_bytes
from edgewright.core.errors import TrustError

from .conftest import Device, external, files_of, layers, tuned


def run(device: Device, whole: tuple[str, ...] = ()) -> dict[str, str]:
    recipe = read_recipe(device.delta.recipe, device.sizes)
    for chunk in needed(recipe, device.have, device.chunks, whole):
        device.store(chunk.digest)
    return reconstruct(recipe, device.have, device.chunks, device.into, device.sizes)


def test_files_come_out_byte_for_byte(device: Device) -> None:
    assert run(device) == {}
    assert device.made() == device.new and not device.strays()
    assert device.delta.size_bytes < 0.75 * device.delta.whole_bytes


def test_what_did_not_change_costs_nothing(tmp_path: Path) -> None:
    proto = layers(size=256)
    device = Device(tmp_path, files_of(proto), files_of(tuned(proto, only="w3")))
    assert run(device) == {} and device.made() == device.new
    assert device.delta.size_bytes < 0.25 * device.delta.whole_bytes
    same = make_delta(device.old, device.old)
    assert not same.chunks and len(same.recipe) < 1000


def test_external_data_is_split_at_its_tensors(tmp_path: Path) -> None:
    proto = layers()
    old, new = external(proto), external(tuned(proto, only="w0"))
    assert [s.tensor for s in split(old)["m/weights.bin"]].count(True) == 4
    device = Device(tmp_path, old, new)
    assert run(device) == {} and device.made() == new
    assert device.delta.size_bytes < 0.3 * device.delta.whole_bytes


def test_a_tensor_is_found_wherever_it_moved_to(tmp_path: Path) -> None:
    proto, moved = layers(), layers()
    for i, tensor in enumerate(reversed(proto.graph.initializer)):
        moved.graph.initializer[i].CopyFrom(tensor)
        moved.graph.initializer[i].name = f"renamed.{tensor.name}"
    device = Device(tmp_path, files_of(proto), files_of(moved))
    assert run(device) == {} and device.made() == device.new
    assert device.delta.size_bytes < 0.05 * device.delta.whole_bytes


def test_segments_are_the_file() -> None:
    files = {**files_of(layers()), **external(layers())}
    for name, segments in split(files).items():
        ends = [0, *(s.start + s.length for s in segments)]
        assert [s.start for s in segments] == ends[:-1] and ends[-1] == len(files[name])
    tensors = [s for s in split(files)["models/onnxruntime/model.onnx"] if s.tensor]
    first = numpy_helper.to_array(layers().graph.initializer[0])
    data = files["models/onnxruntime/model.onnx"]
    assert data[tensors[0].start :][: tensors[0].length] == first.tobytes() and tensors[0].width == 4


def test_the_same_files_give_the_same_delta(device: Device) -> None:
    again = make_delta(device.old, device.new)
    assert (again.recipe, dict(again.chunks)) == (device.delta.recipe, dict(device.delta.chunks))
    handed: dict[str, bytes] = {}
    apart = make_delta(device.old, device.new, handed.__setitem__)
    assert handed == device.delta.chunks and not apart.chunks and apart.size_bytes == device.delta.size_bytes


def test_a_file_that_bases_do_not_help_has_none(tmp_path: Path) -> None:
    device = Device(tmp_path, files_of(layers(1)), files_of(layers(2)))
    recipe = read_recipe(device.delta.recipe, device.sizes)
    made = recipe.files["models/onnxruntime/model.onnx"]
    assert made.parts and not made.bases()
    assert run(device) == {} and device.made() == device.new


def test_without_the_old_files_they_come_whole(device: Device) -> None:
    device.have.clear()
    assert {c.digest for c in needed(read_recipe(device.delta.recipe, device.sizes), (), device.chunks)} == {
        digest for digest, _ in device.sizes.values()
    }
    assert run(device) == {} and device.made() == device.new


def test_manifest_and_signature_come_another_way() -> None:
    delta = make_delta({}, {"manifest.json": b"{}", "signature.json": b"{}", "labels.txt": b"a"})
    assert set(read_recipe(delta.recipe, {"labels.txt": (digest_bytes(b"a"), 1)}).files) == {"labels.txt"}


def test_goes_on_where_it_stopped(device: Device) -> None:
    """Stopped after each chunk and each file, it asks only for the rest and ends the same."""
    recipe = read_recipe(device.delta.recipe, device.sizes)
    for _ in itertools.count():
        wrong = reconstruct(recipe, device.have, device.chunks, device.into, device.sizes)
        assert all(device.made()[name] == device.new[name] for name in device.sizes if name not in wrong)
        left = needed(recipe, device.have, device.chunks)
        if not left:
            break
        device.store(left[0].digest)
    assert not wrong and device.made() == device.new


def test_a_bundle_folder_tells_its_files(pristine: Path) -> None:
    found = bundle_files(pristine)
    there = [p for p in pristine.rglob("*") if p.is_file()]
    assert found == {digest_bytes(p.read_bytes()): p for p in there}


def test_a_fetched_file_is_checked_before_it_is_a_chunk(tmp_path: Path) -> None:
    data, folder = b"chunk" * 99, tmp_path / "chunks"
    chunk = Chunk(digest_bytes(data), len(data))
    for bad in (data[:-1], data + b"x", b"x" + data[1:], b""):
        part = tmp_path / "part"
        part.write_bytes(bad)
        with pytest.raises(TrustError, match="fetch it again"):
            accept(part, chunk, folder)
        assert not part.exists() and not list(folder.glob("*"))
    (tmp_path / "part").write_bytes(data)
    assert accept(tmp_path / "part", chunk, folder).read_bytes() == data and not (tmp_path / "part").exists()


BLOBS = st.binary(max_size=3000)
NAMES = st.sampled_from(["a.bin", "b/c.onnx", "d.json"])


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAMES, BLOBS), st.dictionaries(NAMES, BLOBS), st.data())
def test_any_files_come_out(tmp_path_factory: pytest.TempPathFactory, old, new, data) -> None:  # type: ignore[no-untyped-def]
    for name in set(old) & set(new):  # mostly alike
        if data.draw(st.booleans()):
            new[name] = old[name][: len(old[name]) // 2] + new[name] + old[name][len(old[name]) // 2 :]
    device = Device(tmp_path_factory.mktemp("any"), old, new)
    assert run(device) == {} and device.made() == new and not device.strays()


def test_long_files_are_made_in_parts(tmp_path: Path) -> None:
    """An opaque file of 5 MiB with a piece put in, and one of the same length with numbers moved a little."""
    rng = np.random.default_rng(0)
    text = rng.bytes(5 * 2**20)
    weights = rng.normal(0, 1, 5 * 2**18).astype(np.float32)
    nudged = (weights * (1 + 1e-5)).astype(np.float32)
    old = {"m.ort": weights.tobytes(), "blob": text}
    new = {"m.ort": nudged.tobytes(), "blob": text[:999] + b"put in" + text[999:]}
    device = Device(tmp_path, old, new)
    assert run(device) == {} and device.made() == new
    assert device.delta.size_bytes < 0.35 * device.delta.whole_bytes
    assert max(map(len, device.delta.chunks.values())) <= 4 * 2**20


@pytest.mark.parametrize("damaged", ["base", "own copy", "chunk"])
def test_what_is_damaged_is_fetched_whole(tmp_path: Path, damaged: str) -> None:
    proto = layers()
    device = Device(tmp_path, files_of(proto), files_of(tuned(proto), "two"))
    recipe = read_recipe(device.delta.recipe, device.sizes)
    for chunk in needed(recipe, device.have, device.chunks):
        device.store(chunk.digest)
    victim, name = {
        "base": (device.root / "old/models/onnxruntime/model.onnx", "models/onnxruntime/model.onnx"),
        "own copy": (device.root / "old/golden/input-0.npy", "golden/input-0.npy"),
        "chunk": (max(device.chunks.iterdir(), key=lambda p: p.stat().st_size), "models/onnxruntime/model.onnx"),
    }[damaged]
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 16
    victim.write_bytes(data)
    wrong = reconstruct(recipe, device.have, device.chunks, device.into, device.sizes)
    assert name in wrong
    assert all(data == device.new[made] for made, data in device.made().items()) and not device.strays()
    assert run(device, tuple(wrong)) == {} and device.made() == device.new


@pytest.mark.parametrize("seed", range(40))
def test_no_flipped_bit_makes_a_wrong_file(tmp_path: Path, seed: int) -> None:
    """In chunk, base or recipe: the file is right or is not there."""
    rng = random.Random(seed)
    proto = layers(size=24)
    device = Device(tmp_path, files_of(proto), files_of(tuned(proto), "two"))
    for digest in device.delta.chunks:
        device.store(digest)
    recipe_data = bytearray(device.delta.recipe)
    kind = rng.choice(["chunk", "base", "recipe", "cut chunk"])
    if kind == "recipe":
        recipe_data[rng.randrange(len(recipe_data))] ^= 1 << rng.randrange(8)
    else:
        places = sorted(device.chunks.iterdir() if "chunk" in kind else device.have.values())
        victim = rng.choice(places)
        data = bytearray(victim.read_bytes())
        at = rng.randrange(len(data))
        data[at] ^= 1 << rng.randrange(8)
        victim.write_bytes(data[:at] if kind == "cut chunk" else data)
    try:
        recipe = read_recipe(bytes(recipe_data), device.sizes)
    except TrustError:
        return
    wrong = reconstruct(recipe, device.have, device.chunks, device.into, device.sizes)
    assert device.made() == {name: data for name, data in device.new.items() if name not in wrong}
    assert not device.strays()


def test_the_recipe_reads_back(device: Device) -> None:
    recipe = read_recipe(device.delta.recipe, device.sizes)
    assert render(recipe) == device.delta.recipe


PROGRAM = """
import json, sys
from pathlib import Path

WORKSHOP = {"onnx", "onnx_ir", "torch", "openvino", "sklearn", "scipy", "google", "fastapi", "sqlalchemy"}

class NotHere:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in WORKSHOP:
            raise ImportError(f"{name} is not on the device")

sys.meta_path.insert(0, NotHere())
from edgewright.bundles.deltas import needed, read_recipe, reconstruct
root = Path(sys.argv[1])
told = json.loads((root / "told.json").read_bytes())
sizes = {name: tuple(entry) for name, entry in told["sizes"].items()}
have = {digest: Path(path) for digest, path in told["have"].items()}
recipe = read_recipe((root / "recipe").read_bytes(), sizes)
assert not needed(recipe, have, root / "chunks")
assert reconstruct(recipe, have, root / "chunks", root / "new", sizes) == {}
"""


def test_a_device_needs_the_core_install_alone(device: Device) -> None:
    for digest in device.delta.chunks:
        device.store(digest)
    (device.root / "recipe").write_bytes(device.delta.recipe)
    have = {digest: str(path) for digest, path in device.have.items()}
    (device.root / "told.json").write_text(json.dumps({"sizes": device.sizes, "have": have}))
    command = [sys.executable, "-c", PROGRAM, str(device.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert device.made() == device.new
