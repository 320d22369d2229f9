"""Files of two bundles that are alike: an ONNX model of some layers, one with external data, and what lies beside."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import external_data_helper, helper, numpy_helper

from edgewright.bundles.deltas import Delta, make_delta
from edgewright.core.digests import digest_bytes

Files = dict[str, bytes]


def layers(seed: int = 0, count: int = 4, size: int = 64) -> onnx.ModelProto:
    rng = np.random.default_rng(seed)
    nodes, weights, last = [], [], "x"
    for i in range(count):
        weights.append(numpy_helper.from_array(rng.normal(0, 0.1, (size, size)).astype(np.float32), f"w{i}"))
        weights.append(numpy_helper.from_array(rng.normal(0, 0.1, size).astype(np.float32), f"b{i}"))
        nodes.append(helper.make_node("Gemm", [last, f"w{i}", f"b{i}"], [f"y{i}"]))
        last = f"y{i}"
    inputs = [helper.make_tensor_value_info("x", T.FLOAT, ["n", size])]
    outputs = [helper.make_tensor_value_info(last, T.FLOAT, ["n", size])]
    graph = helper.make_graph(nodes, "layers", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def tuned(proto: onnx.ModelProto, step: float = 1e-4, seed: int = 9, only: str = "") -> onnx.ModelProto:
    """The same model after some training: every weight (or those of one name) moved by a share of itself."""
    changed, rng = copy.deepcopy(proto), np.random.default_rng(seed)
    for tensor in changed.graph.initializer:
        if only in tensor.name:
            values = numpy_helper.to_array(tensor)
            moved = (values * (1 + step * rng.standard_normal(values.shape))).astype(values.dtype)
            tensor.CopyFrom(numpy_helper.from_array(moved, tensor.name))
    return changed


def files_of(proto: onnx.ModelProto, note: str = "one") -> Files:
    return {
        "models/onnxruntime/model.onnx": proto.SerializeToString(deterministic=True),
        "evidence/report.json": f'{{"note": "{note}", "rows": {list(range(400))}}}'.encode(),
        "golden/input-0.npy": np.arange(200, dtype=np.float32).tobytes(),
    }


def external(proto: onnx.ModelProto) -> Files:
    apart = copy.deepcopy(proto)
    external_data_helper.convert_model_to_external_data(apart, location="weights.bin", size_threshold=0)
    data = b""
    for tensor in apart.graph.initializer:
        external_data_helper.set_external_data(tensor, "weights.bin", len(data), len(tensor.raw_data))
        data += tensor.raw_data + bytes(-len(tensor.raw_data) % 64)
        tensor.ClearField("raw_data")
    return {"m/model.onnx": apart.SerializeToString(deterministic=True), "m/weights.bin": data}


class Device:
    """A device's folders: the old files, chunks, and where the new ones go; and the signed sizes."""

    def __init__(self, root: Path, old: Files, new: Files) -> None:
        self.root, self.old, self.new = root, old, new
        self.chunks, self.into = root / "chunks", root / "new"
        self.delta: Delta = make_delta(old, new)
        self.sizes = {name: (digest_bytes(data), len(data)) for name, data in new.items()}
        self.have: dict[str, Path] = {}
        for name, data in old.items():
            path = root / "old" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            self.have[digest_bytes(data)] = path
        self.chunks.mkdir()

    def store(self, digest: str) -> None:
        """What a download does: a chunk of the delta, or a new file whole."""
        whole = {digest_bytes(data): data for data in self.new.values()}
        (self.chunks / digest).write_bytes(self.delta.chunks.get(digest) or whole[digest])

    def made(self) -> Files:
        return {name: (self.into / name).read_bytes() for name in self.sizes if (self.into / name).exists()}

    def strays(self) -> list[str]:
        wanted = set(self.sizes)
        there = (str(p.relative_to(self.into)) for p in self.into.rglob("*") if p.is_file())
        return [name for name in there if name not in wanted]


@pytest.fixture
def device(tmp_path: Path) -> Device:
    proto = layers()
    return Device(tmp_path, files_of(proto), files_of(tuned(proto), "two"))
