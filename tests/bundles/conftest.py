"""A small real bundle: a linear classifier on random numbers, with everything a bundle can hold."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper

from edgewright import bundles
from edgewright.bundles import BundleContent, Contract, DatasetFact, Variant
from edgewright.bundles.names import KIND, MANIFEST, SIGNATURE
from edgewright.core.candidate import Constraint
from edgewright.core.digests import digest_bytes
from edgewright.core.measurement import Measurement
from edgewright.core.model import Model, Step
from edgewright.core.session import EngineOptions
from edgewright.formats.onnx import from_proto
from edgewright.trust import SigningKey, sign

Poison = Callable[[Callable[[dict[str, Any], dict[str, bytes]], None]], Path]


def classifier(seed: int = 0) -> Model:
    weights = np.random.default_rng(seed).standard_normal((4, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["z"]),
            helper.make_node("Softmax", ["z"], ["p"]),
            helper.make_node("ArgMax", ["z"], ["k"], axis=1, keepdims=0),
        ],
        "classifier",
        [helper.make_tensor_value_info("x", T.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("p", T.FLOAT, ["n", 3]), helper.make_tensor_value_info("k", T.INT64, ["n"])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return from_proto(proto, (Step("import", {}, "0" * 64),))


@pytest.fixture(scope="session")
def samples() -> list[dict[str, np.ndarray[Any, Any]]]:
    rows = np.random.default_rng(1).standard_normal((20, 4)).astype(np.float32)
    return [{"x": rows[i : i + 1]} for i in range(len(rows))]


@pytest.fixture(scope="session")
def content(samples: list[dict[str, np.ndarray[Any, Any]]]) -> BundleContent:
    variant = Variant("onnxruntime", EngineOptions(), classifier())
    seen = {
        "latency_p99_ms": Measurement(0.2, "ms", "measured", 100, 0.18, 0.25, {"threads": 1}),
        "energy_mj": Measurement(1.5, "mJ", "estimated"),
        "accuracy": Measurement(97.0, "%", "measured", 500, 95.0, 98.5),
    }
    return BundleContent(
        name="classifier",
        version="1.0.0",
        source=classifier().digest,
        variants=(variant,),
        golden=bundles.record_golden([variant], samples, count=3),
        contract=Contract(
            "host",
            (*bundles.promises(seen, accuracy_floor=92.0), Constraint("size_bytes", "max", 1000, "bytes")),
            seen,
            bundles.sketch_inputs(samples),
        ),
        recipe=({"pass": "simplify"}, {"pass": "int8_static", "per_channel": True}),
        preprocessing={"scale": 0.5, "layout": "NC"},
        postprocessing={"kind": "argmax"},
        labels=("one", "two", "three µ"),
        datasets=(DatasetFact("noise", "test", "ab" * 32, 20, "CC0-1.0"), DatasetFact("noise", "calibration", "x", 3)),
        evidence={"report.json": b'{"schema": 1}', "readiness.json": b"{}"},
        task="classification",
        licence="MIT",
    )


@pytest.fixture(scope="session")
def key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture(scope="session")
def pristine(content: BundleContent, key: SigningKey, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine") / "bundle"
    bundles.seal(content, folder, key)
    return folder


@pytest.fixture
def sealed(pristine: Path, tmp_path: Path) -> Path:
    """A bundle of one's own, to spoil."""
    return Path(shutil.copytree(pristine, tmp_path / "bundle"))


@pytest.fixture
def packed(pristine: Path, key: SigningKey, tmp_path: Path) -> Path:
    path = tmp_path / "bundle.ewb"
    bundles.verify(pristine, [key.public]).pack(path)
    return path


@pytest.fixture
def poison(sealed: Path, key: SigningKey) -> Poison:
    """Change manifest and files, then sign again with the trusted key: what a careless or stolen signer could ship."""

    def make(change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> Path:
        files = {
            str(p.relative_to(sealed)): p.read_bytes()
            for p in sealed.rglob("*")
            if p.is_file() and p.name not in (MANIFEST, SIGNATURE)
        }
        manifest = json.loads((sealed / MANIFEST).read_bytes())
        before = dict(files)
        change(manifest, files)
        for name, data in files.items():
            if before.get(name) != data:
                manifest["files"][name] = {"sha256": digest_bytes(data), "size": len(data)}
                (sealed / name).parent.mkdir(parents=True, exist_ok=True)
                (sealed / name).write_bytes(data)
        text = json.dumps(manifest).encode()
        (sealed / MANIFEST).write_bytes(text)
        (sealed / SIGNATURE).write_bytes(sign(text, KIND, key))
        return sealed

    return make
