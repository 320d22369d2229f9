"""Products with a bias, written so that their integer kernels survive the engine's own rewritings.

ONNX Runtime turns MatMul + Add into Gemm before it looks for quantized kernels (``MatMulAddFusion``), and a Gemm whose
bias is float runs in float without a word. So a product of rank 2 becomes a Gemm here, whose bias is then quantized
with it; at higher ranks of fixed sizes the bias gets leading axes of size 1, which that rewriting leaves alone.
"""

from __future__ import annotations

from edgewright.compression.pruning.layers import Layer, as_layer
from edgewright.compression.rewriting.editor import Editor
from edgewright.core.model import Model
from edgewright.graphs.graph import close_graph, constant, open_graph
from edgewright.graphs.shapes import concrete_shapes


def settle_products(model: Model, name: str) -> Model:
    """``model`` with its biased products rewritten; itself when there are none. ``name``: the pass that asks."""
    graph = open_graph(model)
    biased = [layer for node in graph.graph if (layer := as_layer(node)) is not None and layer.bias_node is not None]
    if not biased:
        return model
    shapes = concrete_shapes(model)
    fixed = all(isinstance(size, int) for spec in model.signature.inputs for size in spec.shape)
    editor = Editor(graph, "ew.p")
    for layer in biased:
        facts = shapes.get(str(layer.node.outputs[0].name))
        if facts is None:
            continue
        if len(facts.shape) == 2:
            _as_gemm(editor, layer)
        elif (
            len(facts.shape) > 2 and fixed
        ):  # with a free size the engine leaves it alone, and fuses the bias elsewhere
            _lift_bias(editor, layer, len(facts.shape))
    return close_graph(graph, model, name)


def _bias_index(layer: Layer) -> int:
    assert layer.bias_node is not None  # noqa: S101 - the caller has looked
    return next(i for i, value in enumerate(layer.bias_node.inputs) if constant(value) is not None)


def _as_gemm(editor: Editor, layer: Layer) -> None:
    assert layer.bias_node is not None  # noqa: S101 - the caller has looked
    bias = editor.store(constant(layer.bias_node.inputs[_bias_index(layer)]).reshape(-1))
    made = editor.node("Gemm", [layer.data, layer.weight, bias])
    producer = made.producer()
    if producer is not None:
        producer.name = layer.node.name  # the layer keeps the name by which it may be skipped
    editor.replace(layer.bias_node.outputs[0], made)


def _lift_bias(editor: Editor, layer: Layer, rank: int) -> None:
    assert layer.bias_node is not None  # noqa: S101 - the caller has looked
    index = _bias_index(layer)
    bias = constant(layer.bias_node.inputs[index])
    if bias.ndim < rank:
        layer.bias_node.replace_input_with(index, editor.store(bias.reshape((1,) * (rank - 1) + (-1,))))
