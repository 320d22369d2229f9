"""A small model with samples, and the command line run as a user would."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from edgewright.cli import main
from edgewright.testing.tiny import write_tiny


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: an empty one with ``model.onnx`` and ``data.npz``."""
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path)
    return tmp_path


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run a command that must fail in one line; its status and that line."""

    def run(*arguments: object) -> tuple[int, str]:
        try:
            status = main([str(a) for a in arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        said = capsys.readouterr()
        lines = [line for line in said.err.splitlines() if not re.match(r"\[[# ]{10}\]", line)]
        assert said.out == "" and len(lines) == 1, (said.out, lines)
        assert status not in (0, 3) and lines[0].startswith("edgewright: "), (status, lines)
        assert len(lines[0]) < 500 and lines[0].isprintable() and "unexpected" not in lines[0], lines[0]
        return status, lines[0]

    return run
