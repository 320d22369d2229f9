"""Every registered pass, over the zoo and over drawn graphs, held to the shared contract."""

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from edgewright.compression.contract import Context, Pass, PassResult
from edgewright.compression.passes import PASSES, make_pass, step_of
from edgewright.core.errors import InputError, Refused
from edgewright.core.model import Model
from edgewright.testing.graphs import Build, Drawn, models, zoo
from edgewright.testing.passes import check_pass

NAMES = list(PASSES)
bounded = settings(
    max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def context(model: Model, samples: int = 16) -> Context:
    return Context(calibration=Drawn(model, samples))


@pytest.mark.parametrize("graph", zoo())
@pytest.mark.parametrize("name", NAMES)
def test_every_pass_keeps_the_contract_on_every_graph_of_the_zoo(name, graph):
    model = zoo()[graph]()
    check_pass(make_pass({"pass": name}), model, context(model))


@pytest.mark.parametrize("name", NAMES)
def test_every_pass_keeps_the_contract_on_drawn_graphs(name):
    a_pass = make_pass({"pass": name})

    @bounded
    @given(models())
    def holds(drawn):
        model, _ = drawn
        check_pass(a_pass, model, context(model, 6))

    holds()


@pytest.mark.parametrize("name", NAMES)
def test_without_samples_a_pass_refuses_or_manages(name):
    a_pass = make_pass({"pass": name})
    result = check_pass(a_pass, zoo()["residual"](), Context())
    if type(a_pass).needs_data and name not in ("int4_weights", "low_rank"):  # these are only better with samples
        assert result.status == "refused" and "calibration" in result.reason


@pytest.mark.parametrize("name", NAMES)
def test_another_format_is_refused(name):
    model = Model("openvino", "model.xml", {"model.xml": b"<net/>"}, zoo()["mlp"]().signature)
    result = make_pass({"pass": name})(model, Context())
    assert (result.status, result.model) == ("refused", model)


@pytest.mark.parametrize("name", NAMES)
def test_the_default_step_survives_json(name):
    a_pass = make_pass({"pass": name})
    assert make_pass(step_of(a_pass)) == a_pass


# The suite itself must catch what it promises to catch.


@dataclasses.dataclass(frozen=True)
class Wrong(Pass):
    """Breaks one clause, by name."""

    name = "wrong"
    tolerance_db = 60.0
    clause: str = ""

    def rewrite(self, model, context):
        import onnx

        from edgewright.core.model import Step
        from edgewright.formats.onnx import from_proto

        proto = onnx.load_model_from_string(model.data)
        step = Step(self.name, {}, model.digest)
        if self.clause == "dead node":
            proto.graph.node.append(onnx.helper.make_node("Relu", [proto.graph.input[0].name], ["unread"]))
        elif self.clause == "dead initialiser":
            proto.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(3), "unread"))
        elif self.clause == "twins":
            for node in proto.graph.node:
                if node.op_type == "Gemm":
                    twin = onnx.TensorProto()
                    twin.CopyFrom(next(t for t in proto.graph.initializer if t.name == node.input[1]))
                    twin.name = node.input[0] = "twin"
                    proto.graph.initializer.append(twin)
        elif self.clause == "unused opset":
            proto.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
        elif self.clause == "stale shape":
            proto.graph.value_info.append(
                onnx.helper.make_tensor_value_info(proto.graph.node[0].output[0], onnx.TensorProto.FLOAT, [9, 9, 9, 9])
            )
        elif self.clause == "ghost":
            proto.graph.value_info.append(onnx.helper.make_tensor_value_info("gone", onnx.TensorProto.FLOAT, [1]))
        elif self.clause == "lineage":
            step = Step(self.name, {}, "somebody else's")
            proto.doc_string = "other"
        elif self.clause == "random":
            proto.doc_string = str(np.random.default_rng().random())
        elif self.clause == "restless":
            proto.doc_string += "x"
        elif self.clause == "silent":
            raise Refused("")
        return PassResult("applied", from_proto(proto, (*model.lineage, step)))


CLAUSES = {
    "dead node": "is dead",
    "dead initialiser": "is dead",
    "unused opset": "imported for nothing",
    "stale shape": "stale shape",
    "ghost": "which is gone",
    "lineage": "lineage",
    "random": "another result",
    "restless": "changes the result again",
    "silent": "says why",
}


@pytest.mark.parametrize("clause", CLAUSES)
def test_the_suite_catches_a_pass_that_breaks_a_clause(clause):
    with pytest.raises(AssertionError, match=CLAUSES[clause]):
        check_pass(Wrong(clause), zoo()["residual"]())


def test_the_suite_catches_the_same_constant_stored_twice():
    b = Build(13)
    x = b.input("x", ["batch", 4])
    same = np.eye(4, dtype=np.float32)
    y = b.node("MatMul", b.node("MatMul", x, b.constant(same)), b.constant(same))
    b.output(y, ["batch", 4])

    @dataclasses.dataclass(frozen=True)
    class Renames(Wrong):
        pass

    with pytest.raises(AssertionError, match="are the same"):
        check_pass(Renames("restless"), b.model())


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ({"pass": "nonsense"}, "no pass is named 'nonsense'"),
        ({"name": "fuse"}, 'name the pass under the key "pass"'),
        ([], "a step is an object"),
        ({"pass": 3}, 'name the pass under the key "pass"'),
        ({"pass": "fuse", "speed": 2}, "has no option 'speed'"),
        ({"pass": "fuse", "contrib": "yes"}, "must be true or false"),
        ({"pass": "int4_weights", "block": "32"}, "must be one of"),
        ({"pass": "int4_weights", "block": 33}, "must be one of"),
        ({"pass": "low_rank", "energy": True}, "must be"),
        ({"pass": "low_rank", "energy": float("nan")}, "must be"),
    ],
)
def test_a_bad_step_is_told_in_one_line(step, says):
    with pytest.raises(InputError, match=says) as caught:
        make_pass(step)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "names",
    [["strip", "fp16", "strip"], ["fp16", "simplify"], ["fuse", "int8_dynamic", "strip"], ["strip", "low_rank", "fp16"],
     ["fuse", "low_rank", "int4_weights", "strip"], ["int8_static", "qdq_repair", "fuse", "strip"]],
)  # fmt: skip
@pytest.mark.parametrize("graph", ["residual", "attention", "mlp", "several"])
def test_passes_follow_one_another(names, graph):
    model = zoo()[graph]()
    for name in names:
        options = {"smallest": 1} if name in ("int8_dynamic", "int4_weights", "low_rank") else {}
        model = check_pass(make_pass({"pass": name, **options}), model, context(model)).model
