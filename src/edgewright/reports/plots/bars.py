"""Small drawings inside tables and tiles: bars, dumbbells, gauges, and columns of channels."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from edgewright.reports.plots.svg import element, share, short

MOST_COLUMNS = 160


def bar(length: float, tone: str = "", low: float | None = None, high: float | None = None) -> Markup:
    """A bar of a share of the room, with its interval; decoration beside a number, so not read out."""
    made = [element("rect", x=0, y=2, width=share(_inside(length)), height=8, rx=2, class_=f"fill {tone}".strip())]
    if low is not None and high is not None and high > low:
        ends = share(_inside(low)), share(_inside(high))
        made.append(element("line", x1=ends[0], x2=ends[1], y1=6, y2=6, class_="whisker"))
        made += [element("line", x1=at, x2=at, y1=3, y2=9, class_="whisker") for at in ends]
    return element("svg", *made, class_="bar", height=12, aria_hidden="true")


def gauge(used: float, low: float | None, high: float | None, *, kept: bool) -> Markup:
    """How much of a limit is used: the limit stands at four fifths, the interval is drawn, 1 is the limit."""
    at = [0.8 * _inside(x, 1.25) for x in (used, low if low is not None else used, high if high is not None else used)]
    made = [
        element("rect", x=0, y=5, width="100%", height=8, rx=4, class_="track"),
        element("rect", x=0, y=5, width=share(at[0]), height=8, rx=4, class_="fill good" if kept else "fill bad"),
    ]
    if low is not None and high is not None:
        made.append(element("line", x1=share(at[1]), x2=share(at[2]), y1=9, y2=9, class_="whisker"))
    made.append(element("line", x1="80%", x2="80%", y1=0, y2=18, class_="limit"))
    return element("svg", *made, class_="gauge", height=18, aria_hidden="true")


def dumbbell(
    before: float, after: float, least: float, most: float, reach: tuple[float, float] | None = None
) -> Markup:
    """A value before (open) and after (full) on an axis from ``least`` to ``most``; ``reach``: the interval after."""
    width = (most - least) or 1.0

    def at(value: float) -> str:
        return share(0.03 + 0.94 * _inside((value - least) / width))

    tone = "worse" if after < before else "better" if after > before else "same"
    made = [element("line", x1="3%", x2="97%", y1=8, y2=8, class_="track")]
    if reach is not None:
        made.append(element("line", x1=at(reach[0]), x2=at(reach[1]), y1=8, y2=8, class_="reach"))
    made.append(element("line", x1=at(before), x2=at(after), y1=8, y2=8, class_=f"moved {tone}"))
    made.append(element("circle", cx=at(before), cy=8, r=4.5, class_="before"))
    made.append(element("circle", cx=at(after), cy=8, r=4, class_=f"after {tone}"))
    return element("svg", *made, class_="dumbbell", height=16, aria_hidden="true")


def channels(groups: Sequence[tuple[float, float]], about: str) -> Markup:
    """A column for each group of channels: its height all of them, filled what was kept. Many groups: the first 160."""
    shown = groups[:MOST_COLUMNS]
    most = max((total for _, total in shown), default=0) or 1
    step = 1000 / max(len(shown), 12)

    def columns(heights: Sequence[float]) -> str:
        wide = short(0.8 * step)
        starts = (short((k + 0.1) * step) for k in range(len(heights)))
        return "".join(f"M{x},{short(60 - h)}h{wide}V60h-{wide}z" for x, h in zip(starts, heights, strict=True))

    gone = element("path", d=columns([56 * total / most for _, total in shown]), class_="gone")
    stays = element("path", d=columns([56 * min(kept, total) / most for kept, total in shown]), class_="stays")
    return element(
        "svg", element("title", about), gone, stays, class_="channels", viewBox="0 0 1000 62",
        preserveAspectRatio="none", height=62, role="img",
    )  # fmt: skip


def _inside(value: float, most: float = 1.0) -> float:
    return min(max(value, 0.0), most)
