"""The page on adding a target cannot lie: its file is a target, its code runs, its table names the schema's keys."""

import re
from pathlib import Path

import pytest

from edgewright.cli import main
from edgewright.targets import schema

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-target.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (toml,) = blocks("toml")
    (tmp_path / "gate-keeper.toml").write_text(toml)
    return tmp_path


def test_the_code_runs_over_the_file(folder):
    (code,) = blocks("python")
    names = {}
    exec(compile(code, str(PAGE), "exec"), names)
    assert names["target"].name == "gate-keeper"


def test_the_file_is_shown(folder, capsys):
    assert main(["targets", "show", "gate-keeper.toml"]) == 0
    assert "16 MACs in 3 cycles" in " ".join(capsys.readouterr().out.split())


def test_the_table_names_every_key():
    text = PAGE.read_text("utf-8")
    named = set(re.findall(r"[a-z_0-9]+", text))
    assert set(schema.UNITS) <= named
    assert {"fp32", "fp16", "bf16", "int8", "l1d", "l1i", "l2", "l3", "tcm", "sram_byte", "dram_byte"} <= named
