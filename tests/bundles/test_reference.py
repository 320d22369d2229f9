"""The reference page says what is."""

import json
import re
import shlex
from pathlib import Path

import pytest

from edgewright import bundles
from edgewright.cli import main
from edgewright.trust import SigningKey

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "bundle.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


@pytest.fixture
def place(pristine: Path, key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    content = bundles.verify(pristine, [key.public]).content
    bundles.seal(content, tmp_path / "out" / "bundle")
    shared = tmp_path / "config" / "edgewright" / "keys" / "own.pub"
    (tmp_path / "signer.pub").write_bytes(shared.read_bytes())
    return tmp_path


def test_the_commands_run(place: Path) -> None:
    lines = block("console").splitlines()
    assert len(lines) == 7
    for line in lines:
        assert main(shlex.split(line)[1:]) == 0, line
    assert (place / "model" / "manifest.json").exists()


def test_the_python_runs(place: Path) -> None:
    assert main(["bundle", "pack", "out/bundle", "-o", "model.ewb"]) == 0
    names: dict[str, object] = {}
    exec(block("python"), names)
    assert [result.passed for result in names["results"]] == [True]  # type: ignore[attr-defined]


def test_the_manifest_s_keys_are_told_and_no_others(pristine: Path) -> None:
    table = PAGE.split("## Manifest")[1].split("##")[0]
    told = {key for row in re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    assert told == json.loads((pristine / "manifest.json").read_bytes()).keys()


def test_the_layout_is_told(pristine: Path) -> None:
    table = PAGE.split("## Layout")[1].split("##")[0]
    for path in pristine.iterdir():
        assert f"`{path.name}" in table, path.name
