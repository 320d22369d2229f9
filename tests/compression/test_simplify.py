"""Simplify keeps the signature, however much of it the model leaves open."""

import onnx
import pytest

from edgewright.compression.contract import Context
from edgewright.compression.passes import make_pass
from edgewright.formats.onnx import from_proto
from edgewright.testing.graphs import zoo


def reshaped(model, inside, outside):
    """``model`` with other sizes written for its inputs' and outputs' axes; None leaves one without a name."""
    proto = onnx.load_from_string(model.data)
    for values, sizes in ((proto.graph.input, inside), (proto.graph.output, outside)):
        for axis, size in zip(values[0].type.tensor_type.shape.dim, sizes, strict=True):
            axis.Clear()
            if isinstance(size, int):
                axis.dim_value = size
            elif size is not None:
                axis.dim_param = size
    del proto.graph.value_info[:]
    return from_proto(proto)


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        (("n", 3, 12, 12), (None, 5)),
        (("n", 3, 12, 12), ("m", None)),
        ((None, 3, "h", "w"), ("batch", 5)),
        ((None, 3, None, None), (None, None)),
        ((4, 3, 12, 12), (None, None)),
        ((4, 3, 12, 12), ("n", 5)),
    ],
)
def test_sizes_left_open_stay_open(inside, outside):
    model = reshaped(zoo()["residual"](), inside, outside)
    result = make_pass({"pass": "simplify"})(model, Context())
    assert (result.status, result.reason) == ("applied", "")
    assert result.model.signature == model.signature
