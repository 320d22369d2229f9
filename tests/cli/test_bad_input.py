"""Bad input gets one line that says what and what to do, status 2, and leaves nothing behind."""

import json
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgewright.testing.tiny import QUICK, tiny_data, tiny_model

F = TensorProto.FLOAT


def graph(nodes, shape=("batch", 3, 12, 12), out=("batch", 4), held=(), opsets=(("", 17),), **more):
    made = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("image", more.pop("dtype", F), shape)],
        [helper.make_tensor_value_info("y", F, out)], list(held),
    )  # fmt: skip
    return helper.make_model(
        made, opset_imports=[helper.make_opsetid(*o) for o in opsets], ir_version=8
    ).SerializeToString()


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs, **attributes)


WHOLE = tiny_model().data
NOISE = np.random.default_rng(0).bytes(5000)
POOL = node("GlobalAveragePool", ["image"], ["p"])
FLAT = node("Flatten", ["p"], ["y"])


def external():
    model = onnx.load_from_string(WHOLE)
    for tensor in model.graph.initializer:
        onnx.external_data_helper.set_external_data(tensor, "weights.bin")
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
    return model.SerializeToString()


def claims_too_much():
    model = onnx.load_from_string(WHOLE)
    model.graph.initializer[0].dims[:] = [2**40, 2**20]
    return model.SerializeToString()


