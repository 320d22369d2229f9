"""With the device install alone, what needs more says which extra brings it; the rest works."""

import subprocess
import sys
from pathlib import Path

import pytest

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
MODEL, DATA = str(DIGITS / "digits.onnx"), str(DIGITS / "digits.npz")

PROGRAM = """
import sys

WORKSHOP = {"onnx", "onnx_ir", "onnxscript", "torch", "openvino", "sklearn", "skl2onnx", "skops", "scipy", "jinja2",
            "PIL"}

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in WORKSHOP else self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
from edgewright.cli import main
sys.exit(main(sys.argv[1:]))
"""


def run(*words, folder):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=False, cwd=folder, timeout=120
    )


@pytest.mark.parametrize(
    "words",
    [
        ("inspect", MODEL),
        ("advise", MODEL, "--target", "raspberry-pi-5"),
        ("optimize", MODEL, "--data", DATA),
        ("measure", MODEL),
        ("convert", MODEL, "--to", "ort", "-o", "out"),
    ],
    ids=lambda words: words[0],
)
def test_what_needs_the_workshop_names_the_extra(words, tmp_path):
    done = run(*words, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "pip install 'edgewright[compile]'" in done.stderr
    assert done.stdout == "" and not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [("--version",), ("--help",), ("targets",), ("bundle", "key")], ids=" ".join)
def test_the_rest_works(words, tmp_path):
    done = run(*words, folder=tmp_path)
    assert done.returncode == 0 and done.stdout and done.stderr == ""
