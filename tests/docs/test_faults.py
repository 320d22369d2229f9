"""The table of faults names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_of_the_table_exists():
    page = (ROOT / "docs" / "reference" / "faults.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| fault |")]
    assert len(rows) > 30
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert named, f"no test is named: {row}"
        for path, name in named:
            text = (ROOT / path).read_text("utf-8") if (ROOT / path).is_file() else ""
            assert f"\ndef {name}(" in text, f"{path}::{name}"
