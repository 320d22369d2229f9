"""Disturbed samples: the same ones for everybody, only where they mean something, and never another kind of number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from edgewright.core.session import Arrays
from edgewright.measurement.robustness import DISTURBANCES, Disturbed, applicable, scales

RNG = np.random.default_rng(0)


class Held:
    """Samples in memory."""

    name, digest, labels = "test", "d" * 64, None

    def __init__(self, **arrays: Any) -> None:
        self.arrays = {name: np.asarray(array) for name, array in arrays.items()}

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def batches(self, size: int) -> Iterator[Arrays]:
        for start in range(0, len(self), size):
            yield {name: array[start : start + size] for name, array in self.arrays.items()}


IMAGES = Held(image=RNG.uniform(0, 1, (20, 3, 8, 8)).astype(np.float32))
BYTES = Held(image=RNG.integers(0, 256, (20, 8, 8, 3)).astype(np.uint8))
TABLE = Held(row=(RNG.normal(size=(20, 12)) * [1, 1000, *[1] * 10]).astype(np.float32))
SERIES = Held(series=RNG.normal(size=(20, 30, 2)).astype(np.float64))
IDS = Held(ids=RNG.integers(0, 9, (20, 7)))
BOTH = Held(image=IMAGES.arrays["image"], ids=IDS.arrays["ids"])


@pytest.mark.parametrize(
    ("samples", "kinds", "count"),
    [(IMAGES, {"image": "image"}, 8), (BYTES, {"image": "image"}, 8), (TABLE, {"row": "table"}, 4),
     (SERIES, {"series": "series"}, 4), (IDS, {}, 0), (BOTH, {"image": "image"}, 8)],
    ids=["images", "bytes", "table", "series", "ids", "both"],
)  # fmt: skip
def test_what_can_be_disturbed_and_how(samples: Held, kinds: dict[str, str], count: int) -> None:
    found = scales(samples)
    assert {name: scale.kind for name, scale in found.items()} == kinds
    assert len(applicable(found)) == count


def disturbed(samples: Held, name: str, size: int = 20, seed: int = 0) -> dict[str, Any]:
    chosen = next(d for d in DISTURBANCES if d.name == name)
    parts = list(Disturbed(samples, chosen, scales(samples), seed).batches(size))
    return {n: np.concatenate([p[n] for p in parts]) for n in parts[0]}


@pytest.mark.parametrize("samples", [IMAGES, BYTES, TABLE, SERIES], ids=["images", "bytes", "table", "series"])
def test_every_disturbance_is_the_same_in_any_batch_and_keeps_the_type(samples: Held) -> None:
    found = scales(samples)
    for disturbance in applicable(found):
        ways = [disturbed(samples, disturbance.name, size) for size in (20, 7, 1)]
        for name, array in samples.arrays.items():
            assert all(np.array_equal(ways[0][name], other[name]) for other in ways[1:]), disturbance.name
            assert ways[0][name].dtype == array.dtype and ways[0][name].shape == array.shape
            assert not np.array_equal(ways[0][name], array), f"{disturbance.name} changes something"
            assert np.isfinite(ways[0][name]).all()
        assert len(Disturbed(samples, disturbance, found)) == len(samples)


def test_another_seed_is_another_disturbance_with_another_digest() -> None:
    name = "noise of 5% of the spread"
    first, other = disturbed(IMAGES, name)["image"], disturbed(IMAGES, name, seed=1)["image"]
    assert not np.array_equal(first, other)
    made = [Disturbed(IMAGES, DISTURBANCES[0], scales(IMAGES), seed) for seed in (0, 1)]
    assert made[0].digest != made[1].digest != IMAGES.digest


def test_noise_knows_each_columns_spread() -> None:
    moved = np.abs(disturbed(TABLE, "noise of 5% of the spread")["row"] - TABLE.arrays["row"]).mean(axis=0)
    assert moved[1] / moved[0] == pytest.approx(1000, rel=0.9)


@pytest.mark.parametrize(
    ("samples", "name", "least", "most"),
    [(TABLE, "a tenth of the columns missing", 1, 1), (SERIES, "a tenth of the steps missing", 6, 6),
     (IMAGES, "a missing patch", 12, 12), (BYTES, "a missing patch", 1, 12)],
)  # fmt: skip
def test_how_much_goes_missing(samples: Held, name: str, least: int, most: int) -> None:
    (key,) = samples.arrays
    gone = (disturbed(samples, name)[key] != samples.arrays[key]).reshape(20, -1).sum(axis=1)
    assert gone.min() >= least and gone.max() <= most


@pytest.mark.parametrize("name", ["brighter by a tenth", "darker by a tenth", "contrast of five quarters"])
def test_pictures_stay_within_what_was_seen(name: str) -> None:
    for samples in (IMAGES, BYTES):
        made, given = disturbed(samples, name)["image"], samples.arrays["image"]
        assert made.min() >= given.min() and made.max() <= given.max()


def test_other_inputs_stay_as_they_are() -> None:
    assert np.array_equal(disturbed(BOTH, "noise of 5% of the spread")["ids"], BOTH.arrays["ids"])


def test_nan_that_is_meant_stays_nan_and_disturbs_nothing_else() -> None:
    rows = np.array(TABLE.arrays["row"])
    rows[3, 2] = np.nan
    made = disturbed(Held(row=rows), "noise of 5% of the spread")["row"]
    assert np.isnan(made[3, 2]) and np.isfinite(np.delete(made, 2, axis=1)).all()
    empty = Held(row=np.full((20, 4), np.nan, np.float32))
    assert np.isnan(disturbed(empty, "noise of 5% of the spread")["row"]).all()
