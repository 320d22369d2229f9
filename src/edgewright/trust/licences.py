"""Licences as packages declare them, in SPDX's spelling, and what each asks of whoever ships the package."""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["permissive", "weak copyleft", "copyleft", "unknown"]
"""weak copyleft: changes to the library itself must be given away (LGPL, MPL, EPL). copyleft: all that is linked."""

_ORDER: tuple[Kind, ...] = ("permissive", "weak copyleft", "unknown", "copyleft")
_PERMISSIVE = re.compile(
    r"0BSD|AFL-\d.*|Apache-\d.*|Artistic-2\.0|BSD-[1-4]-Clause.*|BSL-1\.0|CC0-1\.0|CC-BY-\d\.\d|HPND|ISC|MIT(-0|-CMU)?"
    r"|NCSA|PSF-2\.0|Python-2\.0(\.1)?|Unlicense|X11|Zlib|ZPL-2\.1|libpng-2\.0|bzip2-1\.0\.6"
)
_WEAK = re.compile(r"LGPL-.*|MPL-.*|EPL-.*|CDDL-.*|EUPL-.*|CECILL-C|MS-RL")
_STRONG = re.compile(r"GPL-.*|AGPL-.*|SSPL-.*|OSL-.*|CECILL-2.*|Sleepycat|CC-BY-SA-.*")
_EXCEPTION = re.compile(r"GCC-exception-.*|Classpath-exception-.*|LLVM-exception|Autoconf-exception-.*", re.IGNORECASE)

# How the field "License" and the classifiers are written by packages that state no expression yet.
_SPELLED = {
    "mit license": "MIT", "the mit license": "MIT", "apache 2.0": "Apache-2.0", "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0", "apache software license": "Apache-2.0", "apache": "Apache-2.0",
    "3-clause bsd license": "BSD-3-Clause", "bsd 3-clause": "BSD-3-Clause", "bsd license": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause", "bsd": "BSD-3-Clause", "2-clause bsd license": "BSD-2-Clause",
    "isc license (iscl)": "ISC", "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0", "the unlicense (unlicense)": "Unlicense",
    "gnu general public license v2 (gplv2)": "GPL-2.0-only", "gnu general public license v3 (gplv3)": "GPL-3.0-only",
    "gnu general public license v3 or later (gplv3+)": "GPL-3.0-or-later", "gplv3": "GPL-3.0-only",
    "gnu lesser general public license v3 (lgplv3)": "LGPL-3.0-only", "lgpl": "LGPL-2.1-or-later",
    "gnu affero general public license v3": "AGPL-3.0-only", "gpl": "GPL-2.0-or-later",
}  # fmt: skip


def spdx(stated: str) -> str:
    """A stated licence as an SPDX expression; unchanged where we know no better spelling."""
    plain = " ".join(stated.split()).removeprefix("OSI Approved :: ")
    return _SPELLED.get(plain.lower(), plain)


def classify(stated: str) -> Kind:
    """What an SPDX expression (or a stated licence) asks. ``OR`` leaves the choice, ``AND`` joins, the worst counts.

    Brackets are read; an exception known to allow linking (``WITH GCC-exception-3.1``) makes its licence weak.
    """
    expression = spdx(stated)
    tokens = re.findall(r"\(|\)|[^\s()]+", expression)
    if not tokens:
        return "unknown"
    found, left = _either(tokens)
    return "unknown" if left else found


def _either(tokens: list[str]) -> tuple[Kind, list[str]]:
    best, left = _both(tokens)
    while left[:1] == ["OR"]:
        other, left = _both(left[1:])
        best = min(best, other, key=_ORDER.index)
    return best, left


def _both(tokens: list[str]) -> tuple[Kind, list[str]]:
    worst, left = _one(tokens)
    while left[:1] == ["AND"]:
        other, left = _one(left[1:])
        worst = max(worst, other, key=_ORDER.index)
    return worst, left


def _one(tokens: list[str]) -> tuple[Kind, list[str]]:
    if not tokens:
        return "unknown", ["end"]  # an operator without its second side: not all was read
    if tokens[0] == "(":
        found, left = _either(tokens[1:])
        return (found, left[1:]) if left[:1] == [")"] else ("unknown", [])
    found, left = _named(tokens[0]), tokens[1:]
    if left[:1] == ["WITH"]:
        linking = len(left) > 1 and _EXCEPTION.fullmatch(left[1])
        found = "weak copyleft" if linking and found == "copyleft" else found
        left = left[2:]
    return found, left


def _named(name: str) -> Kind:
    if _PERMISSIVE.fullmatch(name):
        return "permissive"
    if _WEAK.fullmatch(name):
        return "weak copyleft"
    return "copyleft" if _STRONG.fullmatch(name) else "unknown"
