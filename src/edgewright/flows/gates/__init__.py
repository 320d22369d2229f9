"""Gates: what a candidate must pass before it may ship. A gate is one file; its line below is the whole registration.

A gate's file holds a rule (values in, a Finding out, no clock and no file) and ``check(case)``, which gathers the
values. Third parties register a ``check`` under the entry-point group ``edgewright.gates``.
"""

from __future__ import annotations

from collections.abc import Callable

from edgewright.core.table import Table
from edgewright.flows.gates.case import Case
from edgewright.flows.gates.finding import Finding

Check = Callable[[Case], Finding]

TITLES = {
    "accuracy": "accuracy kept",
    "speed": "not slower, and within the limit",
    "memory": "memory within bounds",
    "consistency": "the same answer each time, at an even pace",
    "robustness": "no more fragile than the original",
    "load": "steady under load",
    "saturation": "8-bit overflow on CPUs without VNNI",
    "provenance": "known where it came from",
    "supply": "licences and known vulnerabilities",
    "code": "no custom code",
}
"""Our own gates in the order in which they are held and told."""

GATES = Table("gate", "gates", {name: f"edgewright.flows.gates.{name}:check" for name in TITLES})

REQUIRED = frozenset({"accuracy", "speed", "provenance", "supply", "code"})
"""A candidate is ready when no gate failed and these passed; others may be left unchecked, and the report says so."""

__all__ = ["GATES", "REQUIRED", "TITLES", "Case", "Check", "Finding"]
