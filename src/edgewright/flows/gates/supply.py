"""Supply: what ships with the model - its licences, and whether its releases are known to be vulnerable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgewright.bundles.bom import licences, runtime_libraries
from edgewright.flows.gates.case import Case
from edgewright.flows.gates.finding import Finding, failed, passed, unchecked
from edgewright.trust.advisories import Advisories, advisories
from edgewright.trust.licences import classify, spdx


@dataclass(frozen=True)
class Library:
    """A package that ships. ``licence``: as it declares it, "" where it says nothing."""

    version: str
    licence: str


def judge(libraries: Mapping[str, Library], table: Advisories) -> Finding:
    """Fails on a vulnerable release and on a licence that asks for all that is linked to be given away."""
    kinds = {name: classify(library.licence) for name, library in libraries.items()}
    hits = table.against({name: library.version for name, library in libraries.items()})
    uncovered = sorted(set(libraries) - set(table.covered) - {"edgewright"})
    evidence: dict[str, Any] = {
        "libraries": {
            name: {"version": library.version, "licence": spdx(library.licence), "kind": kinds[name]}
            for name, library in sorted(libraries.items())
        },
        "advisories": [{"package": a.package, "version": v, "id": a.id, "affected": a.affected, "what": a.what,
                        "source": a.source} for v, a in hits],
        "advisories_as_of": table.date, "advisories_cover": list(table.covered), "not_covered": uncovered,
    }  # fmt: skip
    if hits:
        version, first = hits[0]
        more = f", and {len(hits) - 1} more" if len(hits) > 1 else ""
        return failed(f"{first.package} {version} has {first.id}: {first.what}{more}; upgrade it", **evidence)
    strong = sorted(name for name, kind in kinds.items() if kind == "copyleft")
    if strong:
        told = ", ".join(f"{name} ({spdx(libraries[name].licence)})" for name in strong)
        return failed(f"copyleft: {told} asks that what is linked to it be given away", **evidence)
    unknown = sorted(name for name, kind in kinds.items() if kind == "unknown")
    if unknown:
        return unchecked(f"the licence of {', '.join(unknown)} is not known; look at it", **evidence)
    weak = sorted(name for name, kind in kinds.items() if kind == "weak copyleft")
    parts = [
        f"{len(libraries)} libraries, all under permissive licences" if not weak
        else f"{len(libraries)} libraries; {', '.join(weak)} under a weak copyleft licence: give away changes to it",
        f"no advisory known as of {table.date} for {', '.join(n for n in table.covered if n in libraries)}",
        "later ones were not looked up",
    ]  # fmt: skip
    return passed("; ".join(parts), **evidence)


def check(case: Case) -> Finding:
    """The installed releases that the bundle's bill of materials names."""
    found = runtime_libraries([case.candidate.engine])
    return judge({name: Library(d.version, _stated(licences(d))) for name, d in found.items()}, advisories())


def _stated(declared: list[dict[str, Any]]) -> str:
    for entry in declared:
        if "expression" in entry:
            return str(entry["expression"])
        named = entry["license"]
        return str(named.get("id") or named.get("name") or "")
    return ""
