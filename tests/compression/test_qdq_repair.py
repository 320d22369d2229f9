"""QDQ repair: each fault other tools leave, mended; and what must not be touched."""

import numpy as np
import onnx
import pytest

from edgewright.compression.contract import Context, agreement_db, probe
from edgewright.compression.passes.qdq_repair import QdqRepair
from edgewright.formats.onnx import from_proto
from edgewright.testing.graphs import Build, Drawn, initializer_arrays, op_types, zoo
from edgewright.testing.passes import check_pass

F = np.float32
THREE, NONE = np.int8(3), np.int8(0)


class Quantized(Build):
    """Writes QuantizeLinear and DequantizeLinear the way a tool of choice does."""

    def pair(self, x, scale=0.05, zero=THREE, axis=None, split=False):
        """A pair, or with ``split`` the value between and a function that ends it."""
        s, z = self.constant(scale, "scale", F), self.constant(zero, "zero")
        extra = {} if axis is None else {"axis": axis}
        q = self.node("QuantizeLinear", x, s, z, **extra)
        if split:
            return q, lambda y: self.node("DequantizeLinear", y, s, z, **extra)
        return self.node("DequantizeLinear", q, s, z, **extra)

    def stored(self, weight, scale, zero=NONE, dtype=np.int8, **attributes):
        """A weight stored as integers."""
        shape = [-1 if i == attributes.get("axis") else 1 for i in range(weight.ndim)]
        steps = np.reshape(scale, shape) if np.ndim(scale) else scale
        q = np.clip(np.rint(weight / steps) + zero, np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)
        zeros = np.full(np.shape(scale), zero, dtype)
        return self.node("DequantizeLinear", self.constant(q), self.constant(scale, "s", F), self.constant(zeros),
                         **attributes)  # fmt: skip


def convolution(write, opset=13, out=("batch", 4, 6, 6)):
    b = Quantized(opset, seed=2)
    x = b.input("x", ["batch", 4, 6, 6])
    b.output(write(b, x), out)
    return b.model()


def kernel(b):
    return b.rng.standard_normal((4, 4, 3, 3)) / 6


def mended(model, **options):
    return check_pass(QdqRepair(**options), model, Context(calibration=Drawn(model, 6)))


def signed(b, x):
    """An int8 convolution as ONNX Runtime's quantizer writes it by default."""
    w = b.stored(kernel(b), 0.01)
    bias = b.node("DequantizeLinear", b.constant(np.arange(4, dtype=np.int32) * 50), b.constant(0.05 * 0.01, "s", F))
    return b.pair(b.node("Conv", b.pair(x), w, bias, pads=[1] * 4), 0.1, np.int8(-5))


def test_signed_activations_become_unsigned_and_every_bit_stays():
    result = mended(convolution(signed))
    assert result.facts["mended"] == {"activations_unsigned": 2} and result.facts["sqnr_db"] == 200.0
    zeros = [a for a in initializer_arrays(result.model).values() if a.dtype == np.uint8]
    assert sorted(int(a) for a in zeros) == [123, 131]


def test_on_request_activations_stay_signed():
    assert mended(convolution(signed), unsigned=False).status == "unchanged"


@pytest.mark.parametrize(
    "carry",
    [
        lambda b, q: b.node("Transpose", q, perm=[0, 1, 3, 2]),
        lambda b, q: b.reshape(q, [0, 4, 6, 6]),
        lambda b, q: b.node("MaxPool", q, kernel_shape=[3, 3], pads=[1] * 4),
        lambda b, q: b.node("Concat", *b.split(q, [2, 2], 1), axis=1),
    ],
)
def test_integers_that_are_carried_about_turn_with_their_ends(carry):
    def write(b, x):
        q, end = b.pair(x, split=True)
        return b.node("Relu", end(carry(b, q)))

    result = mended(convolution(write))
    assert result.facts["mended"] == {"activations_unsigned": 1} and result.facts["sqnr_db"] == 200.0


@pytest.mark.parametrize(
    "read",
    [
        lambda b, q, end: b.node("Cast", q, to=onnx.TensorProto.FLOAT),  # reads the integers themselves
        lambda b, q, end: end(b.node("Pad", q, b.constant([0, 0, 1, 1, 0, 0, 0, 0], "p", np.int64))),  # pads with 0
        lambda b, q, end: end(b.node("Concat", q, b.constant(np.ones((1, 4, 6, 6), np.int8)), axis=0)),
    ],
)
def test_integers_that_mean_something_else_stay(read):
    model = convolution(lambda b, x: read(b, *b.pair(x, split=True)), out=None)
    assert mended(model).status == "unchanged"


def test_an_integer_output_stays():
    b = Quantized(13)
    q, _ = b.pair(b.input("x", [1, 4]), split=True)
    b.outputs.append(onnx.helper.make_tensor_value_info(q, onnx.TensorProto.INT8, [1, 4]))
    assert mended(b.model()).status == "unchanged"


