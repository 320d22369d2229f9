"""``edgewright convert`` writes a model that answers like its source, or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgewright.cli import main
from edgewright.engines import agreement as agreement_module
from edgewright.engines.agreement import Agreement
from edgewright.formats import load

from .conftest import Writer, linear


@pytest.mark.parametrize("to", ["openvino", "ort", "onnx"])
def test_it_tells_what_it_wrote(to: str, write: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(linear())
    assert main(["convert", str(path), "--to", to, "-o", str(tmp_path / "out")]) == 0
    table = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    made = load(table["path"])
    assert (made.format, made.digest) == (to, table["digest"])
    assert "max abs error" in table["agreement"]
    assert main(["convert", str(path), "--to", to, "-o", str(tmp_path / "out"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["digest"] == made.digest and result["size_bytes"] == made.size_bytes
    assert result["source"]["format"] == "onnx" and set(result["files"]) == set(made.files)
    assert result["agreement"]["max_abs_error"] < 1e-5
    assert result["agreement"]["identical"] or result["agreement"]["sqnr_db"] > 100


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["{model}", "--to", "tflite"], 2, "no format is named 'tflite'"),
        (["{model}", "--to", "exported"], 2, "no route from onnx"),
        (["{folder}/gone.onnx", "--to", "ort"], 2, "there is no model file"),
        (["{folder}/empty.onnx", "--to", "ort"], 2, "is empty"),
    ],
)
def test_unusable_input_is_one_line_and_nothing_written(
    arguments: list[str],
    status: int,
    message: str,
    write: Writer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write(linear())
    (tmp_path / "empty.onnx").touch()
    command = [part.format(model=path, folder=tmp_path) for part in arguments]
    assert main(["convert", *command, "-o", str(tmp_path / "out")]) == status
    told = capsys.readouterr()
    assert message in told.err and told.err.count("\n") == 1 and told.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "far", [Agreement(8, 1.0, 12.0, 0.0), Agreement(8, 0.0, float("inf"), 0.5), Agreement(8, 1.0, -float("inf"), 1.0)]
)
def test_a_model_that_answers_otherwise_is_not_written(
    far: Agreement,
    write: Writer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write(linear())
    monkeypatch.setattr(agreement_module, "agreement", lambda *_: far)
    assert main(["convert", str(path), "--to", "ort", "-o", str(tmp_path / "out")]) == 1
    assert "answers otherwise" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_left_alone(write: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(linear())
    kept = sorted(path.parent.iterdir())
    assert main(["convert", str(path), "--to", "ort", "-o", str(path.parent)]) == 2
    assert "already holds 'net.onnx'" in capsys.readouterr().err
    assert sorted(path.parent.iterdir()) == kept
