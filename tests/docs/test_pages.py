"""Documented commands and examples run, in the order they are read, each page in a folder of its own.

``console`` blocks: lines with a prompt (or all lines, where none has one) are commands, the others their output.
``python`` blocks: run one after the other in one namespace. What cannot run says so where a reader sees it: a ``sh``
block follows a line with "Not run by the tests", a fragment of Python begins with a comment "Fragment". In the
commands, ID stands for the best candidate's name.
"""

import ast
import json
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgewright.cli import main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ELSEWHERE = {
    "docs/how-to/add-a-target.md": "tests/targets/test_add_a_target.py",
    "docs/how-to/run-jobs.md": "tests/hub/jobs/test_documented.py",
    "docs/how-to/upload-models.md": "tests/hub/models/test_wire.py",
    "docs/reference/bundle.md": "tests/bundles/test_reference.py",
}
"""Pages that have a test of their own, beside what they are about."""
NEVER_RUN = {"sh", "text", "toml", "json", "mermaid", ""}


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    before: str
    """The paragraph above it."""

    @property
    def commands(self):
        lines = self.text.replace("\\\n", " ").splitlines()
        prompted = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return prompted or [line for line in lines if line.strip()]

    @property
    def fragment(self):
        return self.text.startswith("# Fragment")


def blocks(page):
    parts = re.split(r"^```(.*)\n((?:(?!^```$).*\n)*)^```$", page.read_text("utf-8"), flags=re.MULTILINE)
    for before, language, text in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        yield Block(language.strip(), text, before.strip().rpartition("\n\n")[2])


def name(page):
    return page.relative_to(ROOT).as_posix()


def runs(page):
    return any(b.language == "console" or (b.language == "python" and not b.fragment) for b in blocks(page))


def run_command(line):
    words = shlex.split(line)
    assert words[0] == "edgewright", f"{line!r} is no command of ours; put it into a sh block and say why it is not run"
    if "candidates/ID" in line:
        (report,) = {Path(word).parents[1] / "report.json" for word in words if word.endswith("candidates/ID")}
        best = json.loads(report.read_text("utf-8"))["best"]
        words = [word.replace("candidates/ID", f"candidates/{best}") for word in words]
    assert main(words[1:]) == 0, line


@pytest.mark.parametrize("page", [p for p in PAGES if name(p) not in ELSEWHERE and runs(p)], ids=name)
def test_a_page_s_commands_and_examples_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    names = {"__name__": "example"}
    for number, block in enumerate(blocks(page), 1):
        if block.language == "console":
            for line in block.commands:
                run_command(line)
        elif block.language == "python" and not block.fragment:
            exec(compile(block.text, f"{name(page)}, block {number}", "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_does_not_run_says_so(page):
    for block in blocks(page):
        if block.language == "python":
            ast.parse(block.text)
        elif block.language == "sh":
            assert "Not run by the tests" in block.before, f"{block.text!r} needs a reason, above it"
        else:
            assert block.language == "console" or block.language in NEVER_RUN, f"what is {block.language!r}?"


def test_pages_with_a_test_of_their_own_have_it():
    for page, test in ELSEWHERE.items():
        assert Path(page).name in (ROOT / test).read_text("utf-8")
        assert (ROOT / page).is_file()
