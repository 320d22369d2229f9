"""A whole small case for the flows: a convolutional classifier, samples it knows, and both as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.bundles import BundleContent, Contract, Variant, record_golden, seal
from edgewright.core.model import Model
from edgewright.core.session import EngineOptions
from edgewright.datasets.postprocessing import Postprocessing
from edgewright.datasets.preprocessing import Preprocessing
from edgewright.engines import open_session
from edgewright.testing.zoo import residual

QUICK = ("--target", "raspberry-pi-5", "--engine", "onnxruntime", "--keep-structure", "--budget", "60s")
"""Arguments of the smallest whole run: a few candidates whose figures are predicted, so that no clock decides."""
OPTIMIZE = (
    "optimize", "model.onnx", "--data", "data.npz", "--target", "raspberry-pi-5", "--budget", "60s",
    "--max-accuracy-drop", "5", "-o", "out",
)  # fmt: skip
"""A whole run of every part of the search, in the folder of ``write_tiny``; the same candidates on every machine."""

TINY_PREPROCESSING = Preprocessing((12, 12), mean=(0.5,), std=(0.25,), fit="crop")


def tiny_model() -> Model:
    """A residual network of some 6,000 parameters: ``image`` (batch, 3, 12, 12) to five scores. The same bytes."""
    return residual()


def tiny_data(samples: int = 96, seed: int = 0) -> dict[str, NDArray[Any]]:
    """``image`` (samples, 3, 12, 12) in float32 and the ``labels`` (samples,) that the model itself gives.

    Each class occurs as evenly as the model allows, and with a clear margin: small errors change no answer.
    """
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((40 * samples, 3, 12, 12)).astype(np.float32)
    images += 2 * rng.standard_normal((40 * samples, 3, 1, 1)).astype(np.float32)
    with open_session(tiny_model()) as session:
        scores = next(iter(session.infer({"image": images}).values()))
    best = np.sort(scores, axis=1)
    labels, margin = scores.argmax(axis=1), best[:, -1] - best[:, -2]
    classes = np.unique(labels)
    rank = np.empty(len(labels), np.intp)
    for each in classes:
        rows = np.flatnonzero(labels == each)
        rank[rows[np.argsort(-margin[rows])]] = np.arange(rows.size)
    chosen = np.sort(np.lexsort((labels, rank))[:samples])
    return {"image": images[chosen], "labels": labels[chosen].astype(np.int64)}


def seal_tiny(folder: Path, **declared: Any) -> Path:
    """A bundle of the tiny model in ``folder`` that takes image files and answers with named classes.

    ``declared`` replaces fields of its content: ``preprocessing``, ``postprocessing``, ``labels``.
    """
    model = tiny_model()
    variant = Variant("onnxruntime", EngineOptions(), model)
    calls = [{"image": row[None]} for row in tiny_data(16)["image"]]
    fields: dict[str, Any] = {
        "preprocessing": TINY_PREPROCESSING.to_json(),
        "postprocessing": Postprocessing(model.signature.outputs[0].name, top=3, shares="softmax").to_json(),
        "labels": ("ant", "bee", "cat", "dog", "elk"),
    }
    golden = record_golden([variant], calls, 2)
    content = BundleContent("tiny", "1", model.digest, (variant,), golden, Contract("host"), **{**fields, **declared})
    seal(content, folder)
    return folder


def write_tiny(folder: Path, samples: int = 96) -> tuple[Path, Path]:
    """``model.onnx`` and ``data.npz`` in ``folder``."""
    model, data = folder / "model.onnx", folder / "data.npz"
    model.write_bytes(tiny_model().data)
    np.savez(data, **tiny_data(samples))  # type: ignore[arg-type]
    return model, data