@pytest.mark.parametrize("zeros", [np.zeros(4, np.int8), np.array([3, -4, 20, -12], np.int8)])
def test_activations_quantized_per_channel_get_one_scale(zeros):
    """As NNCF writes the inputs of depthwise convolutions."""

    def write(b, x):
        data = b.pair(x, [0.04, 0.05, 0.045, 0.04], zeros, axis=1)
        return b.node("Conv", data, b.stored(kernel(b), 0.01), pads=[1] * 4)

    result = mended(convolution(write))
    assert result.facts["mended"]["activations_per_tensor"] == 1 and result.facts["sqnr_db"] > 30
    proto = onnx.load_model_from_string(result.model.data)
    scale = next(n.input[1] for n in proto.graph.node if n.op_type == "QuantizeLinear")
    assert initializer_arrays(result.model)[scale].shape == ()


@pytest.mark.parametrize("axis", [None, 0])
def test_weights_stored_as_float_behind_a_pair_become_integers(axis):
    """As NNCF and Quantization-aware training leave them."""

    def write(b, x):
        w = b.constant(kernel(b), "w", F)
        scale, zero = (0.01, np.int8(0)) if axis is None else (b.rng.uniform(0.005, 0.01, 4), np.zeros(4, np.int8))
        return b.node("Conv", b.pair(x, zero=np.uint8(120)), b.pair(w, scale, zero, axis=axis), pads=[1] * 4)

    model = convolution(write)
    result = mended(model)
    assert result.facts["mended"] == {"weights_stored": 1} and result.facts["sqnr_db"] == 200.0
    assert result.model.size_bytes < model.size_bytes - 3 * 4 * 4 * 9 + 200
    assert op_types(result.model).count("QuantizeLinear") == 1


def test_a_pair_behind_an_equal_pair_goes_and_one_behind_another_stays():
    def write(b, x):
        y = b.pair(b.pair(x, 0.05, np.uint8(9)), 0.05, np.uint8(9))
        return b.pair(b.node("Relu", y), 0.06, np.uint8(9))

    result = mended(convolution(write))
    assert op_types(result.model).count("QuantizeLinear") == 2 and result.facts["sqnr_db"] == 200.0


def test_one_value_is_quantized_once():
    def write(b, x):
        y = b.node("Relu", x)
        return b.node("Add", *(b.pair(y, 0.05, np.uint8(1)) for _ in range(2)))

    result = mended(convolution(write))
    assert result.facts["mended"] == {"pairs_removed": 1}


def test_unsigned_weights_become_signed():
    def write(b, x):
        w = b.stored(kernel(b), 0.01, np.uint8(128), np.uint8)
        return b.node("Conv", b.pair(x, zero=np.uint8(7)), w, pads=[1] * 4)

    result = mended(convolution(write))
    assert result.facts["mended"] == {"weights_signed": 1} and result.facts["sqnr_db"] == 200.0


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("opset", [12, 13])
def test_a_float_bias_becomes_int32_at_the_products_scale(per_channel, opset):
    def write(b, x):
        scale = np.array([0.01, 0.02, 0.005, 0.01]) if per_channel and opset > 12 else 0.01
        w = b.stored(kernel(b), scale, **({"axis": 0} if np.ndim(scale) else {}))
        return b.node("Conv", b.pair(x, zero=np.uint8(7)), w, b.weight(4), pads=[1] * 4)

    result = mended(convolution(write, opset))
    assert result.facts["mended"] == {"biases": 1} and result.facts["sqnr_db"] > 50
    assert any(a.dtype == np.int32 for a in initializer_arrays(result.model).values())


def test_a_bias_that_would_overflow_stays_float():
    def write(b, x):
        w = b.stored(kernel(b) * 1e-9, 1e-11)
        return b.node("Conv", b.pair(x, zero=np.uint8(7)), w, b.weight(4, gain=9.0), pads=[1] * 4)

    assert mended(convolution(write)).status == "unchanged"


@pytest.mark.parametrize("graph", ["residual", "mlp", "lstm"])
def test_a_float_model_has_nothing_to_mend(graph):
    assert mended(zoo()[graph]()).status == "unchanged"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("graph", ["residual", "depthwise", "squeeze_excite"])
@pytest.mark.parametrize("per_channel", [False, True])
def test_what_onnx_runtime_s_quantizer_writes_by_default(graph, per_channel, tmp_path):
    quantization = pytest.importorskip("onnxruntime.quantization")
    from edgewright.compression.passes.fuse import Fuse

    model = Fuse()(zoo()[graph](), Context()).model

    class Reader(quantization.CalibrationDataReader):
        rows = iter(list(Drawn(model, 8).batches(1)))

        def get_next(self):
            return next(self.rows, None)

    (tmp_path / "float.onnx").write_bytes(model.data)
    quantization.quantize_static(
        str(tmp_path / "float.onnx"), str(tmp_path / "int8.onnx"), Reader(), per_channel=per_channel
    )
    theirs = from_proto(onnx.load(tmp_path / "int8.onnx"))
    result = mended(theirs)
    assert list(result.facts["mended"]) == ["activations_unsigned"]
    assert agreement_db(theirs, result.model, probe(theirs, Context(calibration=Drawn(theirs, 8)))) == np.inf
    stored = {a.dtype.name for a in initializer_arrays(result.model).values() if a.ndim == 4}
    assert stored == {"int8"}
