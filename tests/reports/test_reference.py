"""The reference page tells every key that a report has, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "report.md").read_text("utf-8")


def keys(table: str) -> set[str]:
    """The names in the first column of a table."""
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_the_page_knows_every_key(maker: Any) -> None:
    whole, _, candidate = PAGE.split("## report.json")[1].partition("A candidate:")
    report = maker.report()
    assert keys(whole) == set(report)
    assert keys(candidate) == set(report["candidates"][0]) == set(report["baseline"])


def test_the_sample_has_the_parts_the_flow_writes(maker: Any) -> None:
    source = (Path(__file__).parents[2] / "src" / "edgewright" / "flows" / "record.py").read_text("utf-8")
    body = source.split("def document(")[1].split("\ndef ")[0]
    assert set(re.findall(r'^        "(\w+)":', body, re.MULTILINE)) | {"readiness"} == set(maker.report())
