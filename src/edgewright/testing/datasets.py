"""The contract of datasets and of whatever else offers Samples: the suite every source of samples must pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgewright.core.model import Signature
from edgewright.core.samples import Samples
from edgewright.datasets import Dataset

Make = Callable[[], Dataset]


def check_samples(samples: Samples, signature: Signature) -> None:
    """Samples can be read again and again, in any batch size, in one order, as the signature's inputs.

    Raises AssertionError naming what does not hold.
    """
    whole = _read(samples, max(len(samples), 1))
    assert whole.keys() == {spec.name for spec in signature.inputs}, "the inputs bear the model's names"
    for spec in signature.inputs:
        array = whole[spec.name]
        assert len(array) == len(samples), f"{spec.name}: as many rows as samples"
        assert ("str" if array.dtype.kind in "OSU" else array.dtype.name) == spec.dtype, f"{spec.name}: its dtype"
        sizes = zip(spec.shape[1:], array.shape[1:], strict=True)
        assert all(not isinstance(want, int) or want == have for want, have in sizes), f"{spec.name}: its shape"
    for size in (1, 3, 64):
        assert all(len(next(iter(b.values()))) <= size for b in samples.batches(size)), "no batch is larger than asked"
        again = _read(samples, size)
        same = all(np.array_equal(whole[n], again[n], equal_nan=again[n].dtype.kind == "f") for n in whole)
        assert same, f"batches of {size} give the same samples in the same order"
    assert samples.labels is None or len(samples.labels) == len(samples), "one label a sample"
    assert len(samples.digest) == 64, "the digest is a SHA-256"


def check_dataset(make: Make, signature: Signature) -> None:
    """A source of samples: the same content gives the same splits, which are disjoint and keep twins together.

    ``make`` makes the dataset afresh, with at least 32 distinct samples.
    """
    bound, again = make().bind(signature), make().bind(signature)
    assert bound.digest == again.digest, "the digest is a function of the content"
    splits, repeated, other = bound.splits(), again.splits(), bound.splits(seed=bound.seed + 1)
    parts = (splits.calibration, splits.search, splits.test)
    for part, same in zip(parts, (repeated.calibration, repeated.search, repeated.test), strict=True):
        assert part.digest == same.digest, "the same content and seed give the same split"
        assert np.array_equal(part.rows, same.rows), "and the same rows"
        assert len(part), f"the {part.name} split is not empty"
        check_samples(part, signature)
        check_samples(part.head(5), signature)
    assert splits.test.digest != other.test.digest, "another seed gives another test split"
    rows = np.concatenate([part.rows for part in parts])
    assert np.unique(rows).size == rows.size, "no row is in two splits"
    assert rows.size + splits.unused == len(bound), "every row is in a split or counted as unused"
    seen = [{fingerprint.tobytes() for fingerprint in bound.fingerprints[part.rows]} for part in parts]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2]), "no content is in two splits"
    least = min(len(bound) // 3, 10_000) - _twins(bound.fingerprints)
    assert len(splits.test) >= least, "the test split takes a third until it is large enough"


def _read(samples: Samples, size: int) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    batches = list(samples.batches(size))
    return {name: np.concatenate([batch[name] for batch in batches]) for name in (batches[0] if batches else {})}


def _twins(fingerprints: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> int:
    """The largest number of samples of one content, by which a split may miss its share."""
    _, counts = np.unique(fingerprints, axis=0, return_counts=True)
    return int(counts.max()) + 1
