"""Low rank: a wide product as two narrow ones, where that saves multiplications."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgewright.compression.contract import Context, Pass, PassResult
from edgewright.compression.rewriting.editor import Editor, integer, is_standard, live_graph, sole_reader
from edgewright.compression.rewriting.linear import as_linear, layers, write_linear
from edgewright.compression.rewriting.moments import Moments, second_moments
from edgewright.core.errors import InputError, Refused
from edgewright.core.model import Model
from edgewright.graphs.graph import close_graph, constant

_ALIGNMENT = 8  # engines compute this many columns at once anyway
_WORTH = 0.8  # two products have overheads of their own: the multiplications must fall at least this far
_WIDEST = 4096  # the decomposition's time grows with the cube


@dataclass(frozen=True)
class _Product:
    """y = W^T x along a feature axis; weight (inputs, outputs)."""

    node: ir.Node
    output: ir.Value
    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None
    axis: int


@dataclass(frozen=True)
class LowRank(Pass):
    """MatMul, Gemm and 1x1 Conv projected onto the leading principal components of their outputs.

    With V those components, W becomes (W V) V^T: of all products of that rank the closest in output on the samples
    (Eckart-Young in the metric of the inputs' second moments); without samples, all inputs count alike. Each layer
    keeps the share ``energy`` of its output's, or, when ``macs`` is given, that share of its multiplications. Layers
    whose multiplications would not fall by a fifth stay, and so do weights of fewer than ``smallest`` numbers.
    """

    name: ClassVar[str] = "low_rank"
    tolerance_db: ClassVar[float] = 10.0
    needs_data: ClassVar[bool] = True

    energy: float = 0.995
    macs: float | None = None
    smallest: int = 4096
    skip: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.energy <= 1:
            raise InputError(f"option 'energy' of pass 'low_rank' must be between 0 and 1, got {self.energy}")
        if self.macs is not None and not 0 < self.macs <= _WORTH:
            raise InputError(f"option 'macs' of pass 'low_rank' must be between 0 and {_WORTH}, got {self.macs}")

    def rewrite(self, model: Model, context: Context) -> PassResult | None:
        """The factorised model. Raises Refused where no layer gains."""
        if any(step.name == self.name and dict(step.options) == self.options() for step in model.lineage):
            return None  # every layer was judged before; judging what came out would take more and more
        graph = live_graph(model)
        found = [p for p in _products(graph.graph) if self._qualifies(p)]
        moments: dict[str, Moments] = {}
        if found and context.calibration is not None and len(context.calibration):
            read = {str(_data(p).name): p.axis for p in found}
            moments = second_moments(model, read, context)
        names = [str(_data(p).name) for p in found]
        editor = Editor(graph, "ew.l")
        kept: dict[str, int] = {}
        for product, name in zip(found, names, strict=True):
            context.checkpoint()
            basis = self._basis(product.weight.astype(np.float64), moments.get(name))
            if basis is not None:
                kept[str(product.node.name or product.output.name)] = basis.shape[1]
                _write(editor, product, basis)
        if not kept:
            raise Refused(
                f"no layer keeps {self.energy:g} of its output's energy with a fifth fewer multiplications"
                if self.macs is None
                else "holds no product large enough to factorise"
            )
        return PassResult("applied", close_graph(graph, model, self.name, self.options()), facts={"ranks": kept})

    def _qualifies(self, product: _Product) -> bool:
        weight = product.weight
        whole = weight.size >= max(self.smallest, 1) and weight.shape[1] <= _WIDEST and np.isfinite(weight).all()
        return bool(whole) and product.node.name not in self.skip

    def _basis(self, weight: NDArray[np.float64], moments: Moments | None) -> NDArray[np.float64] | None:
        """The leading components, (outputs, rank), or None where the multiplications would not fall."""
        inputs, outputs = weight.shape
        covariance = weight.T @ weight if moments is None else weight.T @ _trusted(moments) @ weight
        values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
        values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
        dense = inputs * outputs
        if self.macs is not None:
            rank = int(self.macs * dense / (inputs + outputs)) // _ALIGNMENT * _ALIGNMENT
        else:
            share = np.cumsum(values) / max(float(values.sum()), 1e-300)
            rank = -(-(int(np.searchsorted(share, self.energy)) + 1) // _ALIGNMENT) * _ALIGNMENT
        if rank < 1 or rank * (inputs + outputs) > _WORTH * dense:
            return None
        leading = vectors[:, :rank]
        # The sign of an eigenvector is the library's whim; the largest entry decides it here.
        signs = np.sign(leading[np.abs(leading).argmax(axis=0), np.arange(rank)])
        basis: NDArray[np.float64] = leading * np.where(signs == 0, 1, signs)
        return basis


def _trusted(moments: Moments) -> NDArray[np.float64]:
    """Second moments drawn towards "all inputs alike" as far as the samples are few for their number.

    Directions that no sample shows would otherwise count for nothing, and be lost.
    """
    size = moments.matrix.shape[0]
    doubt = size / (size + moments.rows)
    mixed: NDArray[np.float64] = (1 - doubt) * moments.matrix
    mixed[np.diag_indices(size)] += doubt * float(np.mean(np.diag(moments.matrix)))
    return mixed


def _data(product: _Product) -> ir.Value:
    value = product.node.inputs[0]
    assert value is not None  # noqa: S101 - _products has looked
    return value


def _products(graph: ir.Graph) -> list[_Product]:
    """Linear layers and 1x1 convolutions that are not already halves of a factorised one."""
    found = [_Product(one.node, one.output, one.weight, one.bias, -1) for one in layers(graph)]
    found += [p for node in graph if (p := _pointwise(node)) is not None]
    return [p for p in found if not _is_half(p)]


def _pointwise(node: ir.Node) -> _Product | None:
    weight = constant(node.inputs[1]) if is_standard(node, "Conv") else None
    if weight is None or weight.dtype != np.float32 or any(size != 1 for size in weight.shape[2:]):
        return None
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    array = constant(bias)
    if integer(node, "group", 1) != 1 or (bias is not None and array is None) or node.inputs[0] is None:
        return None
    return _Product(node, node.outputs[0], weight.reshape(weight.shape[:2]).T, array, 1)


def _is_half(product: _Product) -> bool:
    """Whether another product follows, or comes before, with nothing between."""
    behind = sole_reader(product.output)
    if product.bias is None and behind is not None and _is_product(behind) and behind.inputs[0] is product.output:
        return True
    before = _data(product).producer()
    return before is not None and _is_product(before) and sole_reader(_data(product)) is product.node


def _is_product(node: ir.Node) -> bool:
    if is_standard(node, "Conv"):
        return len(node.inputs) < 3 and _pointwise(node) is not None
    return is_standard(node, "MatMul", "Gemm") and as_linear(node.outputs[0]) is not None


def _write(editor: Editor, product: _Product, basis: NDArray[Any]) -> None:
    first, second = product.weight.astype(np.float64) @ basis, basis.T
    if not is_standard(product.node, "Conv"):
        narrow = write_linear(editor, _data(product), first, None)
        editor.replace(product.output, write_linear(editor, narrow, second, product.bias))
        return
    ones = [1] * (constant(product.node.inputs[1]).ndim - 2)
    kernel = editor.store(first.T.reshape(*first.T.shape, *ones), np.float32)
    node = ir.Node("", "Conv", [_data(product), kernel], list(product.node.attributes.values()), num_outputs=1,
                   name=editor.fresh())  # fmt: skip
    node.outputs[0].name = editor.fresh()
    editor.graph.append(node)
    wide = editor.store(second.T.reshape(*second.T.shape, *ones), np.float32)
    inputs: list[ir.Value | None] = [node.outputs[0], wide]
    if product.bias is not None:
        inputs.append(editor.store(product.bias, np.float32))
    editor.replace(product.output, editor.node("Conv", inputs))
