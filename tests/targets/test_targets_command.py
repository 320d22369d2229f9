"""``edgewright targets``: list, show, detect."""

import json

import pytest

from edgewright import targets
from edgewright.cli import main
from edgewright.targets import probe

FOUND = {"fp32": 2e10, "int8": 6e10, "memory_bandwidth": 9e9, "cache_bandwidth": 4e10, "operator_overhead": 1e-6}


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    """The micro-benchmark has its own tests; here its figures are given."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(probe, "run", lambda target: FOUND)


def test_the_table_names_every_target(capsys):
    assert main(["targets"]) == 0
    out = capsys.readouterr().out
    assert all(any(line.startswith(name + " ") for line in out.splitlines()) for name in targets.names())
    assert "8 (4 fast)" in out


def test_the_list_as_json(capsys):
    assert main(["targets", "--json"]) == 0
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == list(targets.names())


def test_show_tells_every_figure_with_its_source(capsys):
    assert main(["targets", "show", "jetson-orin-nano"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    for key, figure in targets.target("jetson-orin-nano").figures().items():
        assert f"{key} {figure}" in out
        assert " ".join(figure.source.split())[:30] in out
    assert "ship symmetric S8 QDQ" in out


@pytest.mark.parametrize("order", [["--json", "show", "iphone"], ["show", "iphone", "--json"]])
def test_show_as_json(capsys, order):
    assert main(["targets", *order]) == 0
    assert json.loads(capsys.readouterr().out) == targets.target("iphone").to_json()


def test_detect_measures_and_writes_a_target_that_is_accepted(tmp_path, capsys):
    path = tmp_path / "My Box.toml"
    assert main(["targets", "detect", "-o", str(path)]) == 0
    out = capsys.readouterr().out
    assert f"written to {path}" in out
    assert "measured" in out
    found = targets.target(path)
    assert found.name == "my-box"
    assert found.compute["fp32"].value == FOUND["fp32"]
    assert main(["targets", "show", str(path)]) == 0
    assert targets.target("host").compute["int8"].value == FOUND["int8"]


@pytest.mark.parametrize("name", ["host.toml", "???.toml"])
def test_detect_finds_a_name_when_the_file_has_none(tmp_path, name):
    assert main(["targets", "detect", "-o", str(tmp_path / name)]) == 0
    assert targets.target(tmp_path / name).name == "my-machine"


def test_detect_prints_json_alone(tmp_path, capsys):
    assert main(["targets", "detect", "--json", "-o", str(tmp_path / "box.toml")]) == 0
    assert json.loads(capsys.readouterr().out)["figures"]["memory_bandwidth"]["value"] == FOUND["memory_bandwidth"]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["show", "raspbery-pi-5"], 2, "did you mean raspberry-pi-5"),
        (["show", "missing.toml"], 2, "cannot read missing.toml"),
        (["detect", "-o", "/proc/none/box.toml"], 1, "cannot write /proc/none/box.toml"),
    ],
)
def test_what_cannot_be_done_is_one_line(capsys, arguments, status, said):
    assert main(["targets", *arguments]) == status
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1
