"""Folders of images: labels from folders, decoding when asked, and damaged files named."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgewright.core.errors import InputError
from edgewright.core.model import Signature
from edgewright.datasets import Preprocessing, dataset, decode
from edgewright.datasets.decode import header_pixels
from edgewright.datasets.readers import ImageReader
from edgewright.testing.datasets import check_dataset

Make = Callable[..., Signature]


@pytest.mark.parametrize("shape", [(None, 3, 8, 12), (1, 8, 12, 3), ("N", 1, 8, 12)])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_the_contract_holds_for_folders_of_images(
    photos: Path, signature: Make, shape: tuple[Any, ...], dtype: str
) -> None:
    check_dataset(lambda: dataset(photos), signature(x=(dtype, shape)))


def test_folders_in_alphabetical_order_are_the_classes(photos: Path, signature: Make) -> None:
    made = dataset(str(photos))
    assert made.classes == ("alpha", "beta", "gamma")
    assert made.labels is not None and np.bincount(made.labels).tolist() == [14, 14, 14]
    splits = made.bind(signature(x=("float32", (None, 3, 8, 8)))).splits()
    assert splits.to_json()["test"]["classes"].keys() == {"alpha", "beta", "gamma"}
    assert any(note.startswith("no preprocessing was declared; assumed") for note in splits.notes)


def test_the_same_images_elsewhere_have_the_same_digest_and_another_preprocessing_another(
    photos: Path, signature: Make, tmp_path: Path
) -> None:
    spec = signature(x=("float32", (None, 3, 8, 8)))
    photos.rename(tmp_path / "moved")
    first = dataset(tmp_path / "moved").bind(spec).digest
    (tmp_path / "moved").rename(tmp_path / "again")
    assert dataset(tmp_path / "again").bind(spec).digest == first
    declared = Preprocessing((8, 8), mean=(0.5, 0.4, 0.3))
    assert dataset(tmp_path / "again", preprocessing=declared).bind(spec).digest != first


def test_images_without_class_folders_have_no_labels(photos: Path, signature: Make) -> None:
    made = dataset(photos / "alpha")
    assert made.labels is None and made.classes == ()
    with pytest.raises(InputError, match="14 samples; give at least 16"):
        made.bind(signature(x=("float32", (None, 3, 8, 8)))).splits()


def test_other_entries_are_left_out_and_counted(photos: Path, signature: Make) -> None:
    (photos / "alpha" / "notes.txt").write_text("hello")
    (photos / ".cache").mkdir()
    (photos / "readme.md").write_text("hello")
    bound = dataset(photos).bind(signature(x=("float32", (None, 3, 8, 8))))
    assert len(bound) == 42 and "2 entries that are no JPEG, PNG or BMP files were left out" in bound.notes


def test_folders_that_are_no_dataset_are_told_why(photos: Path, tmp_path: Path) -> None:
    cases: list[tuple[Path, str]] = []
    (tmp_path / "none").mkdir()
    cases.append((tmp_path / "none", "holds no images"))
    deeper = tmp_path / "deeper"
    deeper.mkdir()
    photos.rename(deeper / "train")
    cases.append((deeper, f"pass {deeper / 'train'}"))
    mixed = tmp_path / "mixed"
    (mixed / "empty").mkdir(parents=True)
    cases.append((mixed, "empty holds no images; add images"))
    for path, message in cases:
        with pytest.raises(InputError, match=message):
            dataset(path)
    Image.new("L", (4, 4)).save(mixed / "loose.png")
    with pytest.raises(InputError, match=r"images beside its class folders; move 'loose\.png'"):
        dataset(mixed)


def _png(width: int, height: int) -> bytes:
    """A PNG whose header promises ``width`` x ``height`` and which holds no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[: len(data) // 2], "truncated"),
        (lambda data: b"", "empty"),
        (lambda data: b"GIF89a" + data, "not a JPEG, PNG or BMP"),
        (lambda data: data[:3] + b"\0" * 50, "damaged|truncated"),
        (lambda data: _png(60_000, 60_000), "60,000 x 60,000 pixels"),
    ],
)
@pytest.mark.parametrize("name", ["00a.jpg", "01b.png"])
def test_a_damaged_file_is_named_before_anything_is_computed(
    photos: Path, signature: Make, damage: Callable[[bytes], bytes], message: str, name: str
) -> None:
    path = photos / "beta" / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=message) as caught:
        dataset(photos).bind(signature(x=("float32", (None, 3, 8, 8)))).splits()
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_damaged_inside_is_named_when_it_is_decoded(photos: Path) -> None:
    path = photos / "alpha" / "01b.png"
    data = bytearray(path.read_bytes())
    data[60] ^= 255
    with pytest.raises(InputError, match=r"damaged|truncated"):
        decode.decode(bytes(data), 1, str(path))
    with pytest.raises(InputError, match="60 x 60 pixels"):
        limit, decode.PIXEL_LIMIT = decode.PIXEL_LIMIT, 1000
        try:
            decode.decode(_png(60, 60), 1)
        finally:
            decode.PIXEL_LIMIT = limit


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "BMP"]), st.data())
def test_damaged_bytes_give_pixels_or_one_clear_error(kind: str, draw: st.DataObject) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.arange(24 * 18, dtype=np.uint8).reshape(24, 18)).save(stream, kind)
    data = bytearray(stream.getvalue())
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    cut = bytes(data[: draw.draw(st.integers(0, len(data)))])
    for damaged in (bytes(data), cut):
        for read in (lambda d: decode.screen(d, "it"), lambda d: decode.decode(d, 3, "it")):
            try:
                pixels = read(damaged)
            except InputError as error:
                assert str(error).startswith("it ") and "\n" not in str(error)
            else:
                assert pixels is None or (pixels.dtype == np.uint8 and pixels.shape[2] == 3)