MODELS = {
    "empty": (b"", "is empty"),
    "a cut file": (WHOLE[: len(WHOLE) // 2], "export it again|Error|not a whole"),
    "a cut tail": (WHOLE[:-7], "export it again|not a whole"),
    "noise": (NOISE, "not a whole ONNX file"),
    "text": (b"hello, world\n" * 50, "not a whole ONNX file"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + NOISE, "not a whole ONNX file"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
    "a cycle": (
        graph([node("Add", ["image", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Flatten", ["b"], ["y"])]),
        "cycle|circle|depends on"),
    "a missing initialiser": (
        graph([node("Conv", ["image", "nowhere"], ["c"]), node("Flatten", ["c"], ["y"])]), "nowhere"),
    "an unknown operator": (graph([node("Frobnicate", ["image"], ["y"])]), "Frobnicate"),
    "a custom domain": (
        graph([helper.make_node("Magic", ["image"], ["y"], domain="com.acme")], opsets=(("", 17), ("com.acme", 1))),
        "com.acme"),
    "an opset of the future": (graph([POOL, FLAT], opsets=(("", 999),)), "opset|999"),
    "a zero dimension": (graph([POOL, FLAT], shape=("batch", 3, 0, 12)), "image"),
    "no graph": (onnx.ModelProto(ir_version=8).SerializeToString(), "holds no graph"),
    "weights elsewhere": (external(), "weights.bin"),
    "weights that are not there in full": (claims_too_much(), "does not hold them"),
    "an output nobody makes": (graph([POOL]), "nothing makes 'y'"),
    "two nodes of one output": (graph([POOL, FLAT, node("Flatten", ["p"], ["y"])]), "y"),
}  # fmt: skip


def optimize(*more, model="model.onnx", data="data.npz"):
    return ["optimize", model, "--data", data, *QUICK, "-o", "out", *more]


@pytest.fixture
def refused(bench, fails):
    """Nothing but the two files was there, nothing but what the test put there is left."""

    def here():
        return sorted(p.name for p in bench.iterdir() if p.name != "__pycache__")  # Python's, beside modules it loads

    def run(*arguments, says, status=2):
        before = here()
        found, line = fails(*arguments)
        assert found == status, line
        assert any(s in line for s in says.split("|")), line
        assert here() == before
        return line

    return run


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_cannot_be_used(bench, refused, name):
    data, says = MODELS[name]
    (bench / "model.onnx").write_bytes(data)
    assert "model.onnx" in refused(*optimize(), says=says)


def test_a_model_that_is_no_file(bench, refused):
    (bench / "loop.onnx").symlink_to("loop.onnx")
    os.mkfifo(bench / "pipe.onnx")
    with (bench / "huge.onnx").open("wb") as stream:
        stream.truncate(2**31 + 5)
    (bench / "folder.onnx").mkdir()
    for name, says in (
        ("none.onnx", "there is no model file at none.onnx"),
        ("folder.onnx", "there is no model file at folder.onnx but a folder"),
        ("loop.onnx", "loop.onnx"),
        ("pipe.onnx", "there is no model file at pipe.onnx"),
        ("huge.onnx", "2 GiB"),
        ("a" * 300 + ".onnx", "name"),
        ("nul\0l.onnx", "nul"),
        ("data.npz", "is in no format Edgewright reads"),
        ("", "there is no model file"),
    ):
        refused(*optimize(model=name), says=says)


@pytest.mark.parametrize("suffix", [".pt2", ".skops", ".ort", ".xml", ".pkl", ".h5", ".tflite"])
def test_noise_by_any_other_name(bench, refused, suffix):
    (bench / f"model{suffix}").write_bytes(NOISE)
    refused(*optimize(model=f"model{suffix}"), says=f"model{suffix}")


def arrays(**changed):
    made = tiny_data()
    for name, value in changed.items():
        made[name] = value(made) if callable(value) else value
    return {k: v for k, v in made.items() if v is not None}


def nan(made, count=1):
    image = made["image"].copy()
    image[:count, 0, 0, 0] = np.nan
    return image


DATA = {
    "no such input": (lambda: {"picture": tiny_data()["image"], "labels": tiny_data()["labels"]}, "'image'"),
    "another shape": (lambda: arrays(image=lambda a: a["image"][:, :, :5]), "12"),
    "another rank": (lambda: arrays(image=lambda a: a["image"].reshape(96, -1)), "image"),
    "text": (lambda: arrays(image=np.full((96, 3, 12, 12), "x")), "image"),
    "complex numbers": (lambda: arrays(image=lambda a: a["image"].astype(np.complex64)), "image"),
    "objects": (lambda: arrays(labels=np.array([{}] * 96, object)), "objects"),
    "NaN": (lambda: arrays(image=nan), "NaN"),
    "infinity": (lambda: arrays(image=lambda a: np.full_like(a["image"], np.inf)), "infinity"),
    "no samples": (lambda: {k: v[:0] for k, v in tiny_data().items()}, "no samples"),
    "too few samples": (lambda: {k: v[:7] for k, v in tiny_data().items()}, "at least 16"),
    "one sample again and again": (
        lambda: arrays(image=lambda a: np.repeat(a["image"][:1], 96, axis=0)), "distinct"),
    "more labels than samples": (lambda: arrays(labels=np.zeros(97, np.int64)), "97 labels"),
    "fewer labels than samples": (lambda: arrays(labels=np.zeros(95, np.int64)), "95 labels"),
    "one class": (lambda: arrays(labels=np.zeros(96, np.int64)), "all labels are class 0"),
    "labels of no output": (lambda: arrays(labels=np.linspace(0, 1, 96)), "do not go with the outputs"),
    "labels beyond the classes": (lambda: arrays(labels=np.full(96, 77)), "77"),
    "labels below zero": (lambda: arrays(labels=np.full(96, -3)), "-3|negative"),
    "labels that are NaN": (lambda: arrays(labels=np.full(96, np.nan)), "NaN"),
    "a single number": (lambda: arrays(image=np.float32(3)), "single value"),
    "nothing": (dict, "image"),
}  # fmt: skip


@pytest.mark.parametrize("name", DATA)
def test_data_that_cannot_be_used(bench, refused, name):
    make, says = DATA[name]
    np.savez(bench / "data.npz", **make())
    refused(*optimize(), says=says)


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "is empty"), (NOISE, "no .npz"), (b"PK\x03\x04" + NOISE, "data.npz"), (None, "no data at")],
)
def test_data_that_are_no_archive(bench, refused, content, says):
    (bench / "data.npz").unlink()
    if content is not None:
        (bench / "data.npz").write_bytes(content)
    refused(*optimize(), says=says)


def test_data_cut_short_anywhere(bench, refused):
    whole = (bench / "data.npz").read_bytes()
    for share in (0.1, 0.5, 0.9, 0.999):
        (bench / "data.npz").write_bytes(whole[: int(share * len(whole))])
        refused(*optimize(), says="data.npz")


def test_data_from_elsewhere(bench, refused):
    (bench / "images").mkdir()
    (bench / "mine.py").write_text("def fails():\n    raise RuntimeError('boom\\nbang')\n\ndef none():\n    return 3\n")
    for data, says in (
        ("images", "holds no images"),
        ("nothing_there:give", "cannot import 'nothing_there'"),
        ("mine:nonesuch", "has no function 'nonesuch'"),
        ("mine:fails", "mine:fails failed: RuntimeError: boom bang"),
        ("mine:none", "returned a int"),
        ("https://example.com/data.npz", "there is no data at"),
    ):
        refused(*optimize(data=data), says=says)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "not JSON"), ("[1]", "write an object"), ('{"size": 7, "size": 8}', "twice"),
        ('{"mean": [1]}', "lacks 'size'"),
        ('{"size": [12, 12], "shape": 3}', "unknown key 'shape'"), ('{"size": [0, 12]}', "size"),
        ('{"size": "twelve"}', "size"), ('{"size": [12, 12], "std": [0]}', "std"), ('{"size": [9, 9]}', "9"),
    ],
)  # fmt: skip
def test_preprocessing_that_cannot_be_used(bench, refused, content, says):
    (bench / "prepare.json").write_text(content)
    refused(*optimize("--preprocessing", "prepare.json"), says=says)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--target", "raspberry-pi-9"], "raspberry-pi-9|there are"),
        (["--target", "none.toml"], "none.toml"),
        (["--target", "model.onnx"], "model.onnx"),
        (["--target", ""], "target"),
        (["--target", "arduino-nano-33-ble"], "arduino-nano-33-ble does not run onnxruntime; it runs: "),
        (["--engine", "abacus"], "no engine is named 'abacus'"),
        (["--metric", "charm"], "charm"),
        (["--metric", "nothing_there:give"], "nothing_there"),
        (["--max-latency-ms", "0"], "can never be met"),
        (["--max-latency-ms", "-1"], "can never be met"),
        (["--max-latency-ms", "nan"], "can never be met"),
        (["--max-latency-ms", "inf"], "can never be met"),
        (["--max-size-mb", "0"], "can never be met"),
        (["--max-memory-mb", "-0.5"], "can never be met"),
        (["--max-energy-mj", "nan"], "can never be met"),
        (["--max-accuracy-drop", "-1"], "can never be met"),
        (["--max-accuracy-drop", "nan"], "can never be met"),
        (["--threads", "0"], "threads"),
        (["--threads", "1000000"], "threads"),
        (["--seed", "-1"], "seed"),
        (["--seed", "99999999999999999999999"], "seed"),
        (["--prefer", "latency=0"], "above 0"),
        (["--prefer", "latency=-1"], "negative"),
        (["--prefer", "latency=nan"], "finite"),
        (["--preprocessing", "none.json"], "none.json"),
    ],
)
def test_options_that_make_no_sense(bench, refused, arguments, says):
    refused(*optimize(*arguments), says=says)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--max-latency-ms", "fast"], "argument --max-latency-ms"),
        (["--budget", "0"], "give more, as 90s, 5m or 1h"),
        (["--budget", "-5s"], "argument --budget"),
        (["--budget", "1 fortnight"], "write it as"),
        (["--prefer", "beauty=1"], "no weight is named 'beauty'"),
        (["--prefer", "latency"], "write latency=1"),
        (["--seed", "1.5"], "argument --seed"),
        (["--frobnicate"], "unrecognized arguments: --frobnicate; see edgewright optimize --help"),
        (["one", "two"], "unrecognized arguments"),
    ],
)
def test_arguments_that_cannot_be_read(bench, refused, arguments, says):
    refused(*optimize(*arguments), says=says)


