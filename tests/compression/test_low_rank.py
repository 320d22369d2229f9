"""Low rank: what it finds, what it keeps, and that it only ever saves multiplications."""

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings

from edgewright.compression.contract import Context
from edgewright.compression.passes import make_pass
from edgewright.compression.passes.low_rank import LowRank
from edgewright.core.errors import InputError
from edgewright.testing.graphs import Build, Drawn, initializer_arrays, models, op_types, zoo
from edgewright.testing.passes import check_pass

F = np.float32


def factorised(model, samples=256, **options):
    context = Context(calibration=Drawn(model, samples)) if samples else Context()
    return check_pass(LowRank(**{"smallest": 1, **options}), model, context)


def thin(b, inside, outside, rank, noise=0.0):
    """A weight of the given rank, (inside, outside)."""
    w = b.rng.standard_normal((inside, rank)) @ b.rng.standard_normal((rank, outside)) / inside
    return w + noise * b.rng.standard_normal((inside, outside)) / inside


def network(write, shape=("batch", 64), out=None):
    b = Build(17, seed=5)
    b.output(write(b, b.input("x", shape)), out)
    return b.model()


def macs(model):
    return sum(a.size for a in initializer_arrays(model).values() if a.ndim > 1)


@pytest.mark.parametrize("spelling", ["MatMul", "Gemm", "Gemm transposed"])
@pytest.mark.parametrize("samples", [0, 256])
def test_a_product_of_low_rank_becomes_two_narrow_ones(spelling, samples):
    def write(b, x):
        w = thin(b, 64, 48, 8)
        if spelling == "MatMul":
            return b.node("Add", b.node("MatMul", x, b.constant(w, "w", F)), b.weight(48))
        turned = spelling == "Gemm transposed"
        return b.node("Gemm", x, b.constant(w.T if turned else w, "w", F), b.weight(48), transB=int(turned))

    result = factorised(network(write), samples)
    assert op_types(result.model) == ["MatMul", "MatMul", "Add"]
    assert {(64, 8), (8, 48)} <= {a.shape for a in initializer_arrays(result.model).values()}
    assert result.facts["sqnr_db"] > 80


@pytest.mark.parametrize("attributes", [{}, {"strides": [2, 2]}, {"pads": [1, 1, 1, 1]}, {"kernel_shape": [1, 1]}])
@pytest.mark.parametrize("bias", [True, False])
def test_a_1x1_convolution_keeps_its_stride_and_padding(attributes, bias):
    def write(b, x):
        w = b.constant(thin(b, 32, 48, 8).T.reshape(48, 32, 1, 1), "w", F)
        return b.node("Conv", x, w, *([b.weight(48)] if bias else []), **attributes)

    result = factorised(network(write, ("batch", 32, 6, 6)))
    assert op_types(result.model) == ["Conv", "Conv"] and result.facts["sqnr_db"] > 80


def test_the_components_are_those_the_samples_show():
    """Half the inputs never vary: the weights behind them need no rank."""

    def write(b, x):
        w = b.rng.standard_normal((64, 48)) / 8
        masked = b.node("Mul", x, b.constant(np.r_[np.ones(8), np.full(56, 1e-3)], "m", F))
        return b.node("MatMul", masked, b.constant(w, "w", F))

    model = network(write)
    assert factorised(model, samples=0, energy=0.98).status == "refused"
    assert list(factorised(model, samples=512, energy=0.8).facts["ranks"].values()) == [8]


def test_a_share_of_the_multiplications_is_kept_to():
    def write(b, x):
        return b.node("MatMul", x, b.constant(thin(b, 64, 64, 12, noise=0.05), "w", F))

    model = network(write)
    for share in (0.8, 0.5):
        result = factorised(model, macs=share)
        assert result.status == "applied" and macs(result.model) <= share * macs(model)


def test_few_samples_are_not_trusted_with_many_inputs():
    def write(b, x):
        return b.node("MatMul", x, b.weight(64, 64))

    assert factorised(network(write), samples=8).status == "refused"


@pytest.mark.parametrize(
    ("write", "shape"),
    [
        (lambda b, x: b.node("MatMul", x, b.weight(64, 64)), ("batch", 64)),  # full rank
        (lambda b, x: b.node("Conv", x, b.weight(32, 8, 3, 3)), ("batch", 8, 6, 6)),  # no 1x1
        (lambda b, x: b.node("Conv", x, b.weight(32, 1, 1, 1), group=8), ("batch", 8, 6, 6)),
        (lambda b, x: b.node("Relu", x), ("batch", 64)),
        (lambda b, x: b.node("MatMul", x, b.node("Transpose", x, perm=[1, 0])), ("batch", 64)),
    ],
)
def test_it_declines_with_a_reason(write, shape):
    result = factorised(network(write, shape))
    assert result.status == "refused" and "fewer multiplications" in result.reason


def test_what_is_factorised_already_stays():
    def write(b, x):
        narrow = b.node("MatMul", x, b.constant(thin(b, 64, 32, 4), "w", F))
        return b.node("MatMul", narrow, b.constant(thin(b, 32, 64, 4), "w", F))

    assert factorised(network(write)).status == "refused"


def test_small_and_named_layers_stay():
    def write(b, x):
        return b.node("MatMul", x, b.constant(thin(b, 64, 48, 8), "w", F))

    model = network(write)
    assert factorised(model, smallest=64 * 48 + 1).status == "refused"
    assert factorised(model, skip=(onnx.load_model_from_string(model.data).graph.node[0].name,)).status == "refused"


@pytest.mark.parametrize("options", [{"energy": 0.0}, {"energy": 1.5}, {"macs": 0.0}, {"macs": 0.95}])
def test_options_out_of_range_are_refused_when_made(options):
    with pytest.raises(InputError, match="between 0 and"):
        make_pass({"pass": "low_rank", **options})


def test_depthwise_networks_have_pointwise_layers_to_offer():
    result = factorised(zoo()["depthwise"](), energy=0.8)
    assert result.status in ("applied", "refused")
    assert macs(result.model) <= macs(zoo()["depthwise"]())


@settings(max_examples=30, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(models())
def test_drawn_graphs(drawn):
    factorised(drawn[0], samples=8, energy=0.9)
