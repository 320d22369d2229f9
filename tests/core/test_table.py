"""The table of extensions: resolved when asked for, ours before theirs."""

import sys
from importlib.metadata import EntryPoint

import pytest

from edgewright.core.errors import InputError
from edgewright.core.table import Table

OWN = {"ours": "edgewright.core.files:safe_name", "fraction": "fractions:Fraction"}


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    asked: list[str] = []

    def entry_points(*, group: str) -> list[EntryPoint]:
        asked.append(group)
        return [
            EntryPoint("theirs", "decimal:Decimal", group),
            EntryPoint("ours", "decimal:Context", group),
        ]

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    return asked


def test_an_extension_is_imported_when_it_is_asked_for(theirs: list[str]) -> None:
    table = Table("part", "parts", {"turtle": "this_is_not_there:Turtle", **OWN})
    assert list(table) == ["fraction", "ours", "theirs", "turtle"] and len(table) == 4
    assert "turtle" in table and "this_is_not_there" not in sys.modules
    with pytest.raises(ModuleNotFoundError):
        table["turtle"]


def test_ours_come_first_and_without_looking_further(theirs: list[str]) -> None:
    from edgewright.core.files import safe_name

    table = Table("part", "parts", OWN)
    assert table["ours"] is safe_name
    assert theirs == []


def test_third_parties_are_found_by_entry_point_once(theirs: list[str]) -> None:
    from decimal import Decimal

    table = Table("part", "parts", OWN)
    assert table["theirs"] is Decimal and table["theirs"] is Decimal
    assert theirs == ["edgewright.parts"]


def test_an_unknown_name_says_what_there_is(theirs: list[str]) -> None:
    table = Table("part", "parts", OWN)
    with pytest.raises(InputError, match="no part is named 'their'; there are: fraction, ours, theirs"):
        table["their"]
    assert "their" not in table and 3 not in table
    assert table.get("ours") is not None
