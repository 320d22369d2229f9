"""Known-vulnerable releases of what ships: a dated table in the package, read without a network."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).with_name("advisories.toml")


@dataclass(frozen=True)
class Advisory:
    """One entry. ``affected`` is a version specifier (PEP 440), ``what`` a clause, ``source`` a public address."""

    package: str
    id: str
    affected: str
    what: str
    source: str


@dataclass(frozen=True)
class Advisories:
    """The table. ``date``: when the packages it is about, ``covered``, were last looked through."""

    date: str
    covered: tuple[str, ...]
    entries: tuple[Advisory, ...]

    def against(self, versions: Mapping[str, str]) -> list[tuple[str, Advisory]]:
        """The entries that hold for the named releases, each with its release; a version that is none matches all."""
        from packaging.specifiers import SpecifierSet  # onnxruntime brings it
        from packaging.version import InvalidVersion, Version

        found = []
        for entry in self.entries:
            release = versions.get(entry.package)
            if release is None:
                continue
            try:
                hit = SpecifierSet(entry.affected).contains(Version(release), prereleases=True)
            except InvalidVersion:
                hit = True
            if hit:
                found.append((release, entry))
        return found


@functools.cache
def advisories() -> Advisories:
    """The table of this release."""
    held = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return Advisories(held["date"], tuple(held["covered"]), tuple(Advisory(**entry) for entry in held["advisory"]))
