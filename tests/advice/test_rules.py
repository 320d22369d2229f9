"""The rule evaluator, and the decision data: every row can be read, asked, and says why."""

from __future__ import annotations

from typing import Any

import pytest

from edgewright.advice import tables
from edgewright.advice.facts import facts_of, shares
from edgewright.advice.inspection import inspect
from edgewright.advice.rules import Fact, holds, rows
from edgewright.compression.passes import make_pass
from edgewright.core.errors import InputError
from edgewright.targets import names, target
from edgewright.testing.zoo import zoo

FACTS: dict[str, Fact] = {
    "platform": "intel",
    "isa": frozenset({"avx2", "fma"}),
    "macs": 100,
    "fits": True,
    "share": 0.5,
}

CONDITIONS: list[tuple[str, Any, bool]] = [
    ("platform", "intel", True),
    ("platform", "apple", False),
    ("fits", True, True),
    ("fits", False, False),
    ("platform_in", ["apple", "intel"], True),
    ("platform_in", ["apple"], False),
    ("platform_none", ["apple"], True),
    ("platform_none", ["intel"], False),
    ("isa_any", ["avx2", "neon"], True),
    ("isa_any", ["neon"], False),
    ("isa_none", ["neon"], True),
    ("isa_none", ["fma"], False),
    ("macs_min", 100, True),
    ("macs_min", 101, False),
    ("macs_max", 100, True),
    ("share_max", 0.4, False),
]


@pytest.mark.parametrize(("key", "wanted", "expected"), CONDITIONS)
def test_conditions(key: str, wanted: Any, expected: bool) -> None:
    assert holds(key, wanted, FACTS) is expected


@pytest.mark.parametrize(
    ("key", "wanted", "message"),
    [("colour", "red", "is no fact"), ("colour_in", ["red"], "is no fact"), ("macs_in", 100, "needs a list"),
     ("platform_min", 1, "needs numbers"), ("macs_min", "many", "needs numbers"), ("isa_max", 3, "needs numbers")],
)  # fmt: skip
def test_a_misspelt_condition_is_an_error(key: str, wanted: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        holds(key, wanted, FACTS)


TABLES = ("frameworks", "engines", "numbers", "recipe")


@pytest.mark.parametrize("table", TABLES)
def test_every_row_can_be_asked_on_every_target(table: str) -> None:
    found = [inspect(zoo()[name]()) for name in ("residual", "attention", "lstm", "mlp")]
    for name in names():
        for one in found:
            facts = facts_of(one, target(name), fits=True) | shares(one, "onnxruntime") | {"number_type": "fp32"}
            for row in rows(table):
                for key, wanted in row.when.items():
                    holds(key, wanted, facts)


@pytest.mark.parametrize("table", ["frameworks", "engines"])
def test_the_last_row_always_holds(table: str) -> None:
    assert rows(table)[-1].when == {}


def test_choices_are_known() -> None:
    types = {"as_stored", "fp32", "fp16", "bf16", "int8_static", "int8_dynamic", "int4_weights"}
    assert {row.rest["choice"] for row in rows("numbers")} == types
    assert {row.rest["verdict"] for row in rows("numbers")} == {"try", "avoid"}
    assert {row.rest["choice"] for row in rows("engines")} == {"onnxruntime", "openvino", "c"}
    platforms = {"microcontroller", "apple", "nvidia", "mobile", "intel"}
    assert {row.when.get("platform") for row in rows("frameworks")} - {None} == platforms


@pytest.mark.parametrize("row", rows("recipe"), ids=lambda row: row.id)
def test_every_step_is_a_pass_with_its_own_options(row: Any) -> None:
    assert make_pass(row.rest["step"]).name == row.rest["step"]["pass"]


ROW = 'schema = 1\n[[row]]\nid = "a"\nwhen = {}\nreason = "r"\nsource = "s"\n'
BROKEN = {
    "no reason": (ROW.replace('reason = "r"\n', ""), "'reason' is missing"),
    "unknown key": (ROW + "foo = 1", "'foo' is not a known"),
    "no conditions": (ROW.replace("when = {}\n", ""), "'when' must be a table"),
    "twice": (ROW + ROW.removeprefix("schema = 1\n"), "names a row twice"),
    "schema": ("schema = 9", "must say schema = 1"),
    "no toml": ("schema = ", "is no TOML document"),
}


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_table_names_what_is_wrong(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "broken.toml").write_text(text)
    monkeypatch.setattr(tables, "files", lambda _: tmp_path)
    tables.read.cache_clear()
    rows.cache_clear()
    try:
        with pytest.raises(InputError, match=message):
            rows("broken")
    finally:
        tables.read.cache_clear()
        rows.cache_clear()
