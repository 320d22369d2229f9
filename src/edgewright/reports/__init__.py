"""Reports: one self-contained page made of a report's JSON, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def render(report: Mapping[str, Any]) -> str:
    """The page of ``report.json``: one HTML file, UTF-8, that loads nothing from anywhere.

    The same report gives the same text. Raises InputError for what is no report of a known schema, MissingExtra
    without jinja2.
    """
    from edgewright.reports.page import render_page

    return render_page(report)


__all__ = ["render"]
