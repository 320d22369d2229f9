"""Dataset: samples with labels and a declared preprocessing; bound to a model's signature it gives splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgewright.core.digests import digest_array, digest_bytes, digest_json
from edgewright.core.errors import InputError
from edgewright.core.model import Signature, TensorSpec
from edgewright.datasets.conform import arrays_for, check_shape
from edgewright.datasets.preprocessing import Preprocessing, preprocessing_for
from edgewright.datasets.readers import ArrayReader, Fingerprints, ImageReader, Reader
from edgewright.datasets.source import ArraySource, Source
from edgewright.datasets.splits import Splits, split

Missing = Literal["refuse", "keep"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples, before a model is known. ``missing``: whether NaN in the inputs is an error or meant.

    ``labels``: (n,) class indices or (n, ...) numbers, or None; ``unlabelled`` when that is on purpose. ``classes``
    names the indices.
    """

    source: Source
    labels: NDArray[Any] | None
    classes: tuple[str, ...]
    preprocessing: Preprocessing | None
    seed: int
    missing: Missing = "refuse"
    notes: tuple[str, ...] = field(default=())
    unlabelled: bool = False

    def __repr__(self) -> str:
        return f"<Dataset {self.source.name}, {'no labels' if self.labels is None else 'labels'}>"

    def bind(self, signature: Signature) -> Bound:
        """The samples as a model of this signature takes them.

        Raises InputError, naming the input, when a name, shape or dtype does not fit or when the data has NaN.
        """
        if not signature.inputs:
            raise InputError("the model has no inputs, so no data can be given to it")
        if isinstance(self.source, ArraySource):
            bound = self._bind_arrays(self.source, signature)
        else:
            spec = self._single(signature, "a folder of images")
            preprocessing, notes = self._settled(spec)
            reader = ImageReader(self.source.paths, spec.name, preprocessing)
            bound = Bound(reader, self.labels, self.classes, preprocessing, self.seed, (*self.notes, *notes))
        if self.labels is not None and len(self.labels) != len(bound.reader):
            raise InputError(
                f"{self.source.name} has {len(bound.reader)} samples and {len(self.labels)} labels; give one a sample"
            )
        return bound

    def _bind_arrays(self, source: ArraySource, signature: Signature) -> Bound:
        preprocessing, notes = self.preprocessing, self.notes
        dtypes = {spec.name: spec.dtype for spec in signature.inputs}
        if preprocessing is not None:
            spec = self._single(signature, "preprocessing")
            check_shape(spec, preprocessing.shape, preprocessing.dtype, "the preprocessing")
            arrays, added = arrays_for(source, signature, shapes=False)
        else:
            arrays, added = arrays_for(source, signature, shapes=True)
        if self.labels is None and not self.unlabelled:
            _check_no_labels(source, arrays)
        reader = ArrayReader(arrays, dtypes, preprocessing)
        if self.missing == "refuse" and (found := reader.not_finite()) is not None:
            name, count, row = found
            raise InputError(
                f"{name!r} of {source.name} has NaN, infinity or values too large in {count} samples "
                f"(first: row {row}); remove or fill them, or, if the model is meant to take them, let them through: "
                "missing='keep', --missing keep"
            )
        return Bound(reader, self.labels, self.classes, preprocessing, self.seed, (*notes, *added))

    def _single(self, signature: Signature, what: str) -> TensorSpec:
        if len(signature.inputs) != 1:
            names = ", ".join(spec.name for spec in signature.inputs)
            raise InputError(f"{what} needs a model with one input, this one has {names}; pass arrays in an .npz")
        return signature.inputs[0]

    def _settled(self, spec: TensorSpec) -> tuple[Preprocessing, tuple[str, ...]]:
        if self.preprocessing is None:
            made, note = preprocessing_for(spec)
            return made, (note,)
        check_shape(spec, self.preprocessing.shape, self.preprocessing.dtype, "the preprocessing")
        return self.preprocessing, ()


def _check_no_labels(source: ArraySource, taken: Mapping[str, NDArray[Any]]) -> None:
    """Labels under another name must not be passed over in silence: accuracy would be agreement with the original."""
    count = max(map(len, taken.values()), default=0)
    spare = [n for n, a in source.arrays.items() if n not in taken and a.ndim in (1, 2) and len(a) == count]
    if spare:
        named = " and ".join(map(repr, spare[:4]))
        raise InputError(
            f"{source.name} has no array named 'labels', but {named} with one entry a sample; if these are the labels, "
            f"name them (labels={spare[0]!r}, --labels {spare[0]}), else say that there are none "
            "(labels=False, --labels none): models would be judged by their agreement with the original alone"
        )


@dataclass(frozen=True, eq=False)
class Bound:
    """A dataset as one model takes it. ``preprocessing`` is what a bundle must carry (None: arrays as they are)."""

    reader: Reader
    labels: NDArray[Any] | None
    classes: tuple[str, ...]
    preprocessing: Preprocessing | None
    seed: int
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.reader)

    def __repr__(self) -> str:
        return f"<Bound {len(self)} samples, {'no labels' if self.labels is None else 'labels'}>"

    @cached_property
    def fingerprints(self) -> Fingerprints:
        """One a row; reading them reads all the data once."""
        return self.reader.fingerprints()

    @cached_property
    def digest(self) -> str:
        """Names the content in its order, the labels, and the declared preprocessing."""
        labels = None if self.labels is None else digest_array(self.labels)
        rows = digest_bytes(self.fingerprints.tobytes())
        return digest_json({**self._content(), "rows": rows, "labels": labels})

    def splits(self, seed: int | None = None) -> Splits:
        """Calibration, search and test: disjoint, and the same for the same content and seed.

        ``seed`` None is the dataset's own. Raises InputError when there are fewer than 16 distinct samples.
        """
        if len(self) == 0:
            raise InputError("the data has no samples; give at least 16")
        chosen = self.seed if seed is None else seed
        made = split(self.reader, self.fingerprints, self.labels, self.classes, self._content(), chosen)
        return replace(made, notes=(*self.notes, *made.notes))

    def _content(self) -> dict[str, Any]:
        inputs = {n: [a.dtype.str, list(a.shape[1:])] for n, a in self.reader.read(np.empty(0, np.intp)).items()}
        return {"inputs": inputs, "preprocessing": self.preprocessing and self.preprocessing.to_json()}
