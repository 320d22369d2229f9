"""Inspection of every format, and the two commands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgewright.advice.inspection import inspect
from edgewright.advice.quantized import quantized
from edgewright.cli import main
from edgewright.cli._figures import scaled, share, shortened
from edgewright.core.errors import InputError
from edgewright.core.model import Model, Signature
from edgewright.formats import convert
from edgewright.graphs.shapes import shape
from edgewright.testing.build import Build
from edgewright.testing.zoo import linear, zoo


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "model.onnx"
    file.write_bytes(zoo()["residual"]().data)
    return file


@pytest.mark.parametrize("name", sorted(zoo()))
def test_everything_told_is_json(name: str) -> None:
    found = inspect(zoo()[name](), batch=2)
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["macs"] == sum(o["macs"] for o in told["costs"])
    assert told["peak_activation_bytes"] == max(m["bytes"] for m in told["timeline"])
    assert told["peak_activation_in_place_bytes"] <= told["peak_activation_bytes"] <= told["arena_bytes"]
    assert told["weight_bytes"] <= told["size_bytes"]
    assert sum(told["operators"].values()) >= len(told["costs"])


def test_weights_that_nothing_reads_are_told() -> None:
    found = inspect(zoo()["old_style"]())
    assert found.unread_bytes == 64 * 64 * 4
    assert inspect(zoo()["residual"]()).unread_bytes == 0


def test_what_could_not_be_learnt_is_said() -> None:
    b = Build()
    b.output(b.node("Strange", b.input("x", [1, 2]), domain="nobody.knows"), [1, 2])
    found = inspect(b.model())
    assert "1 values have no known shape" in found.unknown[0]
    assert any("lower bounds" in note for note in found.notes)


def pairs(kind: type, zero: int, per_channel: bool = False) -> Model:
    b = Build(17)
    scale = b.constant(np.full(4, 0.1) if per_channel else 0.1, dtype=np.float32)
    held = scale, b.constant(np.full(4, zero) if per_channel else zero, dtype=kind)
    axis = {"axis": 1} if per_channel else {}
    x = b.node("QuantizeLinear", b.input("x", [1, 4]), *held, **axis)
    b.output(linear(b, b.node("DequantizeLinear", x, *held, **axis), 4, 2), [1, 2])
    return b.model()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (zoo()["mlp"](), "no"),
        (pairs(np.uint8, 128), "QDQ pairs, u8 activations (symmetric)"),
        (pairs(np.uint8, 3), "QDQ pairs, u8 activations"),
        (pairs(np.int8, 0), "QDQ pairs, s8 activations (symmetric)"),
        (pairs(np.int8, -128, True), "QDQ pairs, s8 activations, per-channel activation scales"),
    ],
)
def test_how_a_model_is_quantized(model: Model, words: str) -> None:
    assert str(quantized(shape(model))) == words


def test_weights_alone() -> None:
    b = Build(21)
    w = b.node("DequantizeLinear", b.constant(np.ones((4, 2)), dtype=np.int8), b.constant(0.1, dtype=np.float32))
    b.output(b.node("MatMul", b.input("x", [1, 4]), w), [1, 2])
    assert str(quantized(shape(b.model()))) == "weights only, 8-bit weights"


def test_ort_format_tells_its_operators_and_what_it_cannot() -> None:
    found = inspect(convert(zoo()["residual"](), "ort"))
    assert found.histogram["Gemm"] == 1
    assert sum(n for op, n in found.histogram.items() if op.endswith("Conv")) == 6
    assert found.workload is None
    assert any("ONNX graphs only" in gap for gap in found.unknown)
    json.dumps(found.to_json())


def test_openvino_ir_tells_its_layers_and_weights() -> None:
    pytest.importorskip("openvino")
    found = inspect(convert(zoo()["mlp"](), "openvino"))
    assert found.histogram["MatMul"] == 5
    assert found.stored_bytes is not None
    assert found.stored_bytes >= 4 * (64 * 20 + 3 * 64 * 64 + 4 * 64)
    assert found.opsets["ir"] >= 10


IR = {
    "entities": (b'<!DOCTYPE net [<!ENTITY a "b">]><net version="11"><layers/></net>', "document type"),
    "broken": (b'<net version="11"><layers>', "cannot be read"),
    "number": (b'<net version="eleven"/>', "cannot be read"),
}


@pytest.mark.parametrize(("text", "message"), IR.values(), ids=IR)
def test_a_hostile_ir_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        inspect(Model("openvino", "m.xml", {"m.xml": text}, Signature((), ())))


def test_a_damaged_ort_file_tells_that_its_operators_are_not_known() -> None:
    found = inspect(Model("ort", "m.ort", {"m.ort": b"\x08\x00\x00\x00ORTM" + bytes(range(64))}, Signature((), ())))
    assert found.histogram == {}
    assert found.unknown[0].startswith("operators:")


def test_sizes_of_other_formats_cannot_be_chosen() -> None:
    with pytest.raises(InputError, match="for ONNX graphs only"):
        inspect(Model("ort", "m.ort", {"m.ort": b""}, Signature((), ())), batch=2)


# The commands.


def test_inspect_prints_a_page(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(path), "--batch", "2"]) == 0
    page = capsys.readouterr().out
    for part in ("residual CNN", "MAC", "peak", "dearest operators", "alive at the peak", "int8_static", "Conv 6"):
        assert part in page
    assert not any(line != line.rstrip() for line in page.splitlines())


def test_inspect_prints_json_alone(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(path), "--json", "--target", "raspberry-pi-4"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["family"] == "residual CNN"
    half = next(c for c in told["coverage"] if (c["engine"], c["number_type"]) == ("openvino", "fp16"))
    assert half["macs_share"] == 0  # no half-precision arithmetic on a Cortex-A72


def test_advise_prints_a_page(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["advise", str(path), "--target", "raspberry-pi-5", "--sources"]) == 0
    page = capsys.readouterr().out
    for part in ("predicted", "ONNX Runtime", "int8_static", "recipe", "simplify", "[onnxruntime: docs"):
        assert part in page


def test_advise_prints_json_alone(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["advise", str(path), "--target", "stm32h7", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["engine"]["value"] == "c"
    assert told["latency"]["kind"] == "predicted"
    assert told["recipe"][0]["step"] == {"pass": "simplify"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspect", "{path}", "--dim", "seq"], "--dim takes NAME=SIZE"),
        (["inspect", "{path}", "--dim", "seq=4"], "no dynamic size named 'seq'"),
        (["inspect", "{path}", "--batch", "0"], "at least 1"),
        (["advise", "{path}", "--target", "toaster"], "no target is named 'toaster'"),
        (["inspect", "{path}.missing"], "no model file"),
    ],
)
def test_bad_input_gets_one_line(
    path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main([a.replace("{path}", str(path)) for a in arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err
    assert said.err.count("\n") == 1


def test_figures_as_text() -> None:
    assert [scaled(v, "B") for v in (0, 999, 1000, 46_811_341, 1e12)] == ["0 B", "999 B", "1 kB", "46.81 MB", "1 TB"]
    assert [share(v) for v in (0, 0.0001, 0.25, 0.9999, 1)] == ["0%", "<0.1%", "25.0%", ">99.9%", "100%"]
    assert shortened("abcdefghij", 7) == "abc…hij"
