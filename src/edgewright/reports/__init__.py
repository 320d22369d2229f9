"""Reports: one self-contained page made of a report's JSON, and nothing else."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from typing import Any


def render(report: Mapping[str, Any]) -> str:
    """The page of ``report.json``."""
    text = html.escape(json.dumps(report, indent=1))
    return f"<!doctype html><meta charset=utf-8><title>Edgewright</title><pre>{text}</pre>"
