"""Datasets: samples with names, shapes, labels, a declared preprocessing and disjoint seeded splits."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewright.core.errors import InputError
from edgewright.datasets.dataset import Bound, Dataset, Missing
from edgewright.datasets.labels import settle
from edgewright.datasets.preprocessing import Preprocessing
from edgewright.datasets.source import ArraySource, ImageSource, Source, as_arrays
from edgewright.datasets.splits import Split, Splits

__all__ = ["Bound", "Dataset", "Preprocessing", "Split", "Splits", "dataset"]


def dataset(
    source: Any,
    *,
    labels: Any = None,
    preprocessing: Preprocessing | Mapping[str, Any] | None = None,
    classes: tuple[str, ...] = (),
    seed: int = 0,
    missing: Missing = "refuse",
) -> Dataset:
    """Samples for calibration, search and test.

    ``source`` is one of

    - the path of an ``.npz`` whose arrays bear the model's input names, plus ``labels`` (optional) and ``classes``
      (optional: names of the class indices);
    - the path of a folder of images (JPEG, PNG, BMP) with a folder per class, the classes in alphabetical order; images
      straight in the folder are samples without labels;
    - a mapping of arrays, named in the same way;
    - ``"module:function"``: the module is imported, from the current directory first, and the function called without
      arguments. It returns such a mapping, or an iterable of them (batches). **This runs that code.**

    ``labels`` replaces the source's own: one a sample, the name of another array, or False for none (models are then
    compared by their agreement with the original). ``preprocessing`` is needed for images unless the model's input
    says enough, and applies to uint8 image arrays as well. ``missing="keep"`` lets NaN through to models made for it.
    Raises InputError for whatever cannot be used, before anything is computed.
    """
    if isinstance(source, Dataset):
        return source
    found = _source(source)
    if isinstance(preprocessing, Mapping):
        preprocessing = Preprocessing.from_json(preprocessing)
    if missing not in ("refuse", "keep"):
        raise InputError(f"missing must be 'refuse' or 'keep', got {missing!r}")
    chosen: Any = labels
    if isinstance(found, ImageSource):
        classes = tuple(classes) or (found.classes if labels is None else ())
        chosen = found.labels if labels is None else labels
        if isinstance(labels, str):
            raise InputError("labels of a folder of images are its folders, or an array with one entry an image")
    else:
        arrays = dict(found.arrays)
        key = labels if isinstance(labels, str) else "labels"
        if isinstance(labels, str) and key not in arrays:
            there = ", ".join(sorted(arrays)) or "nothing"
            raise InputError(f"{found.name} has no array named {key!r} to take labels from; it holds {there}")
        own = arrays.pop(key, None)
        if labels is None or isinstance(labels, str):
            chosen = own
        if not classes and "classes" in arrays and arrays["classes"].dtype.kind == "U":
            classes = tuple(str(name) for name in arrays.pop("classes").ravel())
        found = ArraySource(found.name, arrays, found.notes)
    if chosen is None or chosen is False:
        unlabelled = labels is False
        return Dataset(found, None, tuple(classes), preprocessing, seed, missing, found.notes, unlabelled)
    settled, names, notes = settle(chosen, tuple(classes), found.name)
    return Dataset(found, settled, names, preprocessing, seed, missing, (*found.notes, *notes))


def _source(source: Any) -> Source:
    if isinstance(source, Mapping):
        return as_arrays("the data", source)
    if not isinstance(source, str | os.PathLike):
        kind = type(source).__name__
        raise InputError(f"a {kind} is no dataset; pass an .npz, a folder of images, a mapping, or 'module:function'")
    path = Path(source)
    if path.is_dir():
        from edgewright.datasets.folder import read_folder

        return read_folder(path)
    if path.is_file():
        from edgewright.datasets.npz import read_npz

        with path.open("rb") as stream:
            head = stream.read(4)
        if head[:2] != b"PK":
            what = "is empty" if not head else "is no .npz file"
            raise InputError(f"{path} {what}; write one with np.savez, its arrays under the model's input names")
        return read_npz(path)
    from edgewright.datasets.code import names_code, read_code

    if isinstance(source, str) and names_code(source):
        return read_code(source)
    raise InputError(f"there is no data at {path}; pass an .npz, a folder of images, or 'module:function'")
