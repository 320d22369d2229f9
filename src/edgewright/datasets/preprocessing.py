"""Preprocessing: from an image to the tensor a model takes, declared once and applied the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.core.model import TensorSpec
from edgewright.datasets.declared import Declared, is_number, is_whole
from edgewright.datasets.decode import decode
from edgewright.datasets.resize import Resampling, resize

Layout = Literal["NCHW", "NHWC"]
Fit = Literal["stretch", "crop"]
_DTYPES = ("float32", "float16", "float64", "uint8")
_MAX_SIDE = 16384


@dataclass(frozen=True)
class Preprocessing(Declared):
    """``(pixel * scale - mean) / std`` of an image brought to ``size``; pixels count from 0 to 255.

    ``size`` is (height, width). ``fit``: "stretch" ignores the aspect; "crop" scales the shorter side to
    ``size / crop_share`` and cuts the middle out (0.875 is the usual share for ImageNet). ``resample`` is
    antialiased. ``mean`` and ``std`` have one entry a channel or one for all. Channels are in RGB order.
    """

    what: ClassVar[str] = "preprocessing"

    size: tuple[int, int]
    channels: int = 3
    layout: Layout = "NCHW"
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    fit: Fit = "stretch"
    crop_share: float = 1.0
    resample: Resampling = "bilinear"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name in ("size", "mean", "std"):
            value = getattr(self, name)
            object.__setattr__(self, name, tuple(value) if isinstance(value, Sequence) else (value,))
        check = self._check
        sides = all(is_whole(v) and 0 < v <= _MAX_SIDE for v in self.size)
        check(len(self.size) == 2 and sides, "size", "two whole numbers, height and width")
        check(self.channels in (1, 3), "channels", "1 or 3")
        check(self.layout in get_args(Layout), "layout", "NCHW or NHWC")
        check(self.fit in get_args(Fit), "fit", "stretch or crop")
        check(self.resample in get_args(Resampling), "resample", "bilinear or bicubic")
        check(self.dtype in _DTYPES, "dtype", f"one of {', '.join(_DTYPES)}")
        check(is_number(self.scale) and self.scale != 0, "scale", "a number other than 0")
        check(is_number(self.crop_share) and 0 < self.crop_share <= 1, "crop_share", "in (0, 1]")
        for name in ("mean", "std"):
            value = getattr(self, name)
            good = len(value) in (1, self.channels) and all(map(is_number, value))
            check(good, name, f"1 or {self.channels} numbers")
        check(all(v > 0 for v in self.std), "std", "greater than 0")
        if self.dtype == "uint8":
            plain = self.scale == 1 and set(self.mean) == {0} and set(self.std) == {1}
            check(plain, "dtype", "float32 unless scale is 1, mean 0 and std 1")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one sample: (C, H, W), or (H, W, C) for NHWC."""
        height, width = self.size
        return (self.channels, height, width) if self.layout == "NCHW" else (height, width, self.channels)

    def apply(self, image: bytes | NDArray[Any], name: str = "the image") -> NDArray[Any]:
        """The tensor of one image: an encoded file's bytes, or pixels (H, W), (H, W, C) or (C, H, W).

        The result has ``shape`` and ``dtype``. Pixels that are not uint8 are resized without rounding. Raises
        InputError for what is no image, naming it.
        """
        result: NDArray[Any] = self.finish(self.fitted(image, name)[None])[0]
        return result

    def fitted(self, image: bytes | NDArray[Any], name: str = "the image") -> NDArray[Any]:
        """Decoded, in the right colours, at the right size: (H, W, C), still in pixels. What a cache should hold."""
        if isinstance(image, bytes | bytearray | memoryview):
            pixels: NDArray[Any] = decode(bytes(image), self.channels, name)
        else:
            pixels = _colours(_channels_last(np.asarray(image), name), self.channels)
        return self._cropped(pixels) if self.fit == "crop" else _resized(pixels, self.size, self.resample)

    def finish(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Fitted images (n, H, W, C) as the model takes them: (n, *shape) in ``dtype``."""
        moved = pixels.transpose(0, 3, 1, 2) if self.layout == "NCHW" else pixels
        if self.dtype == "uint8":
            rounded = moved if moved.dtype == np.uint8 else np.clip(np.rint(moved), 0, 255).astype(np.uint8)
            return np.ascontiguousarray(rounded)
        kind: Any = np.float64 if self.dtype == "float64" else np.float32
        wide = (self.channels, 1, 1) if self.layout == "NCHW" else (self.channels,)
        std = np.broadcast_to(np.asarray(self.std, np.float64), self.channels)
        mean = np.broadcast_to(np.asarray(self.mean, np.float64), self.channels)
        factor, shift = (self.scale / std).astype(kind), (-mean / std).astype(kind)
        # One multiplication and one addition, each rounded: the same bits on every machine.
        out = np.empty(moved.shape, kind)
        np.multiply(moved, factor.reshape(wide), out=out, dtype=kind, casting="unsafe")
        out += shift.reshape(wide)
        return out if out.dtype == self.dtype else out.astype(self.dtype)

    def _cropped(self, pixels: NDArray[Any]) -> NDArray[Any]:
        (height, width), (h, w) = pixels.shape[:2], self.size
        grow = max(h / height, w / width) / self.crop_share
        inner = (max(int(height * grow + 1e-6), h), max(int(width * grow + 1e-6), w))
        whole = _resized(pixels, inner, self.resample)
        top, left = round((inner[0] - h) / 2), round((inner[1] - w) / 2)
        return whole[top : top + h, left : left + w]


def preprocessing_for(spec: TensorSpec) -> tuple[Preprocessing, str]:
    """The preprocessing an image input suggests, and a sentence that says what was assumed.

    Raises InputError when the input is not an image's, or when its size is dynamic and so must be declared.
    """
    shape = spec.shape
    if len(shape) != 4 or spec.dtype not in _DTYPES:
        raise InputError(f"{spec} does not take images (four axes, of float or uint8); pass arrays in an .npz instead")
    if shape[1] in (1, 3):
        layout: Layout = "NCHW"
        channels, height, width = shape[1:]
    elif shape[3] in (1, 3):
        layout = "NHWC"
        height, width, channels = shape[1:]
    else:
        raise InputError(f"{spec} has neither 1 nor 3 channels; pass preprocessing, or arrays in an .npz")
    if not (isinstance(height, int) and isinstance(width, int) and isinstance(channels, int)):
        raise InputError(f"{spec} has a dynamic size; pass preprocessing with the size the model was trained at")
    scale = 1.0 if spec.dtype == "uint8" else 1 / 255
    made = Preprocessing((height, width), channels, layout, scale=scale, dtype=spec.dtype)
    pixels = "pixels 0 to 255 as they are" if scale == 1 else "pixels scaled to 0..1, mean 0, std 1"
    colour = "grey" if channels == 1 else "RGB"
    return made, (
        f"no preprocessing was declared; assumed from the model's input: {height} x {width} {colour}, {layout}, "
        f"stretched, {pixels}"
    )


def _channels_last(image: NDArray[Any], name: str) -> NDArray[Any]:
    if image.ndim == 2:
        image = image[:, :, None]
    elif image.ndim == 3 and image.shape[2] not in (1, 3, 4) and image.shape[0] in (1, 3, 4):
        image = image.transpose(1, 2, 0)
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or 0 in image.shape or image.dtype.kind not in "uif":
        raise InputError(f"{name} has shape {list(image.shape)}; an image is (H, W) or (H, W, 1|3|4) of numbers")
    return image


def _colours(image: NDArray[Any], channels: int) -> NDArray[Any]:
    """One or three channels; an alpha channel is dropped, grey is ITU-R 601-2 luma in Pillow's integers."""
    image = image[:, :, :3]
    if image.shape[2] == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=2)
    if image.dtype != np.uint8:
        grey: NDArray[Any] = image @ np.array([0.299, 0.587, 0.114])
        return grey[:, :, None].astype(image.dtype)
    weights = np.array([19595, 38470, 7471], np.uint32)
    luma: NDArray[Any] = (image.astype(np.uint32) @ weights + 0x8000) >> 16
    return luma[:, :, None].astype(np.uint8)


def _resized(pixels: NDArray[Any], size: tuple[int, int], method: Resampling) -> NDArray[Any]:
    if pixels.shape[:2] == size:
        return pixels
    if pixels.dtype != np.uint8:
        return resize(pixels if pixels.dtype.kind == "f" else pixels.astype(np.float32), size, method)
    try:
        from PIL import Image
    except ImportError:  # a device without Pillow: the same bits from numpy
        return resize(pixels, size, method)
    grey = pixels.shape[2] == 1
    image = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if grey else pixels))
    how = Image.Resampling.BILINEAR if method == "bilinear" else Image.Resampling.BICUBIC
    # Columns, then rows, in two calls: a single call's order, and so its rounding, changed with Pillow 13.
    made = np.asarray(image.resize((size[1], pixels.shape[0]), how).resize((size[1], size[0]), how))
    return made[:, :, None] if grey else made
