"""Drawings: where things stand, and that they are the same for the same values."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from edgewright.reports.figures import Scale
from edgewright.reports.plots.bars import MOST_COLUMNS, bar, channels, dumbbell, gauge
from edgewright.reports.plots.ridges import Ridge, density, ridge, ruler
from edgewright.reports.plots.scale import Axis, linear_axis, ratio_axis
from edgewright.reports.plots.scatter import Extent, Mark, Side, scatter
from edgewright.reports.plots.svg import element, short

POSITIVE = st.floats(1e-9, 1e12)


def test_elements_escape_what_they_hold() -> None:
    assert element("text", "<b>", data_x='"') == '<text data-x="&#34;">&lt;b&gt;</text>'
    assert element("g", Markup("<i/>"), class_="a", hidden=None) == '<g class="a"><i/></g>'
    assert [short(x) for x in (1.0, 1.256, 0.001, 3, "4")] == ["1", "1.26", "0", "3", "4"]


@given(st.lists(POSITIVE, min_size=1, max_size=20))
def test_a_ratio_axis_holds_its_values_and_has_ticks_in_order(values: list[float]) -> None:
    axis = ratio_axis(values)
    assert all(axis.holds(v) for v in values)
    places = [tick.place for tick in axis.ticks()]
    assert places == sorted(places)
    assert len(places) <= 9
    assert all(0 <= p <= 1 for p in places)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_a_linear_axis_holds_its_values(values: list[float]) -> None:
    axis = linear_axis(values)
    assert all(axis.holds(v) for v in values)
    assert 1 <= len(axis.ticks()) <= 9


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis(0.1, 10, log=True), [0.1, 0.2, 0.5, 1, 2, 5, 10]),
        (Axis(1, 1e6, log=True), [1, 10, 100, 1e3, 1e4, 1e5, 1e6]),
        (Axis(0, 100), [0, 20, 40, 60, 80, 100]),
    ],
)
def test_ticks_are_round(axis: Axis, ticks: list[float]) -> None:
    assert [tick.value for tick in axis.ticks()] == pytest.approx(ticks)


def test_far_values_stand_on_a_logarithm_near_ones_do_not() -> None:
    assert ratio_axis([1, 10]).log
    assert not ratio_axis([1, 2]).log
    assert ratio_axis([]).ticks()


@given(st.lists(POSITIVE, min_size=5, max_size=101))
def test_a_density_is_tallest_at_one_and_never_below_nothing(values: list[float]) -> None:
    quantiles = sorted(values)
    shape = density(quantiles, ratio_axis(quantiles))
    assert max(shape) == pytest.approx(1.0)
    assert min(shape) >= 0


def test_a_density_peaks_where_the_calls_are() -> None:
    axis = Axis(1.0, 11.0)
    shape = density([1.0, *[6.0 + k / 100 for k in range(50)], 11.0], axis, 100)
    assert 45 <= shape.index(max(shape)) <= 58


def drawn(state: Any = "kept", **more: Any) -> Mark:
    given = {"anchor": "c-1", "about": "a candidate", "x": Extent(2.0, 1.5, 3.0), "y": Extent(50.0), "final": True}
    return Mark(**{**given, "accurate": True, **more}, state=state)


def sides(most: float | None = None, **more: Any) -> tuple[Side, Side]:
    return Side("time", Axis(1.0, 4.0), Scale(1.0, "ms"), most), Side("size", Axis(0.0, 100.0), Scale(1.0, "B"), **more)


def test_the_map_is_sound_and_marks_stand_in_their_place() -> None:
    x, y = sides()
    source = scatter("m", "two", [drawn(), drawn("refused", anchor="c-2")], x, y)
    tree = ElementTree.fromstring(source)
    marks = list(tree.iter("a"))
    assert [m.attrib["href"] for m in marks] == ["#c-2", "#c-1"]
    (shape,) = list(marks[1].iter("use"))
    assert shape.attrib["x"] == "33.33%"
    assert float(shape.attrib["y"]) == pytest.approx(10 + (488 - 46 - 10) / 2)
    assert [e.attrib["class"] for e in marks[1].iter("line")] == ["whisker"]
    assert source == scatter("m", "two", [drawn(), drawn("refused", anchor="c-2")], x, y)


@pytest.mark.parametrize(
    ("limit", "down", "height"), [(25.0, False, 108.0), (25.0, True, 108.0), (100.0, False, 432.0)]
)
def test_what_is_within_the_limits_is_shaded(limit: float, down: bool, height: float) -> None:
    x, y = sides(2.5, limit=limit, down=down)
    (rect,) = ElementTree.fromstring(scatter("m", "s", [drawn()], x, y)).iter("rect")
    assert rect.attrib["width"] == "50%"
    assert float(rect.attrib["height"]) == pytest.approx(height)


def test_without_limits_nothing_is_shaded() -> None:
    assert "feasible" not in scatter("m", "s", [drawn()], *sides())


@pytest.mark.parametrize(
    ("state", "accurate", "shape"),
    [
        ("kept", True, "circle"),
        ("broken", False, "triangle"),
        ("refused", False, "cross"),
        ("best", True, "star"),
        ("baseline", True, "square"),
    ],
)
def test_states_differ_in_shape_not_in_colour_alone(state: Any, accurate: bool, shape: str) -> None:
    assert f'href="#shape-{shape}"' in scatter("m", "s", [drawn(state, accurate=accurate)], *sides())


def test_a_mark_beyond_an_axis_stands_at_its_end_and_says_so() -> None:
    source = scatter("m", "s", [drawn(y=Extent(900.0))], *sides())
    assert 'y="10"' in source
    assert "beyond" in source


@pytest.mark.parametrize(
    "source",
    [
        bar(0.5, "accent", 0.4, 0.6),
        bar(9.0),
        gauge(0.5, 0.2, 2.0, kept=True),
        gauge(-1.0, None, None, kept=False),
        dumbbell(100.0, 95.0, 90.0, 100.0, (80.0, 100.0)),
        dumbbell(1.0, 1.0, 1.0, 1.0),
        channels([(16, 32), (32, 32)], "about <channels>"),
        channels([(1, 2)] * 500, "many"),
        channels([], "none"),
        ridge(Ridge((1.0, 2.0, 3.0, 4.0, 5.0), 3.0, 2.9, 3.1, 4.5, 5.0, "a"), Axis(1.0, 5.0)),
        ruler(Axis(1.0, 500.0, log=True), Scale(1.0, "ms")),
    ],
)
def test_small_drawings_are_sound_and_stay_in_their_room(source: Markup) -> None:
    ElementTree.fromstring(source)
    assert all(0 <= float(share) <= 100 for share in re.findall(r'"(-?[\d.]+)%"', source))


def test_channels_beyond_the_most_are_left_out() -> None:
    assert channels([(1, 2)] * 500, "many").count("M") == 2 * MOST_COLUMNS