def test_a_file_that_changes_while_it_is_in_use_is_named(photos: Path, signature: Make) -> None:
    splits = dataset(photos).bind(signature(x=("float32", (None, 3, 8, 8)))).splits()
    for path in photos.glob("*/*.png"):
        Image.new("RGB", (9, 9)).save(path)
    with pytest.raises(InputError, match="changed while it was in use"):
        list(splits.test.batches(50))


def test_deep_pixels_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(InputError, match="more than 8 bits a channel"):
        decode.decode((tmp_path / "deep.png").read_bytes(), 1)


@pytest.mark.parametrize("room", [0, 8 * 8 * 3 * 5, 2**20])
def test_the_cache_is_bounded_and_changes_nothing(photos: Path, room: int) -> None:
    paths = tuple(sorted(photos.glob("*/*")))
    plain = Preprocessing((8, 8))
    reader = ImageReader(paths, "x", plain, cache_bytes=room)
    expected = np.stack([plain.apply(path.read_bytes()) for path in paths])
    rows = np.arange(len(paths))
    for _ in range(2):
        assert (reader.read(rows)["x"] == expected).all()
        assert (reader.read(rows[::-1])["x"] == expected[::-1]).all()
    assert len(reader._kept) == min(room // (8 * 8 * 3), len(paths))


def test_images_need_a_model_with_one_image_input(photos: Path, signature: Make) -> None:
    cases = [
        (signature(x=("float32", (None, 64))), "does not take images"),
        (signature(x=("float32", (None, 3, None, 8))), "dynamic size"),
        (signature(x=("float32", (None, 5, 8, 8))), "neither 1 nor 3 channels"),
        (signature(x=("int64", (None, 3, 8, 8))), "does not take images"),
        (signature(x=("float32", (None, 3, 8, 8)), z=("float32", (None, 1))), "needs a model with one input"),
    ]
    for spec, message in cases:
        with pytest.raises(InputError, match=message):
            dataset(photos).bind(spec)
    declared = Preprocessing((8, 9))
    with pytest.raises(InputError, match=r"the preprocessing has samples of shape \(3, 8, 9\)"):
        dataset(photos, preprocessing=declared).bind(signature(x=("float32", (None, 3, 8, 8))))
    made = dataset(photos, preprocessing=declared).bind(signature(x=("float32", (None, 3, "h", "w"))))
    assert made.preprocessing == declared


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_a_header_tells_the_pixels_without_a_decoder(kind: str) -> None:
    for mode, options in (("L", {}), ("RGB", {"progressive": True, "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"})):
        stream = io.BytesIO()
        Image.new(mode, (31, 17)).save(stream, kind, **(options if kind == "JPEG" else {}))
        data = stream.getvalue()
        assert header_pixels(data) == 31 * 17
        assert all(header_pixels(data[:cut]) in (0, 31 * 17) for cut in range(60))
    assert header_pixels(b"") == header_pixels(b"\xff\xd8" + b"\xff\xe0\0\0" * 100) == 0
