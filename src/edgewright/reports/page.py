"""The page: one HTML file that loads nothing, made of a report's JSON and nothing else.

Scripts and styles stand inside, named by their digests in a content security policy, so that a browser would refuse
whatever a hostile report managed to smuggle in (W3C Content Security Policy Level 3, 2.3.1).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from edgewright.core.errors import MissingExtra
from edgewright.reports.reading import Report, items, read, text

_EARLY = 'document.documentElement.classList.add("js")'
"""Said before the page is drawn, so that nothing jumps: what only scripts can unfold starts folded."""


def render_page(report: Mapping[str, Any]) -> str:
    """The page. Raises InputError for what is no report of this schema, MissingExtra without jinja2."""
    template = _template()
    from markupsafe import Markup

    own = {"style": _asset("style.css"), "early": _EARLY, "script": _asset("page.js")}
    digests = {name: f"'sha256-{_digest(text)}'" for name, text in own.items()}
    policy = (
        f"default-src 'none'; style-src {digests['style']}; script-src {digests['early']} {digests['script']}; "
        "base-uri 'none'; form-action 'none'"
    )
    trusted = {name: Markup(text) for name, text in own.items()}  # noqa: S704 - shipped with the package
    return str(template.render(policy=policy, **trusted, **view(read(report)))) + "\n"


def view(report: Report) -> dict[str, Any]:
    """All that the template shows."""
    from edgewright.reports import answers, candidates, finalists, gates, headline, inside, limits, maps, origins

    rows = candidates.rows_of(report)
    shown = report.best or (report.nearest[0] if report.nearest else None)
    chosen = next((row for row in rows if row.entry is shown), None)
    return {
        "report": report,
        "name": origins.model_name(report),
        "verdict": headline.verdict(report),
        "means": headline.means(report),
        "tagline": headline.tagline(report),
        "tiles": headline.tiles(report),
        "bound": limits.bound_of(report),
        "rows": rows,
        "first": candidates.FIRST,
        "chosen": chosen,
        "maps": maps.maps_of(report, rows),
        "legend": maps.key_of(rows),
        "comparison": finalists.comparison(report, rows),
        "times": finalists.times(report, rows),
        "gaps": finalists.gaps(report),
        "answers": answers.answers_of(report),
        "profiles": inside.profiles_of(report),
        "steps": [] if shown is None else inside.steps_of(shown),
        "steps_of": inside.steps_of,
        "sensitivity": inside.sensitivity_of(report),
        "readiness": gates.readiness_of(report),
        "splits": origins.splits_of(report),
        "data": origins.data_facts(report),
        "notes": [said for note in items(report.raw.get("notes")) if (said := text(note))],
        "data_notes": origins.data_notes(report),
        "model": origins.model_facts(report),
        "settings": origins.settings_facts(report),
        "machine": origins.machine_facts(report),
        "target_facts": origins.target_facts(report),
        "target_notes": origins.target_notes(report),
    }


@cache
def _asset(name: str) -> str:
    return files("edgewright.reports").joinpath("templates", name).read_text("utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _template() -> Any:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtra("jinja2, which the report page is made with,", "compile") from error
    from edgewright.reports.plots.bars import bar

    environment = Environment(
        loader=PackageLoader("edgewright.reports"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.globals["bar"] = bar
    return environment.get_template("page.html.j2")
