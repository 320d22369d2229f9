"""A sealed bundle, one served for as long as a module's tests last, and the programs that try what is made."""

import contextlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgewright.bundles import BundleContent, Contract, Variant, record_golden, seal, verify
from edgewright.core.model import Model
from edgewright.core.session import EngineOptions
from edgewright.formats import convert
from edgewright.testing.tiny import seal_tiny, tiny_data, tiny_model

LONG = 120.0


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Takes images, answers named classes; ONNX Runtime."""
    return verify(seal_tiny(tmp_path_factory.mktemp("sealed") / "tiny"))


@pytest.fixture(scope="session")
def openvino(tmp_path_factory):
    """The same model for OpenVINO, as IR, and for ONNX Runtime."""
    model = tiny_model()
    there = (
        Variant("openvino", EngineOptions(), convert(model, "openvino")),
        Variant("onnxruntime", EngineOptions(), model),
    )
    golden = record_golden(there, [{"image": row[None]} for row in tiny_data(16)["image"]], 3)
    content = BundleContent("two-engines", "7", model.digest, there, golden, Contract("host"))
    return seal(content, tmp_path_factory.mktemp("sealed") / "two")


@pytest.fixture(scope="session")
def mixed(tmp_path_factory):
    """Two inputs of other dtypes, with names that are words of every language, and three outputs."""
    return seal(mixed_content(), tmp_path_factory.mktemp("sealed") / "mixed")


def mixed_content():
    model = mixed_model()
    variant = Variant("onnxruntime", EngineOptions(), model)
    calls = [{"class": np.arange(6, dtype=np.int64).reshape(2, 3) - k, "a b": np.full((2, 3), k / 2)} for k in range(3)]
    golden = record_golden([variant], calls, 3)
    return BundleContent("import", "1", model.digest, (variant,), golden, Contract("host"))


def mixed_model() -> Model:
    """``class`` int64 (rows, 3), ``a b`` float64 (rows, 3): their sum, whether it is positive, ``class`` as int32."""
    import onnx
    from onnx import TensorProto, helper

    from edgewright.formats.onnx import from_proto

    nodes = [
        helper.make_node("Cast", ["class"], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("Add", ["wide", "a b"], ["return"]),
        helper.make_node("Constant", [], ["none"], value=helper.make_tensor("z", TensorProto.DOUBLE, [], [0.0])),
        helper.make_node("Greater", ["return", "none"], ["Return"]),
        helper.make_node("Cast", ["class"], ["9"], to=TensorProto.INT32),
    ]
    rows = ["rows", 3]
    put = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "mixed", [put("class", TensorProto.INT64, rows), put("a b", TensorProto.DOUBLE, rows)],
        [
            put("return", TensorProto.DOUBLE, rows), put("Return", TensorProto.BOOL, rows),
            put("9", TensorProto.INT32, rows),
        ],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return from_proto(made)


class Served:
    """``edgewright serve`` of a bundle; ``url`` over TCP, ``unix`` the socket's."""

    def __init__(self, bundle, folder: Path, name: str, *options: str) -> None:
        bundle.write(folder / name)
        (folder / "signer.pub").write_text(bundle.signer.text())
        self.unix = f"unix:{folder}/s.sock"
        command = [
            sys.executable, "-m", "edgewright", "serve", str(folder / name), "--http", "127.0.0.1:0", "--key",
            str(folder / "signer.pub"), "--uds", str(folder / "s.sock"), *options,
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.url = ""
        for line in self.process.stderr:
            if " listening " in line and "http://" in line:
                self.url = line[line.index("http://") :].strip()
            if " listening " in line and "unix:" in line:
                break
        assert self.url, "the server did not come up"

    def close(self):
        self.process.terminate()
        self.process.communicate(timeout=LONG)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """``served(bundle)``: a server of that bundle under its own name, one for each."""
    with contextlib.ExitStack() as stack:
        there = {}

        def serve(bundle, name=""):
            name = name or bundle.content.name
            if (bundle.digest, name) not in there:
                one = Served(bundle, tmp_path_factory.mktemp("served"), name)
                stack.callback(one.close)
                there[bundle.digest, name] = one
            return there[bundle.digest, name]

        yield serve


def ran(command, cwd, **settings):
    """What a program printed; it must end well."""
    import os

    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=10 * LONG, check=False,
        env={**os.environ, **settings}, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout + done.stderr


@pytest.fixture
def run_in():
    return ran


def have(*programs):
    return all(shutil.which(program) for program in programs)
