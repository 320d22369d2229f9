"""ORT format and OpenVINO IR: written the same each time, read behind a wall, as good as their source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from edgewright.core.errors import InputError
from edgewright.core.model import Model
from edgewright.engines.agreement import agreement, sample_inputs
from edgewright.formats import FORMATS, convert, load, save
from edgewright.formats.ortbuffer import canonical
from edgewright.testing.formats import check_conversion, one_line
from edgewright.testing.zoo import zoo

from .conftest import linear, model, value

BOTH = ["ort", "openvino"]


@pytest.mark.parametrize("to", BOTH)
def test_the_format_keeps_its_contract(to: str, tmp_path: Path) -> None:
    check_conversion(to, zoo()["residual"](), tmp_path)


@pytest.mark.parametrize("to", BOTH)
@pytest.mark.parametrize("name", ["attention", "conditional", "odd"])
def test_models_of_the_zoo_answer_alike(name: str, to: str) -> None:
    source = zoo()[name]()
    made = convert(source, to)
    assert agreement(source, made, sample_inputs(source.signature)).sqnr_db > 100
    for side in ("inputs", "outputs"):
        assert [s.name for s in getattr(made.signature, side)] == [s.name for s in getattr(source.signature, side)]


@pytest.mark.parametrize("to", BOTH)
@pytest.mark.parametrize(
    "outputs", [["x", "y"], ["y", "z"]], ids=["an input handed through", "one value under two names"]
)
def test_names_survive(outputs: list[str], to: str) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Identity", ["y"], ["z"])]
    source = load(model(nodes[: 1 + ("z" in outputs)], outputs=[value(name) for name in outputs]))
    made = convert(source, to)
    assert [spec.name for spec in made.signature.outputs] == outputs
    assert agreement(source, made, sample_inputs(source.signature)).sqnr_db == np.inf


@pytest.mark.parametrize("to", [*BOTH, "onnx", "exported", "sklearn"])
def test_there_is_no_way_from_what_is_not_onnx(to: str) -> None:
    odd = Model("other", "m", {"m": b""}, load(linear()).signature)
    with pytest.raises(InputError, match="no route from other to "):
        convert(odd, to)


def test_a_format_is_known_by_name_only() -> None:
    with pytest.raises(InputError, match=r"no format is named 'tflite'; there are: exported, onnx"):
        convert(load(linear()), "tflite")
    assert list(FORMATS) == ["exported", "onnx", "openvino", "ort", "sklearn"]


def test_a_canonical_buffer_stays_as_it_is() -> None:
    made = convert(load(linear()), "ort")
    assert canonical(made.data) == made.data
    for broken in (b"", made.data[:40], b"\xff" * 64):
        with pytest.raises(ValueError, match="not an ORT-format buffer"):
            canonical(broken)


def test_mutated_ort_files_are_a_model_or_an_input_error(tmp_path: Path) -> None:
    """Its reader is native code that trusts the file; whatever happens to it happens to a child."""
    data = convert(load(linear()), "ort").data
    path = tmp_path / "m.ort"
    rng = np.random.default_rng(0)
    for _ in range(8):
        broken = bytearray(data)
        for at in rng.integers(8, len(data), 12):
            broken[at] = rng.integers(0, 256)
        path.write_bytes(broken)
        try:
            assert load(path).signature.inputs
        except InputError as error:
            assert str(error).startswith(str(path)) and str(error).isprintable()


@pytest.fixture
def ir(tmp_path: Path) -> Path:
    return save(convert(load(linear()), "openvino"), tmp_path / "ir")


LAUGHS = b'<?xml version="1.0"?><!DOCTYPE net [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><net name="&b;" version="11"/>'
READS = b'<?xml version="1.0"?><!DOCTYPE net [<!ENTITY a SYSTEM "file:///etc/passwd">]><net name="&a;"/>'


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        (LAUGHS, "declares a document type"),
        (READS, "declares a document type"),
        (b"<net " + b"<a>" * 100, "nested more than|not whole XML"),
        (b"<net><a>" * 100, "nested more than 64 deep"),
        (b"<html></html>", "no OpenVINO model .its root is 'html'"),
        (b'<?xml version="1.0"?><net name="a" version="11"><layers></layers></net>', "openvino cannot open|no named"),
        (b'<net><data offset="-1" size="4"/></net>', "weights without a place"),
        (b'<net><data offset="0" size="99999999999999999999"/></net>', "weights end at"),
    ],
)
def test_a_graph_file_of(xml: bytes, message: str, ir: Path) -> None:
    ir.write_bytes(xml)
    with pytest.raises(InputError, match=message):
        raise InputError(one_line(lambda: load(ir), "hostile XML", str(ir)))


def test_weights_must_be_there_whole_and_no_link(ir: Path, tmp_path: Path) -> None:
    weights = ir.with_suffix(".bin")
    data = weights.read_bytes()
    weights.write_bytes(data[:-1])
    with pytest.raises(InputError, match=r"weights end at .* truncated"):
        load(ir)
    weights.rename(tmp_path / "elsewhere.bin")
    with pytest.raises(InputError, match=r"'model.bin' is missing"):
        load(ir)
    weights.symlink_to(tmp_path / "elsewhere.bin")
    with pytest.raises(InputError, match="is a link"):
        load(ir)


def test_an_ir_under_another_name_gets_ours(ir: Path) -> None:
    kept = load(ir)
    for suffix in (".xml", ".bin"):
        ir.with_suffix(suffix).rename(ir.with_name(f"other{suffix}"))
    assert load(ir.with_name("other.xml")) == kept


def test_saving_leaves_other_files_alone(tmp_path: Path) -> None:
    source = load(linear())
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match=r"already holds 'thesis.txt'; choose a new or empty folder"):
        save(source, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert save(source, tmp_path / "new") == save(source, tmp_path / "new"), "a second time replaces the first"
