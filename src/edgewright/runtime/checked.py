"""Checked: what was found, and how it is told."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from edgewright.runtime import logs
from edgewright.runtime.config import BadConfig
from edgewright.runtime.loading.loader import explained
from edgewright.runtime.loading.sources import titled


@dataclass
class Checked:
    """``listening``: addresses; ``certificate``: until when it is valid; ``tokens``: how many have each role;
    ``models``: those that would answer; ``warnings`` keep nobody from being served, ``problems`` do."""

    listening: list[str] = field(default_factory=list)
    certificate: str = ""
    tokens: dict[str, int] = field(default_factory=dict)
    models: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def part(self, about: str = "") -> Iterator[None]:
        """Something that is looked at by itself: what is wrong with it is a problem, and the rest is looked at, too."""
        try:
            yield
        except BadConfig as error:
            self.problems += [f"{about}{problem}" for problem in error.problems]
        except Exception as error:  # noqa: BLE001 - whatever it is, it would keep that part from being served
            self.problems.append(f"{about}{explained(error)}")


def tell(found: Checked, as_json: bool) -> int:
    """Print it. Exit status 0 where nothing is wrong, else 1."""
    if as_json:
        sys.stdout.write(json.dumps({"ok": not found.problems, **asdict(found)}, indent=2) + "\n")
        return int(bool(found.problems))
    rows = [("listening", address) for address in found.listening]
    rows += [("tls", f"valid until {found.certificate}")] if found.certificate else []
    rows += (
        [("tokens", ", ".join(f"{count} may {role}" for role, count in found.tokens.items()))] if found.tokens else []
    )
    rows += [
        ("model", f"{titled(m['name'], m['version'], m['digest'])} on {m['engine']}, {m['provider']}")
        for m in found.models
    ]
    rows += [("warning", text) for text in found.warnings]
    rows += [("problem", text) for text in found.problems]
    told = [_count(found.problems, "problem"), *([_count(found.warnings, "warning")] if found.warnings else [])]
    rows += [("check", ", ".join(told))]
    sys.stdout.write("".join(f"{logs.printable(f'{what:<9} {text}')}\n" for what, text in rows))
    return int(bool(found.problems))


def _count(ones: list[str], what: str) -> str:
    return f"{len(ones) or 'no'} {what}{'s' * (len(ones) != 1)}"
