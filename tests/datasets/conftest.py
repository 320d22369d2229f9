from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgewright.core.model import Signature, TensorSpec

Shape = tuple[int | str | None, ...]


@pytest.fixture
def signature() -> Callable[..., Signature]:
    """``signature(x=("float32", (None, 4)))``: inputs by name."""

    def make(**inputs: tuple[str, Shape]) -> Signature:
        specs = tuple(TensorSpec(name, dtype, shape) for name, (dtype, shape) in inputs.items())
        return Signature(specs, (TensorSpec("y", "float32", (None, 3)),))

    return make


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three classes of 14 images each, of different sizes, modes and formats; no two alike."""
    rng = np.random.default_rng(3)
    kinds = (("a.jpg", "RGB"), ("b.png", "L"), ("c.bmp", "RGB"), ("d.png", "RGBA"), ("e.jpeg", "L"), ("f.png", "P"))
    for name in ("beta", "alpha", "gamma"):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for i in range(14):
            suffix, mode = kinds[i % len(kinds)]
            pixels = rng.integers(0, 256, (20 + i, 30 - i, 3), dtype=np.uint8)
            Image.fromarray(pixels).convert(mode).save(folder / f"{i:02}{suffix}")
    return tmp_path / "photos"
