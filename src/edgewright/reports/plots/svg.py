"""SVG as text: elements with escaped content and short numbers, the same for the same values."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

Value = str | float | int | None


def element(name: str, *children: str | Markup, **attributes: Value) -> Markup:
    """``<name ...>children</name>``. Underscores in attributes stand for hyphens; ``class_`` and ``id`` as in Python.

    Attributes of None are left out; text that is not Markup is escaped.
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(short(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(str(escape(child)) for child in children)
    return Markup(f"<{name}{told}>{inside}</{name}>" if inside else f"<{name}{told}/>")  # noqa: S704 - escaped above


def joined(parts: Sequence[Markup]) -> Markup:
    """Elements one after the other."""
    return Markup("").join(parts)


def short(value: Value) -> str:
    """A number with at most two decimals."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) >= 0.005 else "0"


def share(value: float) -> str:
    """A place between 0 and 1 as a percentage."""
    return f"{short(100.0 * value)}%"


def stretched(width: float, height: float, *children: Markup) -> Markup:
    """A nested drawing whose own units fill the room there is; lines keep their width. Not read out."""
    return element(
        "svg", *children, viewBox=f"0 0 {short(width)} {short(height)}", preserveAspectRatio="none",
        width="100%", height="100%", aria_hidden="true",
    )  # fmt: skip
