"""What only the engine finds wrong with a request is the request's fault; what an engine does by itself is not."""

import http.client
import json
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewright import bundles
from edgewright.bundles import BundleContent, Contract, Variant
from edgewright.core.errors import EngineError, UnfitInput
from edgewright.core.session import EngineOptions
from edgewright.engines import open_session
from edgewright.formats import save
from edgewright.formats.onnx import from_proto
from edgewright.runtime.addresses import Address
from edgewright.runtime.config import Config, ModelTable
from edgewright.runtime.faults import BadRequest
from edgewright.runtime.isolation import open_isolated
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.served import Served
from edgewright.runtime.server import Server, serving
from edgewright.testing.build import Build
from edgewright.trust import SigningKey

LONG = 60.0
W = np.ones((4, 4), np.float32)


def graph(op, x, held=None, dtype=TensorProto.FLOAT, out=TensorProto.FLOAT, **attributes):
    """One node; ``held``: its first input where it gathers, else its second."""
    held = [] if held is None else [numpy_helper.from_array(np.asarray(held), "held")]
    names = ["held", "x"] if op == "Gather" else ["x", *(["held"] if held else [])]
    made = helper.make_graph(
        [helper.make_node(op, names, ["y"], **attributes)], "g",
        [helper.make_tensor_value_info("x", dtype, [f"d{axis}" for axis in range(x)])],
        [helper.make_tensor_value_info("y", out, None)], held,
    )  # fmt: skip
    return from_proto(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))


def embedding(rows=10):
    return graph("Gather", 1, np.ones((rows, 4), np.float32), TensorProto.INT64)


def image(channels, side):
    return np.ones((1, channels, side, side), np.float32)


UNFIT = {
    "a token that is none": (embedding(), np.array([99]), "idx=99"),
    "a product of other sizes": (graph("MatMul", 2, W), np.ones((2, 5), np.float32), "dimension"),
    "rows of another length": (graph("Add", 2, W), np.ones((2, 5), np.float32), "roadcast"),
    "another number of elements": (graph("Reshape", 1, [2, 3]), np.ones(5, np.float32), "reshaped"),
    "an image smaller than the kernel": (graph("MaxPool", 4, kernel_shape=[3, 3]), image(3, 1), "dimension"),
    "other channels": (graph("Conv", 4, image(3, 3)), image(4, 5), "channels"),
    "text that is no number": (graph("Cast", 1, dtype=TensorProto.STRING, to=1), np.array(["abc"], object), "sto"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNFIT)
def test_inputs_that_do_not_fit_inside_the_graph(case):
    model, x, says = UNFIT[case]
    with open_session(model) as session, pytest.raises(UnfitInput, match=says) as caught:
        session.infer({"x": x})
    assert str(caught.value).startswith("the model cannot run on these inputs: ") and "/onnx" not in str(caught.value)


def test_want_of_memory_is_the_servers_matter():
    huge = graph("ConstantOfShape", 1, dtype=TensorProto.INT64)
    with open_session(huge) as session, pytest.raises(EngineError, match="llocat") as caught:
        session.infer({"x": np.array([2**44])})
    assert not isinstance(caught.value, UnfitInput)


def test_a_process_of_its_own_tells_the_same():
    with open_isolated(embedding()) as session, pytest.raises(UnfitInput, match="idx=99"):
        session.infer({"x": np.array([99])})


def served(model):
    source = SimpleNamespace(name="m", version="1", digest="d", engine="onnxruntime", options=EngineOptions(),
                             preprocessing=None, postprocessing=None)  # fmt: skip
    return Served(source, open_session(model), ModelTable())


def test_a_version_on_trial_that_knows_fewer_tokens_is_worse_all_the_same():
    new, old = served(embedding(10)), served(embedding(100))
    new.rival = old
    assert new.infer({"x": np.array([99])})["y"].shape == (1, 4) and new.worse == 1
    with pytest.raises(BadRequest, match="idx=999"):
        new.infer({"x": np.array([999])})
    assert new.worse == 1
    new.close()
    old.close()


@pytest.fixture
def place(tmp_path):
    """A server of an embedding, here and in a process of its own, and of files that are no good."""
    models = tmp_path / "models"
    models.mkdir()
    for name, model in {"words": embedding(), "apart": embedding(), "odd": odd()}.items():
        save(model, tmp_path / "made" / name)
        (tmp_path / "made" / name / "model.onnx").rename(models / f"{name}.onnx")
    (models / "cut.onnx").write_bytes(b"no model")
    for name, factor, signer in (("strange", 2, SigningKey.generate()), ("worse", 3, KEY)):
        seal(models / name, factor, signer)
    config = Config(models={"apart": ModelTable(isolated=True)})
    server = Server(Settings(models, [KEY.public], config), [Address(port=0)])
    thread = serving(server)
    yield lambda *asked: ask(server, *asked)
    server.stop()
    thread.join(LONG)
    assert not thread.is_alive()


KEY = SigningKey.generate()


def odd():
    """A graph that no engine opens."""
    return graph("Nonesuch", 2)


def seal(path, factor, signer):
    def times(number):
        build = Build()
        build.output(build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(number))), ["n", 4])
        return build.model()

    right = Variant("onnxruntime", EngineOptions(), times(2))
    golden = bundles.record_golden([right], [{"x": np.ones((1, 4), np.float32)}], count=1)
    made = Variant("onnxruntime", EngineOptions(), times(factor))
    content = BundleContent(path.name, "1", right.model.digest, (made,), golden=golden, contract=Contract("host"))
    bundles.seal(content, path, signer)


def ask(server, target, body=None):
    connection = http.client.HTTPConnection(server.addresses[0].host, server.addresses[0].port, timeout=LONG)
    connection.request("POST", target, json.dumps(body or {}))
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    return answer.status, json.loads(raw)["error"] if raw and answer.status != 200 else ""


@pytest.mark.parametrize("name", ["words", "apart"])
def test_whoever_asks_for_it_is_told_400(place, name):
    for token, wanted in ((9, 200), (99, 400), (9, 200)):
        status, said = place(
            f"/v2/models/{name}/infer",
            {"inputs": [{"name": "x", "datatype": "INT64", "shape": [1], "data": [token]}]},
        )
        assert status == wanted, said
        assert ("cannot run on these inputs" in said) is (wanted == 400)


@pytest.mark.parametrize(
    ("name", "says"),
    [("cut", "not a whole ONNX file"), ("strange", "trust"), ("worse", "golden calls"), ("odd", "Nonesuch")],
)
def test_files_that_cannot_be_served_are_400_whatever_is_wrong_with_them(place, name, says):
    status, said = place(f"/v2/repository/models/{name}/load")
    assert status == 400 and says in said, said
