"""The house is as its documents say: floors, nouns, extension points, commands, links."""

import importlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import edgewright
from edgewright.cli import COMMANDS
from edgewright.cli.optimize import weights
from edgewright.compression.verdict import Preference
from edgewright.graphs.costs import workload

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "edgewright"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def section(text, title):
    return text.split(f"## {title}")[1].split("\n## ")[0]


def rows(text):
    """The cells of a Markdown table's rows, its head left out."""
    found = [[c.strip() for c in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("|")]
    return found[2:]


def test_the_floors_are_those_that_are_held():
    told = [set(re.findall(r"`(\w+)`", cells[1])) for cells in rows(section(ARCHITECTURE, "Floors"))]
    (layers,) = (c for c in PYPROJECT["tool"]["importlinter"]["contracts"] if c["id"] == "floors")
    assert told == [set(re.split(r" \| ", layer)) for layer in layers["layers"]]


def test_every_package_is_told():
    there = {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists()} - {"testing"}
    assert there == set().union(*(re.findall(r"`(\w+)`", c[1]) for c in rows(section(ARCHITECTURE, "Floors"))))


def test_every_extension_point_is_where_it_is_said_to_be():
    for cells in rows(section(ARCHITECTURE, "Extension points")):
        _, _, registered, held, how = cells
        for place in re.findall(r"`([\w.]+)`", registered):
            module, _, name = place.rpartition(".")
            assert hasattr(importlib.import_module(f"edgewright.{module}"), name), place
        suite = ""
        for place in re.findall(r"`([\w.]+)`", held):
            module, _, name = place.rpartition(".")
            suite = module or suite
            assert hasattr(importlib.import_module(f"edgewright.{suite}"), name), place
        assert how


@pytest.mark.parametrize(
    "place", ["compression.passes.PASSES", "formats.FORMATS", "engines.ENGINES", "flows.gates.GATES", "exports.EXPORTS"]
)
def test_every_line_of_a_table_leads_somewhere(place):
    module, _, name = place.rpartition(".")
    table = getattr(importlib.import_module(f"edgewright.{module}"), name)
    for entry in table:
        assert callable(table[entry]), entry


def test_every_public_name_leads_somewhere():
    for name in edgewright.__all__:
        assert getattr(edgewright, name) is not None
    assert set(dir(edgewright)) == set(edgewright.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = edgewright.nothing


def test_the_glossary_has_thirteen_nouns_and_those_that_exist_are_there():
    nouns = rows(section((ROOT / "docs" / "glossary.md").read_text("utf-8"), "Thirteen nouns"))
    assert len(nouns) == 13
    for noun, _, where in nouns:
        places = re.findall(r"`([\w.]+)`", where)
        assert places or where == "not built yet", noun
        for place in places:
            module, _, name = place.rpartition(".")
            assert hasattr(importlib.import_module(f"edgewright.{module}"), name), place


def test_the_default_preference_is_told():
    page = (ROOT / "docs" / "explanation" / "search.md").read_text("utf-8")
    (told,) = re.findall(r"`--prefer (\S+)` \(the default\)", page)
    assert Preference(**weights(told)) == Preference()


def test_the_readme_shows_every_command():
    text = (ROOT / "README.md").read_text("utf-8")
    assert not [name for name in COMMANDS if f"edgewright {name}" not in text]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_every_page_is_in_the_index():
    folder = ROOT / "docs"
    listed = set(re.findall(r"\]\(([^)#]+)\)", (folder / "index.md").read_text("utf-8")))
    pages = {p.relative_to(folder).as_posix() for p in folder.rglob("*.md")} - {"index.md"}
    assert pages <= listed, pages - listed


def test_decisions_are_numbered_and_tell_what_they_cost():
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        text = record.read_text("utf-8")
        assert text.startswith(f"# {record.name[:4]}: ")
        assert all(f"## {part}" in text for part in ("Context", "Decision", "Considered", "Negative consequences"))


@pytest.mark.parametrize("script", ["scripts/setup", "scripts/check", "scripts/test", "scripts/demo", ".ci/run"])
def test_scripts_stop_at_the_first_error_and_are_whole(script):
    path = ROOT / script
    lines = path.read_text("utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash" and "set -euo pipefail" in lines
    assert path.stat().st_mode & 0o111
    done = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_change_log_knows_this_version():
    assert f"## [{edgewright.__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert PYPROJECT["project"]["version"] == edgewright.__version__


@pytest.mark.parametrize("page", ["tutorial.md", "explanation/int8.md", "explanation/pruning.md"])
def test_figures_are_of_the_model_that_is_there(page):
    model = edgewright.load(ROOT / "examples" / "digits" / "digits.onnx")
    text = (ROOT / "docs" / page).read_text("utf-8")
    assert f"{workload(model).parameters:,}" in text
    assert page == "tutorial.md" or f"| {model.size_bytes:,} |" in text, (
        "python benchmarks/passes/digits.py measures anew"
    )
