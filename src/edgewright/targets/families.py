"""Which family of operators a node belongs to, judged by its ONNX operator type and its costs alone."""

from __future__ import annotations

from typing import Literal

from edgewright.core.workload import OperatorCost

Family = Literal[
    "conv", "narrow", "shallow", "matmul", "gemv", "attention", "recurrent",
    "transcendental", "normalisation", "pool", "elementwise", "move", "fused", "free",
]  # fmt: skip
MULTIPLYING = frozenset({"conv", "narrow", "shallow", "matmul", "gemv", "attention", "recurrent"})

_CONV = {"Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "FusedConv", "DeformConv"}
_RECURRENT = {"LSTM", "GRU", "RNN", "DynamicQuantizeLSTM"}
# Written into the output of the operator before it by every engine, or gone before the graph runs.
_FUSED = {"Relu", "Clip", "LeakyRelu", "PRelu", "BatchNormalization", "QuantizeLinear", "DequantizeLinear",
          "DynamicQuantizeLinear"}  # fmt: skip
_FREE = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Constant", "ConstantOfShape", "Shape",
         "Size"}  # fmt: skip
_TRANSCENDENTAL = {
    "Sigmoid", "Tanh", "Erf", "Exp", "Log", "Gelu", "Softmax", "LogSoftmax", "Softplus", "Mish", "Elu", "Selu", "Celu",
    "HardSwish", "HardSigmoid", "Sin", "Cos", "Tan", "Pow", "Sqrt", "Reciprocal", "Swish", "QuickGelu", "FastGelu",
    "BiasGelu",
}  # fmt: skip
_NORMALISATION = {
    "LayerNormalization", "InstanceNormalization", "GroupNormalization", "MeanVarianceNormalization", "LpNormalization",
    "SimplifiedLayerNormalization", "SkipLayerNormalization", "RMSNormalization", "LRN",
}  # fmt: skip
_POOL = {"MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool"}
_MOVE = {
    "Transpose", "Concat", "Split", "Slice", "Gather", "GatherElements", "GatherND", "Pad", "Expand", "Tile", "Cast",
    "Resize", "Upsample", "DepthToSpace", "SpaceToDepth", "ScatterND", "ScatterElements", "Where", "OneHot", "Range",
    "CumSum", "ReverseSequence", "Compress", "NonZero",
}  # fmt: skip

SHALLOW_DEPTH = 32
"""A convolution that sums fewer products per output than this is depthwise or a first layer: kernels starve on it."""
NARROW_WIDTH = 24
"""A convolution to fewer output channels than this leaves vector lanes and register tiles empty."""
FEW_ROWS = 4
"""A matrix product that uses each weight at most this often is bound by the weights' way to the core."""


def family(operator: OperatorCost) -> Family:
    """The family of ``operator``."""
    kind = operator.op_type
    if kind in _RECURRENT:
        return "recurrent"
    if operator.macs > 0:
        outputs = max(operator.written_bytes * 8 // max(operator.bits, 1), 1)
        weights = operator.weight_bytes * 8 // max(operator.bits, 1)
        if kind in _CONV:
            if operator.macs < SHALLOW_DEPTH * outputs:
                return "shallow"
            # A convolution's weights are its output channels x its depth, macs / outputs.
            return "narrow" if weights * outputs < NARROW_WIDTH * operator.macs else "conv"
        if weights == 0:
            return "attention"
        return "gemv" if operator.macs <= FEW_ROWS * weights else "matmul"
    if kind in _FREE:
        return "free"
    if kind in _FUSED:
        return "fused"
    if kind in _TRANSCENDENTAL:
        return "transcendental"
    if kind in _NORMALISATION:
        return "normalisation"
    if kind in _POOL:
        return "pool"
    return "move" if kind in _MOVE else "elementwise"
