"""A model with an open batch is compiled for one sample, and answers any number."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from itertools import pairwise

import numpy as np
import pytest

from edgewright.compression.contract import Context
from edgewright.compression.passes import make_pass
from edgewright.core.errors import UnfitInput
from edgewright.core.model import Model
from edgewright.engines import open_session
from edgewright.measurement.conditions import session_conditions
from edgewright.testing.build import Build, Drawn


def two_batches() -> Model:
    build = Build()
    x, y = build.input("x", ["n", 3, "h", 4]), build.input("y", ["m", 1, 1, 4])
    build.output(build.node("Add", x, y), None)
    return build.model()


def pairs() -> Model:
    """Open by its signature, yet its graph holds a batch of two."""
    build = Build()
    x = build.input("x", ["n", 4])
    build.output(build.reshape(x, [2, 4]), None)
    return build.model()


def test_any_number_of_samples_in_any_order():
    generator = np.random.default_rng(0)
    with open_session(two_batches(), "openvino") as session:
        for n, m, height in ((1, 1, 5), (2, 1, 5), (1, 1, 2), (1, 7, 2), (2, 2, 9), (1, 1, 5)):
            x = generator.normal(size=(n, 3, height, 4)).astype(np.float32)
            y = generator.normal(size=(m, 1, 1, 4)).astype(np.float32)
            (out,) = session.infer({"x": x, "y": y}).values()
            np.testing.assert_array_equal(out, x + y)


def test_one_sample_runs_a_graph_without_open_sizes():
    build = Build()
    build.output(build.node("Relu", build.input("x", ["n", 4])), None)
    with open_session(build.model(), "openvino") as session:
        session.infer({"x": np.ones((1, 4), np.float32)})
        session.infer({"x": np.ones((3, 4), np.float32)})
        shapes = [port.partial_shape for port in session.request.get_compiled_model().inputs]
        assert [str(shape) for shape in shapes] == ["[1,4]"]


def test_a_graph_that_holds_another_batch_still_opens():
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    with open_session(pairs(), "openvino") as session:
        (out,) = session.infer({"x": x}).values()
        np.testing.assert_array_equal(out, x)
        told = "it is compiled for any number of samples, as it cannot be for one: "
        assert session.note.startswith(told) and len(session.note) > len(told)
        assert session_conditions(session)["note"] == session.note
    with open_session(two_batches(), "openvino") as session:
        assert session.note == "" and "note" not in session_conditions(session)


@pytest.mark.parametrize("sizes", [(8, 16, 4), (13, 7, 3), (64, 64, 10), (8, 64, 64, 4), (256, 100, 10), (30, 20)])
@pytest.mark.parametrize("activations", ["u8", "s8_symmetric"])
def test_integer_products_answer_one_sample_as_they_do_several(sizes: tuple[int, ...], activations: str):
    build = Build(seed=1)
    value = build.input("x", ["n", sizes[0]])
    for rows, columns in pairwise(sizes):
        value = build.node("Relu", build.node("MatMul", value, build.weight(rows, columns)))
    build.output(value, ["n", sizes[-1]])
    samples = Drawn(build.model(), count=64)
    made = make_pass({"pass": "int8_static", "activations": activations})(build.model(), Context(samples))
    (inputs,) = samples.batches(64)
    with open_session(made.model, "openvino") as session:
        (together,) = session.infer(inputs).values()
        alone = [next(iter(session.infer({"x": inputs["x"][i : i + 1]}).values())) for i in range(16)]
    np.testing.assert_allclose(np.concatenate(alone), together[:16], atol=0.05 * np.abs(together).max())


def test_a_closed_session_compiles_nothing_more():
    session = open_session(two_batches(), "openvino")
    session.close()
    with pytest.raises(Exception, match="the session is closed"):
        session.infer({"x": np.ones((2, 3, 1, 4), np.float32), "y": np.ones((1, 1, 1, 4), np.float32)})


def test_one_call_at_a_time_however_many_threads_ask():
    build = Build()
    build.output(build.node("Relu", build.input("x", ["n", 4])), None)
    with open_session(build.model(), "openvino") as session:
        request, inside, twice, first = session.request, [], threading.Event(), threading.Event()

        class Watched:
            get_output_tensor = staticmethod(request.get_output_tensor)

            def infer(self, *arguments, **options):
                inside.append(1)
                if len(inside) > 1:
                    twice.set()
                first.set()
                twice.wait(0.2)
                request.infer(*arguments, **options)
                inside.pop()

        session.request = Watched()
        x = {"x": np.ones((1, 4), np.float32)}
        other = threading.Thread(target=session.infer, args=(x,))
        other.start()
        assert first.wait(60.0)
        session.infer(x)
        other.join()
        assert not twice.is_set()


@pytest.mark.parametrize(("first", "second"), [((1, 3), (1, 2)), ((2, 3), (3, 3)), ((2, 3), (2, 4))])
def test_sizes_that_do_not_go_together_are_refused_and_never_run(first, second):
    """OpenVINO runs them, and reads past the end of the smaller one."""
    build = Build()
    total = build.node("Add", build.input("a", ["n", "k"]), build.input("b", ["m", "l"]))
    build.output(total, ["n", "k"])
    session = open_session(build.model(), "openvino")
    good, wrong = ({name: np.ones(shape, np.float32) for name, shape in (("a", one), ("b", two))}
                   for one, two in ((first, first), (first, second)))  # fmt: skip
    for _ in range(2):  # a refusal is not forgotten
        (found,) = session.infer(good).values()
        np.testing.assert_array_equal(found, 2 * np.ones(first))
        with pytest.raises(UnfitInput, match="of these sizes"):
            session.infer(wrong)
        with pytest.raises(UnfitInput, match="of these sizes"):
            session.infer(wrong)


def test_one_open_size_that_does_not_go_with_the_weights_is_refused():
    build = Build()
    build.output(build.node("Add", build.input("a", ["n"]), build.constant(np.ones(3, np.float32))), ["n"])
    session = open_session(build.model(), "openvino")
    assert session.infer({"a": np.ones(3, np.float32)})
    with pytest.raises(UnfitInput):
        session.infer({"a": np.ones(2, np.float32)})


def test_nothing_is_told_to_its_makers(tmp_path):
    """Importing it sends an event and leaves an id in the home, where it is asked as it comes."""
    code = "from edgewright.engines import engine; engine('openvino').version(); import sys; print(sys.modules.keys())"
    told = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "HOME": str(tmp_path), "CI": ""}, capture_output=True,
        text=True, check=True,
    ).stdout  # fmt: skip
    assert "'openvino'" in told and "openvino_telemetry." not in told
    assert not list(tmp_path.iterdir())
