"""The benchmark's data: who sees which sample is decided here, once, by a seed.

Every set is cut in three, class by class: ``train`` (the models alone see it), ``tools`` (what every tool may
calibrate, search and check labels on) and ``heldout`` (no tool sees it; the figures come from it).

The tiles are cut by photograph. A tile was photographed under up to six exposures, so its likeness may stand in another
part: the absolute accuracy is that of tiles seen before, while what a tool loses is told on photographs it never had.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

Array = NDArray[np.float32]
SHARES = {"train": 0.40, "tools": 0.33, "heldout": 0.27}
TILE_FOLDER = Path("shared/data/magnetic-tile")


@dataclass(frozen=True)
class Images:
    """Grey images (N, 1, H, W), normalised, with ``labels`` (N,) int64 and what the classes are called."""

    images: Array
    labels: NDArray[np.int64]
    classes: tuple[str, ...]

    def take(self, rows: NDArray[np.int64]) -> Images:
        return Images(self.images[rows], self.labels[rows], self.classes)


def resize(images: Array, height: int, width: int) -> Array:
    """(N, H, W) -> (N, height, width), bilinear with half-pixel centres (Pillow's convention without antialiasing)."""
    for axis, size in ((1, height), (2, width)):
        before = images.shape[axis]
        place = np.clip((np.arange(size) + 0.5) * before / size - 0.5, 0, before - 1)
        low = np.minimum(place.astype(int), max(before - 2, 0))
        share = (place - low).reshape([-1 if a == axis else 1 for a in range(3)]).astype(np.float32)
        high = np.minimum(low + 1, before - 1)
        images = np.take(images, low, axis) * (1 - share) + np.take(images, high, axis) * share
    return images.astype(np.float32)


def digits(height: int, width: int) -> Images:
    """scikit-learn's 1,797 handwritten digits of 8 x 8 (UCI optical recognition of handwritten digits), enlarged."""
    from sklearn.datasets import load_digits

    found = load_digits()
    grey = resize(found.images.astype(np.float32) / 16, height, width)
    return Images(((grey - 0.5) / 0.5)[:, None], found.target.astype(np.int64), tuple("0123456789"))


def tile(path: Path, height: int, width: int) -> Array:
    """One photograph -> (1, height, width): decode, resize, normalise."""
    return normalise(shrink(path.read_bytes(), height, width))[None]


def shrink(photograph: bytes, height: int, width: int) -> NDArray[np.uint8]:
    """An encoded photograph as grey pixels (height, width): Pillow's bilinear filter with antialiasing."""
    return np.asarray(scale(decode(photograph), height, width))


def decode(photograph: bytes) -> Image.Image:
    """An encoded photograph as a grey Pillow image."""
    from PIL import Image

    with Image.open(BytesIO(photograph)) as image:
        return image.convert("L")


def scale(image: Image.Image, height: int, width: int) -> Image.Image:
    from PIL.Image import Resampling

    return image.resize((width, height), Resampling.BILINEAR)


def normalise(pixels: NDArray[np.uint8]) -> Array:
    """Mean 0 and deviation 1 within the image: the line's exposure changes from photograph to photograph."""
    grey = pixels.astype(np.float32)
    return (grey - grey.mean()) / (grey.std() + np.float32(1e-3))


def tiles(folder: Path, height: int, width: int) -> Images:
    """Huang, Qiu, Yuan, "Surface defect saliency of magnetic tile", The Visual Computer, 2018: a folder per class."""
    classes, files = tile_files(folder)
    images = np.stack([tile(path, height, width) for path, _ in files])
    return Images(images, np.array([label for _, label in files], np.int64), classes)


def tile_files(folder: Path) -> tuple[tuple[str, ...], list[tuple[Path, int]]]:
    """The classes, and every photograph with its label, in the order of ``tiles``."""
    classes = tuple(sorted(p.name for p in folder.iterdir() if p.is_dir()))
    return classes, [
        (path, label) for label, name in enumerate(classes) for path in sorted((folder / name).glob("*.jpg"))
    ]


def tile_folder() -> Path | None:
    """Where the photographs lie, beside the checkout, or None."""
    root = Path(__file__).resolve().parents[3]
    found = root.parent / TILE_FOLDER
    return found if found.is_dir() else None


SETS: dict[str, Callable[[int, int], Images]] = {
    "digits": digits,
    "tiles": lambda height, width: tiles(tile_folder() or TILE_FOLDER, height, width),
}


def available() -> tuple[str, ...]:
    """Names of the sets that this machine has."""
    return ("digits", "tiles") if tile_folder() else ("digits",)


def split(labels: NDArray[np.int64], seed: int) -> dict[str, NDArray[np.int64]]:
    """Rows of each part, disjoint, stratified, in a seeded order."""
    rng = np.random.default_rng(seed)
    parts: dict[str, list[NDArray[np.int64]]] = {name: [] for name in SHARES}
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        ends = np.round(np.cumsum(list(SHARES.values())) * rows.size).astype(int)
        for name, piece in zip(parts, np.split(rows, ends[:-1]), strict=True):
            parts[name].append(piece)
    return {name: rng.permutation(np.concatenate(pieces)) for name, pieces in parts.items()}
