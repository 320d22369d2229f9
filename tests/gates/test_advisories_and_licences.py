"""The two tables of the supply gate: vulnerable releases, and what licences ask."""

from __future__ import annotations

import datetime

import pytest
from packaging.specifiers import SpecifierSet

from edgewright.trust.advisories import Advisories, Advisory, advisories
from edgewright.trust.licences import Kind, classify, spdx


def test_every_entry_can_be_looked_up_and_read() -> None:
    table = advisories()
    datetime.date.fromisoformat(table.date)
    for entry in table.entries:
        SpecifierSet(entry.affected)
        assert entry.source.startswith("https://") and entry.what and entry.package in table.covered
        assert entry.id.startswith(("CVE-", "GHSA-", "release-")), entry.id
    assert {entry.package for entry in table.entries} == set(table.covered)


@pytest.mark.parametrize(
    ("package", "version", "named"),
    [
        ("cryptography", "44.0.0", {"CVE-2024-12797", "CVE-2026-26007", "CVE-2026-34073", "CVE-2026-69247"}),
        ("cryptography", "50.0.0", set()),
        ("protobuf", "5.29.4", {"CVE-2025-4565", "CVE-2026-0994"}),
        ("protobuf", "6.33.5", set()),
        ("numpy", "1.21.6", {"CVE-2021-41495", "CVE-2021-41496"}),
        ("numpy", "2.4.6", set()),
        ("onnxruntime", "1.28.2", {"release-1.28.3"}),
        ("onnxruntime", "1.31.1", set()),
        ("left-pad", "0.0.1", set()),
    ],
)
def test_releases_and_what_is_known_of_them(package: str, version: str, named: set[str]) -> None:
    assert {entry.id for _, entry in advisories().against({package: version})} == named


@pytest.mark.parametrize(
    ("version", "hit"), [("1.0", True), ("2.0", False), ("2.0rc1", False), ("not a version", True)]
)
def test_a_version_that_cannot_be_read_counts_as_hit(version: str, hit: bool) -> None:
    table = Advisories("2026-01-01", ("thing",), (Advisory("thing", "CVE-0", "<2.0", "breaks", "https://x"),))
    assert bool(table.against({"thing": version})) is hit


@pytest.mark.parametrize(
    ("stated", "kind"),
    [
        ("MIT", "permissive"),
        ("MIT License", "permissive"),
        ("BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0", "permissive"),
        ("Apache-2.0 OR BSD-3-Clause", "permissive"),
        ("OSI Approved :: Apache Software License", "permissive"),
        ("GPL-3.0-or-later", "copyleft"),
        ("GPL-3.0-or-later OR MIT", "permissive"),
        ("GPL-3.0-or-later AND MIT", "copyleft"),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", "weak copyleft"),
        ("GPL-2.0-only WITH Nonsense-exception", "copyleft"),
        ("MIT AND (LGPL-2.1-or-later OR AGPL-3.0-only)", "weak copyleft"),
        ("(MIT OR GPL-2.0-only) AND Apache-2.0", "permissive"),
        ("MIT AND Proprietary-1", "unknown"),
        ("MPL-2.0", "weak copyleft"),
        ("AGPL-3.0-only", "copyleft"),
        ("LicenseRef-Secret", "unknown"),
        ("", "unknown"),
        ("MIT OR", "unknown"),
        ("MIT AND", "unknown"),
        ("(MIT", "unknown"),
        ("MIT MIT", "unknown"),
        ("see the file", "unknown"),
    ],
)
def test_licences(stated: str, kind: Kind) -> None:
    assert classify(stated) == kind


def test_spelling() -> None:
    assert spdx("  MIT   License ") == "MIT" and spdx("3-Clause BSD License") == "BSD-3-Clause"
    assert spdx("Something Else") == "Something Else"
