"""The map of candidates: two figures against each other, what is feasible shaded, what was refused faint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from edgewright.reports.figures import Scale
from edgewright.reports.plots.scale import Axis
from edgewright.reports.plots.svg import element, joined, share, stretched

State = Literal["refused", "broken", "kept", "front", "best", "baseline"]
ORDER: tuple[State, ...] = ("refused", "broken", "kept", "front", "baseline", "best")
"""From the back to the front of the drawing."""
HEIGHT = 488
_FOOT = 46
_LEFT = 64
_SHAPES = {
    "circle": "M-6,0a6,6 0 1,0 12,0a6,6 0 1,0 -12,0z",
    "triangle": "M0,-7L7,5.5L-7,5.5z",
    "square": "M-5.5,-5.5h11v11h-11z",
    "cross": "M-4,-4L4,4M-4,4L4,-4",
    "star": "M0,-9.5L2.6,-3.2L9.4,-2.8L4.2,1.6L5.9,8.2L0,4.6L-5.9,8.2L-4.2,1.6L-9.4,-2.8L-2.6,-3.2z",
}


@dataclass(frozen=True)
class Extent:
    """A value with the ends of its interval."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Mark:
    """A candidate on the map. ``about`` is read out and shown as a tooltip; ``final``: measured with care."""

    anchor: str
    about: str
    x: Extent
    y: Extent
    state: State
    final: bool
    accurate: bool
    label: str = ""


@dataclass(frozen=True)
class Side:
    """One axis of the map. ``limit``: values beyond are not feasible. ``down``: the least value stands at the top."""

    title: str
    axis: Axis
    scale: Scale
    limit: float | None = None
    down: bool = False
    origin: float | None = None


def scatter(
    name: str, summary: str, marks: Sequence[Mark], x: Side, y: Side, front: Sequence[tuple[float, float]] = ()
) -> Markup:
    """The drawing: an axis of fixed width and a plot that takes what room is left. ``name`` makes ids unique."""
    ordered = sorted(enumerate(marks), key=lambda one: (ORDER.index(one[1].state), one[1].final, one[0]))
    inside = [
        _grid(x, y),
        _feasible(name, x, y),
        _front(front, x, y),
        element("g", *(_mark(mark, x, y) for _, mark in ordered), class_="marks"),
        *_labels(marks, x, y),
    ]
    plot = element(
        "svg", element("title", summary, id=f"{name}-title"), *inside, class_="area",
        height=HEIGHT, role="group", aria_labelledby=f"{name}-title",
    )  # fmt: skip
    return element("div", _left(y), element("div", plot, class_="room"), class_="plot", id=name)


def _down(side: Side, value: float) -> float:
    """Pixels from the top."""
    place = side.axis.place(value)
    return (place if side.down else 1 - place) * (HEIGHT - _FOOT - 10) + 10


def _left(y: Side) -> Markup:
    ticks = [
        element(
            "text", y.scale.tick(tick.value), x=_LEFT - 8, y=_down(y, tick.value) + 4, text_anchor="end", class_="tick"
        )
        for tick in y.axis.ticks(8)
    ]
    middle = (HEIGHT - _FOOT) / 2
    title = element(
        "text", y.title, x=12, y=middle, transform=f"rotate(-90 12 {middle:g})", text_anchor="middle", class_="axis"
    )
    return element("svg", title, *ticks, width=_LEFT, height=HEIGHT, class_="left", aria_hidden="true")


def _grid(x: Side, y: Side) -> Markup:
    base = HEIGHT - _FOOT
    made = []
    for tick in x.axis.ticks(9):
        at = share(tick.place)
        made.append(_upright(tick.place, "grid"))
        made.append(
            element("text", x.scale.tick(tick.value), x=at, y=base + 18, text_anchor="middle",
                    class_="tick minor" if tick.minor else "tick")
        )  # fmt: skip
    made += [_across(_down(y, tick.value), "grid") for tick in y.axis.ticks(8)]
    for side, across in ((x, False), (y, True)):
        if side.origin is not None and side.axis.holds(side.origin):
            made.append(_across(_down(side, side.origin)) if across else _upright(side.axis.place(side.origin)))
    made.append(_across(base, "base"))
    made.append(element("text", x.title, x="50%", y=HEIGHT - 6, text_anchor="middle", class_="axis"))
    return element("g", *made, aria_hidden="true")


def _across(level: float, kind: str = "origin") -> Markup:
    """A line from side to side, ``level`` pixels from the top."""
    return element("line", x1=0, x2="100%", y1=level, y2=level, class_=kind)


def _upright(place: float, kind: str = "origin") -> Markup:
    """A line from top to bottom, at a share of the width."""
    at = share(place)
    return element("line", x1=at, x2=at, y1=10, y2=HEIGHT - _FOOT, class_=kind)