@pytest.mark.parametrize("command", ["inspect", "advise", "measure", "convert", "reproduce", "bundle verify"])
def test_every_command_says_in_one_line_what_is_not_there(bench, fails, command):
    name, *more = command.split()
    extra = {"advise": ["--target", "raspberry-pi-5"], "convert": ["--to", "ort", "-o", "dir"],
             "measure": ["--data", "data.npz"]}.get(name, [])  # fmt: skip
    status, line = fails(name, *more, "nothing-there", *extra)
    assert status in (1, 2) and "nothing-there" in line


def test_debug_adds_the_traceback_before_the_same_line(bench, capsys):
    from edgewright.cli import main

    assert main(["optimize", "none.onnx", "--data", "data.npz", "--debug"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("Traceback") and err.splitlines()[-1].startswith("edgewright: there is no model file")


def test_what_was_there_before_a_bad_request_is_there_afterwards(bench, fails, capsys):
    """A finished result is not lost to a slip of the next command."""
    from edgewright.cli import main

    assert main(["optimize", "model.onnx", "--data", "data.npz", *QUICK, "-o", "out"]) == 0
    capsys.readouterr()
    before = {p: p.read_bytes() for p in sorted(Path("out").rglob("*")) if p.is_file() and ".store" not in p.parts}
    assert Path("out/report.json") in before and Path("out/bundle/manifest.json") in before
    for wrong in (optimize(model="none.onnx"), optimize(data="none.npz"), optimize("--target", "moon"),
                  optimize("--max-size-mb", "nan"), optimize("--engine", "abacus")):  # fmt: skip
        assert fails(*wrong)[0] == 2
        after = {p: p.read_bytes() for p in sorted(Path("out").rglob("*")) if p.is_file() and ".store" not in p.parts}
        assert after == before
    assert json.loads(Path("out/report.json").read_text())["best"]


def test_a_folder_of_somebody_elses_is_left_alone(bench, refused):
    (bench / "out" / "candidates").mkdir(parents=True)
    (bench / "out" / "candidates" / "alice.txt").write_text("votes")
    refused(*optimize(), says="already holds 'candidates', which no run left there")
    assert (bench / "out" / "candidates" / "alice.txt").read_text() == "votes"
    assert [p.name for p in (bench / "out").iterdir()] == ["candidates"]
