"""The style sheet: one set of tokens, light and dark, with enough contrast to read (WCAG 2.2, 1.4.3)."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

STYLE = files("edgewright.reports").joinpath("templates", "style.css").read_text("utf-8")
PAIRS = [
    *((ink, ground) for ink in ("ink", "muted", "accent") for ground in ("ground", "surface", "wash")),
    *((tone, f"{tone}-wash") for tone in ("accent", "good", "attention", "bad", "unknown")),
    *((tone, "surface") for tone in ("good", "attention", "bad", "unknown")),
    *(("ink", wash) for wash in ("accent-wash", "attention-wash", "bad-wash")),
    ("muted", "accent-wash"),
    ("attention", "ground"),
]  # fmt: skip


def tokens(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{3,6})\b", block))


def themes() -> dict[str, dict[str, str]]:
    blocks = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    return dict(zip(("light", "dark", "print"), (tokens(block) for block in blocks), strict=True))


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(2 * d for d in digits) if len(digits) == 3 else digits
    channels = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
@pytest.mark.parametrize(("ink", "ground"), PAIRS)
def test_text_can_be_read(theme: str, ink: str, ground: str) -> None:
    found = themes()[theme]
    a, b = sorted((luminance(found[ink]), luminance(found[ground])), reverse=True)
    assert (a + 0.05) / (b + 0.05) >= 4.5, f"{ink} on {ground}, {theme}"


def test_every_theme_sets_the_same_tokens() -> None:
    light, dark, paper = (set(theme) for theme in themes().values())
    assert light == dark
    assert paper <= light


def test_every_token_used_is_set_and_colours_stand_in_tokens_only() -> None:
    used = set(re.findall(r"var\(--([\w-]+)\)", STYLE))
    assert used <= set(re.findall(r"--([\w-]+):", STYLE))
    outside = re.sub(r":root \{.*?\}", "", STYLE, flags=re.DOTALL)
    assert re.findall(r"#[0-9a-f]{3,6}\b(?![^{]*\{)", outside) == []