def _feasible(name: str, x: Side, y: Side) -> Markup:
    """The region inside both limits, with the limits as lines."""
    if x.limit is None and y.limit is None:
        return Markup("")
    right = 1.0 if x.limit is None else x.axis.place(x.limit)
    top, bottom = 10.0, float(HEIGHT - _FOOT)
    if y.limit is not None:
        at = _down(y, y.limit)
        top, bottom = (top, at) if y.down else (at, bottom)
    made = [element("rect", x=0, y=top, width=share(right), height=max(bottom - top, 0.0), class_="feasible")]
    if x.limit is not None and x.axis.holds(x.limit):
        made.append(_upright(right, "limit"))
    if y.limit is not None and y.axis.holds(y.limit):
        made.append(_across(_down(y, y.limit), "limit"))
    if right > 0.25 and bottom - top > 40:
        made.append(element("text", "within the limits", x=8, y=top + 16, class_="region"))
    return element("g", *made, aria_hidden="true", id=f"{name}-feasible")


def _front(points: Sequence[tuple[float, float]], x: Side, y: Side) -> Markup:
    """The front as steps: what is worse than some point on it lies beyond the line."""
    if len(points) < 2:
        return Markup("")
    path = ""
    for index, (a, b) in enumerate(points):
        across, level = 1000 * x.axis.place(a), _down(y, b)
        path += f"M{across:.1f},{level:.1f}" if not index else f"H{across:.1f}V{level:.1f}"
    line = element("path", d=path, class_="front", vector_effect="non-scaling-stroke")
    return stretched(1000, HEIGHT, line)


def _mark(mark: Mark, x: Side, y: Side) -> Markup:
    at, level = share(x.axis.place(mark.x.value)), _down(y, mark.y.value)
    made = []
    if mark.x.low is not None and mark.x.high is not None:
        ends = share(x.axis.place(mark.x.low)), share(x.axis.place(mark.x.high))
        made.append(element("line", x1=ends[0], x2=ends[1], y1=level, y2=level, class_="whisker"))
    if mark.y.low is not None and mark.y.high is not None:
        made.append(element("line", x1=at, x2=at, y1=_down(y, mark.y.low), y2=_down(y, mark.y.high), class_="whisker"))
    made.append(element("circle", cx=at, cy=level, r=14, class_="target"))
    made.append(element("use", href=f"#shape-{_shape(mark)}", x=at, y=level, class_="shape"))
    if not y.axis.holds(mark.y.value) or not x.axis.holds(mark.x.value):
        made.append(element("text", "beyond", x=at, y=level - 10, text_anchor="middle", class_="beyond"))
    classes = f"mark {mark.state}{' final' if mark.final else ''}{'' if mark.accurate else ' inaccurate'}"
    return element("a", element("title", mark.about), *made, href=f"#{mark.anchor}", class_=classes)


def _shape(mark: Mark) -> str:
    if mark.state in ("refused", "best", "baseline"):
        return {"refused": "cross", "best": "star", "baseline": "square"}[mark.state]
    return "circle" if mark.accurate else "triangle"


def _labels(marks: Sequence[Mark], x: Side, y: Side) -> list[Markup]:
    """The names of the marks that have one, on the side where there is room."""
    made = []
    for mark in marks:
        if mark.label:
            place, level = x.axis.place(mark.x.value), _down(y, mark.y.value)
            dx, anchor = (-10, "end") if place > 0.7 else (10, "start")
            above = level - 12 if level > 34 else level + 24
            made.append(
                element("text", mark.label, x=share(place), y=above, dx=dx, text_anchor=anchor, class_="name",
                        aria_hidden="true")
            )  # fmt: skip
    return made


def shapes() -> Markup:
    """The shapes of the marks, once for all drawings of a page."""
    drawn = [element("path", d=path, id=f"shape-{name}") for name, path in _SHAPES.items()]
    return element("svg", element("defs", *drawn), width=0, height=0, class_="sr", aria_hidden="true")


def legend(entries: Sequence[tuple[str, str, str]]) -> Markup:
    """Shapes with their meaning: (shape, classes, words)."""
    made = []
    for shape, classes, words in entries:
        drawn = element("g", element("use", href=f"#shape-{shape}", class_="shape"), class_=f"mark {classes}")
        icon = element("svg", drawn, viewBox="-10 -10 20 20", width=16, height=16, aria_hidden="true")
        made.append(element("li", icon, " ", words))
    return element("ul", joined(made), class_="legend")


__all__ = ["HEIGHT", "Extent", "Mark", "Side", "legend", "scatter", "shapes"]
