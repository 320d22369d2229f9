"""What share of its peak ONNX Runtime reaches here, by family of operators: the x86 ranges of ``roofline.toml``.

    python benchmarks/targets/calibrate.py [--json FILE]

Each figure is the slope between two chains of one operator (2 and 6 of them), so that a call's own cost and the first
and last quantization drop out; one thread, batch 1, the shortest of the repetitions, beside the machine's own matrix
product measured in the same process. About a minute; close to nothing else should be running.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from edgewright import targets

CONVOLUTIONS = [(c, s, k, 1) for c, s in ((8, 48), (16, 28), (32, 28), (64, 14), (128, 14), (256, 7)) for k in (1, 3)]
DEPTHWISE = [(32, 56, 3, 32), (64, 28, 3, 64), (96, 14, 3, 96), (192, 14, 3, 192), (384, 7, 3, 384), (128, 14, 5, 128)]
PRODUCTS = [(1, 256), (1, 512), (1, 1024), (16, 256), (65, 128), (65, 256), (197, 384)]
SINGLE = {
    "transcendental": ("Sigmoid", "Tanh", "Erf", "Exp", "Softmax"),
    "normalisation": ("LayerNormalization",),
    "pool": ("MaxPool", "AveragePool"),
    "elementwise": ("Add", "Mul"),
}
RNG = np.random.default_rng(0)


class Graph:
    """A chain of layers under construction, in fp32 or with QDQ pairs as a U8S8 static quantizer writes them."""

    def __init__(self, shape: tuple[int, ...], quantized: bool) -> None:
        self.shape, self.quantized = shape, quantized
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.last = "x"
        if quantized:
            for name, value in (("s", np.float32(0.05)), ("z", np.uint8(128)), ("ws", np.float32(0.01)),
                                ("wz", np.int8(0)), ("bs", np.float32(0.0005)), ("bz", np.int32(0))):  # fmt: skip
                self.constant(name, value)
        self.last = self.pair("x")

    def constant(self, name: str, value: Any) -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, op_type: str, inputs: list[str], **attributes: Any) -> str:
        output = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [output], **attributes))
        return output

    def pair(self, name: str) -> str:
        if not self.quantized:
            return name
        return self.node("DequantizeLinear", [self.node("QuantizeLinear", [name, "s", "z"]), "s", "z"])

    def weight(self, shape: tuple[int, ...], outputs: int) -> list[str]:
        name = f"w{len(self.weights)}"
        if not self.quantized:
            return [self.constant(name, RNG.normal(0, 0.1, shape).astype(np.float32)),
                    self.constant(f"b{name}", np.zeros(outputs, np.float32))]  # fmt: skip
        self.constant(name, RNG.integers(-127, 128, shape).astype(np.int8))
        self.constant(f"b{name}", np.zeros(outputs, np.int32))
        return [self.node("DequantizeLinear", [name, "ws", "wz"]),
                self.node("DequantizeLinear", [f"b{name}", "bs", "bz"])]  # fmt: skip

    def add(self, op_type: str, inputs: list[str], **attributes: Any) -> None:
        output = self.node(op_type, inputs, **attributes)
        if not self.quantized and op_type in ("Conv", "Gemm"):
            output = self.node("Relu", [output])
        self.last = self.pair(output)

    def seconds(self) -> float:
        y = self.node("Identity", [self.last])
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shape) for name in ("x", y)]
        graph = helper.make_graph(self.nodes, "chain", ends[:1], ends[1:], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        feed = {"x": RNG.normal(0, 1, self.shape).astype(np.float32)}
        times = []
        end = time.perf_counter() + 0.15
        while len(times) < 5 or time.perf_counter() < end:
            start = time.perf_counter()
            session.run(None, feed)
            times.append(time.perf_counter() - start)
        return min(times)


def slope(shape: tuple[int, ...], quantized: bool, layer: Callable[[Graph], None]) -> float:
    """Seconds that one more ``layer`` costs."""
    found = []
    for length in (2, 6):
        graph = Graph(shape, quantized)
        for _ in range(length):
            layer(graph)
        found.append(graph.seconds())
    return max((found[1] - found[0]) / 4, 1e-9)


def convolution(channels: int, kernel: int, group: int) -> Callable[[Graph], None]:
    def layer(graph: Graph) -> None:
        weight = graph.weight((channels, channels // group, kernel, kernel), channels)
        graph.add("Conv", [graph.last, *weight], kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4, group=group)

    return layer


def product(columns: int) -> Callable[[Graph], None]:
    return lambda graph: graph.add("Gemm", [graph.last, *graph.weight((columns, columns), columns)])


def single(op_type: str) -> Callable[[Graph], None]:
    def layer(graph: Graph) -> None:
        if op_type in ("Add", "Mul"):
            graph.add(op_type, [graph.last, "x"])
        elif op_type == "LayerNormalization":
            graph.add(op_type, [graph.last, graph.constant(f"g{len(graph.weights)}", np.ones(graph.shape[-1], "f4"))])
        elif "Pool" in op_type:
            graph.add(op_type, [graph.last], kernel_shape=[3, 3], pads=[1] * 4)
        else:
            graph.add(op_type, [graph.last])

    return layer


def main() -> None:
    """Measure, print one line each, then the ranges by family."""
    parser = argparse.ArgumentParser(description="shares of peak by family of operators")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    host = targets.measure_host()
    peak = {"fp32": host.compute["fp32"].value, "int8": host.compute["int8"].value}
    print(f"{host.title}: fp32 {host.compute['fp32']}, int8 {host.compute['int8']}, onnxruntime {ort.__version__}")
    shares: dict[str, list[float]] = defaultdict(list)
    for number_type in ("fp32", "int8"):
        quantized = number_type == "int8"
        for channels, size, kernel, group in CONVOLUTIONS + DEPTHWISE:
            macs = channels * size**2 * kernel**2 * channels // group
            seconds = slope((1, channels, size, size), quantized, convolution(channels, kernel, group))
            family = "shallow" if group > 1 else "conv"
            of = peak["fp32"] if family == "shallow" else peak[number_type]
            shares[f"{family} {number_type}"].append(macs / seconds / of)
            shape = f"{channels} x {size}^2, {kernel}x{kernel}"
            print(f"{family:8s} {number_type} {shape:20s} {macs / seconds / 1e9:7.1f}e9 MAC/s")
        for rows, columns in PRODUCTS:
            macs = rows * columns * columns
            seconds = slope((rows, columns), quantized, product(columns))
            family = "gemv" if rows == 1 else "matmul"
            shares[f"{family} {number_type}"].append(macs / seconds / peak[number_type])
            shape = f"{rows} x {columns} x {columns}"
            print(f"{family:8s} {number_type} {shape:20s} {macs / seconds / 1e9:7.1f}e9 MAC/s")
    for family, kinds in SINGLE.items():
        for kind in kinds:
            shape = (1, 64, 28, 28)
            seconds = slope(shape, False, single(kind))
            work = seconds * peak["fp32"] / np.prod(shape)
            shares[f"{family} work"].append(float(work))
            print(f"{family:14s} {kind:20s} {work:6.1f} MACs' worth an element")
    print("\nfamily, lowest, median, highest")
    for name, found in shares.items():
        print(f"{name:24s} {min(found):7.3f} {statistics.median(found):7.3f} {max(found):7.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": host.to_json(), "shares": shares}, indent=2))


if __name__ == "__main__":
    main()
