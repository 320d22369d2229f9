"""Preprocessing: the declared arithmetic, the same bits with and without Pillow, and a faithful JSON."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgewright.core.errors import InputError
from edgewright.core.model import TensorSpec
from edgewright.datasets.preprocessing import Preprocessing, preprocessing_for
from edgewright.datasets.resize import Resampling, resize

RNG = np.random.default_rng(1)
PHOTO = RNG.integers(0, 256, (37, 53, 3), dtype=np.uint8)
HOW = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
sides = st.integers(1, 70)


def _encoded(pixels: np.ndarray[Any, Any], kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


@settings(max_examples=60, deadline=None)
@given(sides, sides, sides, sides, st.sampled_from([1, 3]), st.sampled_from(list(HOW)), st.integers(0, 99))
def test_resizing_gives_pillows_bits(h: int, w: int, oh: int, ow: int, c: int, method: Resampling, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (h, w, c), dtype=np.uint8)
    pixels = np.where(pixels > 127, 255, 0).astype(np.uint8) if seed % 3 == 0 else pixels
    image = Image.fromarray(pixels[:, :, 0] if c == 1 else pixels)
    theirs = np.asarray(image.resize((ow, h), HOW[method]).resize((ow, oh), HOW[method])).reshape(oh, ow, c)
    assert (resize(pixels, (oh, ow), method) == theirs).all()


def test_floats_are_resized_without_rounding_and_close_to_bytes() -> None:
    exact = resize(PHOTO.astype(np.float32), (16, 20))
    assert exact.dtype == np.float32
    assert np.abs(exact - resize(PHOTO, (16, 20))).max() <= 1.01


@pytest.mark.parametrize("fit", ["stretch", "crop"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_device_without_pillow_sees_the_same_tensor(
    monkeypatch: pytest.MonkeyPatch, fit: Any, channels: int, layout: Any
) -> None:
    declared = Preprocessing((20, 24), channels, layout, fit=fit, crop_share=0.875 if fit == "crop" else 1.0)
    with_pillow = declared.apply(PHOTO)
    assert (declared.apply(_encoded(PHOTO)) == with_pillow).all()
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert (declared.apply(PHOTO) == with_pillow).all()
    assert with_pillow.shape == declared.shape and with_pillow.dtype == np.float32


def test_the_arithmetic_is_the_declared_one() -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    found = Preprocessing((37, 53), mean=mean, std=std).apply(PHOTO)
    expected = ((PHOTO / 255 - mean) / std).transpose(2, 0, 1)
    assert np.abs(found - expected).max() < 1e-6
    assert (Preprocessing((37, 53), scale=1.0, dtype="uint8", layout="NHWC").apply(PHOTO) == PHOTO).all()
    assert Preprocessing((37, 53), dtype="float16").apply(PHOTO).dtype == np.float16


def test_cropping_keeps_the_aspect_as_the_usual_training_transform_does() -> None:
    """Resize the shorter side to 256, cut 224 out of the middle: share 0.875."""
    tall = RNG.integers(0, 256, (500, 333, 3), dtype=np.uint8)
    declared = Preprocessing((224, 224), scale=1.0, dtype="uint8", layout="NHWC", fit="crop", crop_share=0.875)
    bilinear = Image.Resampling.BILINEAR
    whole = np.asarray(Image.fromarray(tall).resize((256, 500), bilinear).resize((256, 384), bilinear))
    assert (declared.apply(tall) == whole[80 : 80 + 224, 16 : 16 + 224]).all()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "CMYK"])
@pytest.mark.parametrize("channels", [1, 3])
def test_colours_are_converted_as_pillow_does(mode: str, channels: int) -> None:
    image = Image.fromarray(PHOTO).convert(mode)
    stream = io.BytesIO()
    image.save(stream, "JPEG" if mode == "CMYK" else "PNG")
    found = Preprocessing((37, 53), channels, scale=1.0, dtype="uint8", layout="NHWC").apply(stream.getvalue())
    reread = Image.open(io.BytesIO(stream.getvalue()))
    expected = np.asarray(reread.convert("L" if channels == 1 else "RGB")).reshape(37, 53, channels)
    assert (found == expected).all()


def test_grey_of_pixels_and_of_their_file_are_the_same() -> None:
    declared = Preprocessing((37, 53), 1)
    assert (declared.apply(PHOTO) == declared.apply(_encoded(PHOTO))).all()
    assert (declared.apply(PHOTO.transpose(2, 0, 1)) == declared.apply(PHOTO)).all()
    assert declared.apply(PHOTO[:, :, 0]).shape == (1, 37, 53)
    assert np.abs(declared.apply(PHOTO.astype(np.float32)) - declared.apply(PHOTO)).max() < 0.004


def test_the_json_comes_back_equal() -> None:
    declared = Preprocessing((5, 6), 1, "NHWC", 2.0, (1.0,), (3.0,), "crop", 0.5, "bicubic", "float16")
    assert Preprocessing.from_json(json.loads(json.dumps(declared.to_json()))) == declared
    assert Preprocessing.from_json({"size": [5, 6]}) == Preprocessing((5, 6))
    assert hash(Preprocessing.from_json({"size": [5, 6], "mean": [0]})) == hash(Preprocessing((5, 6)))


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"size": [0, 4]}, "size"),
        ({"size": [4]}, "size"),
        ({"size": 4}, "size"),
        ({"size": ["4", 4]}, "size"),
        ({"size": [4, 10**9]}, "size"),
        ({"size": [4, 4], "channels": 2}, "channels"),
        ({"size": [4, 4], "std": [0.0]}, "std"),
        ({"size": [4, 4], "std": [1.0, 1.0]}, "std"),
        ({"size": [4, 4], "mean": [float("nan")]}, "mean"),
        ({"size": [4, 4], "mean": ["0"]}, "mean"),
        ({"size": [4, 4], "scale": 0}, "scale"),
        ({"size": [4, 4], "layout": "CHW"}, "layout"),
        ({"size": [4, 4], "fit": "pad"}, "fit"),
        ({"size": [4, 4], "crop_share": 0}, "crop_share"),
        ({"size": [4, 4], "resample": "lanczos"}, "resample"),
        ({"size": [4, 4], "dtype": "int8"}, "dtype"),
        ({"size": [4, 4], "dtype": "uint8"}, "dtype"),
        ({"mean": [0]}, "lacks 'size'"),
        ({"size": [4, 4], "sizes": 1}, "unknown key 'sizes'"),
    ],
)
def test_impossible_declarations_are_refused(options: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match=field):
        Preprocessing.from_json(options)


@pytest.mark.parametrize(
    "pixels", [np.zeros((3, 4, 5, 6)), np.zeros((6, 5, 2)), np.zeros((0, 4, 3)), np.array(["a"]), np.zeros(5)]
)
def test_what_is_no_image_is_refused(pixels: np.ndarray[Any, Any]) -> None:
    with pytest.raises(InputError, match="an image is"):
        Preprocessing((4, 4)).apply(pixels)


@pytest.mark.parametrize(
    ("dtype", "shape", "expected"),
    [
        ("float32", (None, 3, 8, 9), Preprocessing((8, 9))),
        ("float32", (1, 1, 8, 9), Preprocessing((8, 9), 1)),
        ("float16", ("N", 8, 9, 3), Preprocessing((8, 9), 3, "NHWC", dtype="float16")),
        ("uint8", (1, 8, 9, 1), Preprocessing((8, 9), 1, "NHWC", 1.0, dtype="uint8")),
    ],
)
def test_an_image_input_suggests_its_preprocessing(dtype: str, shape: Any, expected: Preprocessing) -> None:
    made, note = preprocessing_for(TensorSpec("x", dtype, shape))
    assert made == expected and "assumed" in note
