"""The scikit-learn side of ``sklearn``: convert with skl2onnx, name, and compare with the estimator.

Runs in the caller's process for live estimators, in a shut-in child for files.
"""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.formats.hostile import reason
from edgewright.formats.libraries import library
from edgewright.formats.onnxnames import name_outputs, number_values

# The highest pair that skl2onnx writes for every estimator it knows.
_OPSETS = {"": 18, "ai.onnx.ml": 3}
_ROWS = 64
_OURS = re.compile(r"sklearn\.(?!datasets\b|utils\._testing\b)[\w.]+")


def write_in_child(name: str) -> dict[str, str]:
    """Convert ``estimator.skops`` to the ONNX file ``name``. Runs in a child process."""
    skops = library("skops.io")
    path = Path("estimator.skops")
    with _quiet():
        try:
            types = skops.get_untrusted_types(file=path)
        except Exception as error:  # a broken schema makes skops raise whatever its keys and types lead to
            raise InputError(f"skops cannot read it: {reason(error)}; save the estimator again") from error
        foreign = [kind for kind in types if not _OURS.fullmatch(kind)]
        if foreign:
            raise InputError(
                f"it is made of {', '.join(foreign[:5])}, not of scikit-learn's own types alone; "
                "load it yourself and pass the live estimator in Python if you trust it"
            )
        try:
            estimator = skops.load(path, trusted=types)
        except Exception as error:  # as above
            raise InputError(f"skops cannot read it: {reason(error)}; save the estimator again") from error
    Path(name).write_bytes(to_onnx(estimator, None))
    return {"estimator": type(estimator).__name__}


def to_onnx(estimator: Any, example: Any) -> bytes:
    """An ONNX file's bytes. Raises InputError for what is not fitted, cannot be converted, or answers otherwise."""
    kind = type(estimator).__name__
    features = getattr(estimator, "n_features_in_", None)
    if not isinstance(features, int | np.integer):
        raise InputError(f"the {kind} is not fitted; call fit before it is converted")
    proto = _convert(estimator, int(features))
    names = [value.name for value in proto.graph.output]
    if names == ["variable"]:
        names = ["prediction" if hasattr(estimator, "predict") else "transformed"]
    elif names[1:] == ["probabilities"] and not hasattr(estimator, "predict_proba"):
        names = ["label", "scores"]
    name_outputs(proto, names)
    _tidy(proto)
    data: bytes = proto.SerializeToString(deterministic=True)
    _compare(estimator, example, int(features), data)
    return data


def _convert(estimator: Any, features: int) -> onnx.ModelProto:
    skl2onnx = library("skl2onnx")
    kind = type(estimator).__name__
    types = [("X", library("skl2onnx.common.data_types").FloatTensorType([None, features]))]
    last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    # A map per row (zipmap) is no tensor. Estimators that never make one do not know the option: skl2onnx then raises
    # NameError, for the last step of a pipeline even where nobody asked, unless that step has some option of its own.
    for options in ({id(estimator): {"zipmap": False}}, {id(last): {"raw_scores": False}}, None):
        with _quiet(), _whole_numbers():
            try:
                found = skl2onnx.convert_sklearn(
                    estimator, name="estimator", initial_types=types, options=options, target_opset=_OPSETS
                )
            except NameError:
                continue
            except Exception as error:  # skl2onnx raises what its converters for each estimator raise
                raise InputError(f"skl2onnx cannot convert the {kind}: {reason(error)}") from error
            assert isinstance(found, onnx.ModelProto)  # noqa: S101 - narrowing for the type checker
            return found
    raise InputError(f"skl2onnx cannot convert the {kind} to plain tensors; convert a part of it")


@contextlib.contextmanager
def _whole_numbers() -> Iterator[None]:
    """skl2onnx 1.20 hands booleans to integer attributes, which protobuf 5 and later refuse."""
    container = library("skl2onnx.common._container")
    original = container.make_node

    def make_node(op_type: str, *args: Any, **attributes: Any) -> Any:
        for name, value in attributes.items():
            if isinstance(value, list) and any(isinstance(v, bool | np.bool_) for v in value):
                attributes[name] = [int(v) for v in value]
        return original(op_type, *args, **attributes)

    container.make_node = make_node
    try:
        yield
    finally:
        container.make_node = original


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _tidy(proto: onnx.ModelProto) -> None:
    """One opset per domain, a named batch, and names that do not count what was converted before."""
    opsets: dict[str, int] = {}
    for entry in proto.opset_import:
        opsets[entry.domain] = max(entry.version, opsets.get(entry.domain, 0))
    del proto.opset_import[:]
    for domain, version in sorted(opsets.items()):
        proto.opset_import.add(domain=domain, version=version)
    for value in (*proto.graph.input, *proto.graph.output):
        for first in value.type.tensor_type.shape.dim[:1]:
            first.dim_param = "batch"
    number_values(proto)


def _compare(estimator: Any, example: Any, features: int, data: bytes) -> None:
    """InputError when the first output is not what ``predict`` (or ``transform``) answers on the same rows."""
    answer = getattr(estimator, "predict", None) or getattr(estimator, "transform", None)
    if answer is None:
        return
    rows = np.random.default_rng(0).standard_normal((_ROWS, features)) if example is None else np.asarray(example)
    X: NDArray[np.float32] = np.ascontiguousarray(rows, np.float32)
    if X.ndim != 2 or X.shape[1] != features:
        raise InputError(f"the example must have shape (rows, {features}), got {list(X.shape)}")
    runtime = library("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    with _quiet():
        try:
            have = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"]).run(None, {"X": X})[0]
        except Exception as error:  # onnxruntime's exception classes share no base but Exception
            raise InputError(f"onnxruntime cannot run the converted estimator: {reason(error)}") from error
        want = np.asarray(answer(X))
    have = np.asarray(have).reshape(want.shape)
    if want.dtype.kind == "f":
        far = float(np.median(np.abs(want - have)) / max(float(np.abs(want).max()), 1e-6))
    else:
        far = float(np.mean(want.astype(str) != have.astype(str)))
    # Single precision moves a few rows across a tree's thresholds; a wrong conversion moves most.
    if far > 0.1:
        raise InputError(f"the converted {type(estimator).__name__} answers otherwise than the estimator; report it")
