"""One small finished run for a target whose figures are predicted: nothing in it depends on this machine's speed."""

import json
import os
from pathlib import Path

import pytest

from edgewright.cli import main
from edgewright.testing.tiny import write_tiny

LIMITS = ["--target", "raspberry-pi-5", "--budget", "60s", "--max-accuracy-drop", "5"]


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``model.onnx``, ``data.npz`` and a finished run of them in ``out``. To be read only."""
    folder = tmp_path_factory.mktemp("workshop")
    write_tiny(folder)
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(["optimize", "model.onnx", "--data", "data.npz", *LIMITS, "-o", "out"]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture(scope="session")
def report(workshop: Path) -> dict:
    return json.loads((workshop / "out" / "report.json").read_text())
