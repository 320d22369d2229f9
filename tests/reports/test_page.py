"""The page as a file: whole, self-contained, the same for the same report, and deaf to hostile text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgewright.core.errors import InputError
from edgewright.reports import render

HOSTILE = [
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "<!-- -->]]><svg/onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
]


def test_every_tag_closes_and_every_id_is_unique(maker: Any, page: Callable[..., Any]) -> None:
    found = page(maker.report())
    assert found.faults == []
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_link_stays_within_the_page(maker: Any, page: Callable[..., Any]) -> None:
    found = page(maker.report())
    ids = {attributes["id"] for _, attributes in found.elements if "id" in attributes}
    links = [attributes["href"] for _, attributes in found.elements if "href" in attributes]
    assert links
    assert {link for link in links if link.removeprefix("#") not in ids} == set()


def test_nothing_is_loaded_from_anywhere(maker: Any) -> None:
    source = render(maker.report())
    assert not re.search(r"https?://|@import|url\(|//cdn", source)
    assert not re.search(r"<(link|img|iframe|object|embed|base|form|audio|video)\b", source)
    assert not re.search(r"\s(src|srcset|action|formaction|poster|style|on\w+)=", source)


def test_the_policy_names_the_digests_of_the_page_s_own_style_and_scripts(maker: Any, page: Callable[..., Any]) -> None:
    found = page(maker.report())
    (policy,) = [meta["content"] for meta in found.all("meta", http_equiv="Content-Security-Policy")]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for body in re.findall(r"<(?:style|script)>(.*?)</(?:style|script)>", found.source, re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_the_same_report_gives_the_same_text_whatever_the_order_of_its_keys(maker: Any) -> None:
    report = json.loads(json.dumps(maker.report()))
    assert render(report) == render(json.loads(json.dumps(report)))
    turned = dict(reversed(report.items()))
    assert render(turned) == render(report)


def test_the_headings_go_down_one_level_at_a_time(maker: Any, page: Callable[..., Any]) -> None:
    levels = [int(tag[1]) for tag, _ in page(maker.report()).elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_drawings_have_names_or_are_hidden_from_readers(maker: Any, page: Callable[..., Any]) -> None:
    for (tag, attributes), (inside, _) in pairwise(page(maker.report()).elements):
        if tag == "svg" and "aria-hidden" not in attributes:
            assert attributes["role"] in ("img", "group")
            assert inside == "title", attributes


def test_tables_name_their_columns_and_rows(maker: Any, page: Callable[..., Any]) -> None:
    found = page(maker.report())
    assert {head.get("scope") for head in found.all("th")} == {"col", "row"}
    assert found.all("th", aria_sort="ascending")
    assert len(found.all("tbody", class_="row refused")) == 1


def test_a_usual_run_stays_small(maker: Any) -> None:
    candidates = [maker.candidate(k, 0.1 + k / 100, 1e5 + k, 0.1, final=k < 6) for k in range(1, 25)]
    assert len(render(maker.report(candidates)).encode()) < 300_000


def everywhere(value: Any, word: str) -> Any:
    """The report with ``word`` in every text, the schema and what candidates are called by excepted."""
    kept = {"schema", "kind", "sense", "best", "id", "pareto", "nearest"}
    if isinstance(value, dict):
        return {k: one if k in kept else everywhere(one, word) for k, one in value.items()}
    if isinstance(value, list):
        return [everywhere(one, word) for one in value]
    return f"{value}{word}" if isinstance(value, str) else value


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_text_stays_text(maker: Any, page: Callable[..., Any], word: str) -> None:
    plain = page(maker.report())
    found = page(everywhere(json.loads(json.dumps(maker.report())), word))
    assert found.faults == []
    assert word.split()[0] in found.text
    tags = {tag for tag, _ in found.elements}
    assert tags <= {tag for tag, _ in plain.elements}
    assert len(found.all("script")) == len(plain.all("script"))
    names = {name for _, attributes in found.elements for name in attributes}
    assert names <= {name for _, attributes in plain.elements for name in attributes}


def test_hostile_keys_and_ids_stay_text(maker: Any, page: Callable[..., Any]) -> None:
    word = HOSTILE[0]
    entry = maker.candidate(1, final=True)
    entry |= {
        "id": word,
        "missing": {word: word},
        "steps": [{"step": {"pass": word, word: word}, word: {word: [word]}}],
    }
    entry["metrics"][word] = entry["metrics"]["latency_ms"]
    found = page(maker.report([entry], best=word, environment={word: word}, settings={"preference": {word: 1.0}}))
    assert found.faults == []
    assert len(found.all("script")) == 2
    assert found.all("tbody", id="n-1")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a\u202eb", "a\ufffdb"),
        ("a\ud800b", "a\ufffdb"),
        ("a\x00b", "a\ufffdb"),
        ("a\u200bb", "a\ufffdb"),
        ("é 模型", "é 模型"),
    ],
)
def test_text_that_would_deceive_the_eye_or_break_the_file_is_replaced(
    maker: Any, page: Callable[..., Any], given: str, shown: str
) -> None:
    report = maker.report()
    report["data"]["notes"] = [given]
    found = page(report)
    assert shown in found.text
    found.source.encode()


@pytest.mark.parametrize(
    "report", [{}, {"schema": "edgewright.report/2"}, {"schema": None}, [], "x", None, {"schema": {"a": 1}}]
)
def test_what_is_no_report_of_this_schema_is_an_input_error(report: Any) -> None:
    with pytest.raises(InputError):
        render(report)


def test_a_report_with_nothing_but_its_schema_still_gives_a_page(page: Callable[..., Any]) -> None:
    found = page({"schema": "edgewright.report/1"})
    assert found.faults == []
    assert "Nothing was tried" in found.text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(width=32) | st.text(max_size=8) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "unit", "low", "x"]), inner),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path into a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(p for key, one in inside for p in places(one, (*path, key)))]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_stands_in_a_part_s_place_a_page_is_made(
    maker: Any, page: Callable[..., Any], data: st.DataObject
) -> None:
    report = json.loads(json.dumps(maker.report()))
    for _ in range(3):
        path = data.draw(st.sampled_from([p for p in places(report) if p and p != ("schema",)]))
        parent = report
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = data.draw(JSON)
    found = page(report)
    assert found.faults == []
    assert len(found.all("script")) == 2
