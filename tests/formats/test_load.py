"""Loading imports no more than it must, and names what is not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgewright.core.errors import InputError
from edgewright.formats import load

from .conftest import linear

HEAVY = ("torch", "openvino", "sklearn", "skl2onnx", "skops", "onnxruntime", "onnxscript")


def _python(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_looking_at_files_imports_no_heavy_library(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(linear().SerializeToString())
    for name in ("a.pkl", "b.pt", "c.xml", "d.ort", "e.txt"):
        (tmp_path / name).write_bytes(b"nothing of the kind" * 9)
    code = (
        "import sys, edgewright as ew\n"
        "for name in sys.argv[2:]:\n"
        "    try: ew.load(f'{sys.argv[1]}/{name}')\n"
        "    except ew.EdgewrightError as error: pass\n"
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    assert _python(code, str(tmp_path), "net.onnx", "a.pkl", "d.ort", "e.txt") == "[]"


@pytest.mark.parametrize(
    ("name", "absent", "extra"),
    [
        ("net.onnx", "onnx", "compile"),
        ("net.xml", "openvino", "openvino"),
        ("net.pt2", "torch", "torch"),
        ("net.pt2", "onnxscript", "torch"),
        ("net.skops", "sklearn", "sklearn"),
        ("net.skops", "skl2onnx", "sklearn"),
        ("net.skops", "skops", "sklearn"),
    ],
)
def test_a_missing_library_is_told_with_its_extra(name: str, absent: str, extra: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"something" * 9)
    code = (
        f"import sys; sys.modules[{absent!r}] = None\n"
        "import edgewright as ew\n"
        "try: ew.load(sys.argv[1])\n"
        "except ew.EdgewrightError as error: print(type(error).__name__, error)"
    )
    told = _python(code, str(tmp_path / name))
    assert told.startswith("MissingExtra") and f"pip install 'edgewright[{extra}]'" in told


def test_a_device_reads_what_its_engines_read(tmp_path: Path) -> None:
    """Without the compile extra the other formats still work."""
    from edgewright.formats import convert, save

    path = save(convert(load(linear()), "ort"), tmp_path / "device")
    code = "import sys; sys.modules['onnx'] = None; import edgewright as ew; print(ew.load(sys.argv[1]).format)"
    assert _python(code, str(path)) == "ort"


@pytest.mark.parametrize("thing", [None, 3, b"bytes", {"a": 1}, object()])
def test_other_objects_are_no_models(thing: object) -> None:
    with pytest.raises(InputError, match="is not a model Edgewright knows; pass a path"):
        load(thing)


def test_an_unknown_file_is_told_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match="in no format Edgewright reads; it reads: exported, onnx, openvino, ort"):
        load(tmp_path / "notes.txt")
