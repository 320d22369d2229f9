"""The pages' sources: types hold, the API's are current, all words stand in one place, licences are permissive."""

import json
import re
import subprocess
import sys
from pathlib import Path

from edgewright.measurement.metrics import METRICS

STUDIO = Path(__file__).parents[2] / "studio"
# MPL-2.0 covers files, and these are tools: nothing of them is in what ships.
TOOLS = {"axe-core", "lightningcss"}
SAID_IN_ITS_README = {"combine-errors"}  # MIT; what tus-js-client takes for Node.js, nothing of it is in what ships
PERMISSIVE = re.compile(
    r"^\(?(MIT|ISC|0BSD|BSD-[23]-Clause|Apache-2\.0|BlueOak-1\.0\.0|Unlicense|CC0-1\.0|Python-2\.0)\b"
)


def test_types_hold(node):
    status, told = node("typescript/bin/tsc", "--noEmit")
    assert status == 0, told


def test_the_types_of_the_api_are_current(build):
    build.prepared()
    done = subprocess.run([sys.executable, str(STUDIO / "schema.py"), "--check"], capture_output=True, check=False)
    assert done.returncode == 0, f"run python studio/schema.py: {done.stderr.decode()[-500:]}"


def test_nothing_is_built_again_when_nothing_changed(build):
    assert build.build() is False


def test_what_the_pages_stand_on_is_permissive():
    lock = json.loads((STUDIO / "package-lock.json").read_text())["packages"]
    for path, one in lock.items():
        name = path.rpartition("node_modules/")[2]
        if path and name not in TOOLS | SAID_IN_ITS_README and not name.startswith("lightningcss-"):
            assert PERMISSIVE.match(one.get("license", "")), (name, one.get("license"))
        assert one.get("resolved", "https://registry.npmjs.org/").startswith("https://registry.npmjs.org/")


def test_words_stand_in_one_place():
    """Text between tags, and words in attributes that people read, come from ``words/``."""
    spoken = re.compile(r">\s*[A-Z][a-z]+[^<>{}=;()]*</|(?:title|label|placeholder|aria-label|hint)=\"[A-Za-z]")
    found = [
        f"{path.relative_to(STUDIO)}: {match.group()}"
        for path in sorted((STUDIO / "src").rglob("*.tsx"))
        for match in spoken.finditer(path.read_text())
    ]
    assert found == []


def test_every_metric_has_a_word():
    words = re.search(r"  metrics: \{(.*?)\n  \}", (STUDIO / "src/words/studio.ts").read_text(), re.DOTALL)
    assert sorted(re.findall(r"\b(\w+): \"", words[1])) == sorted(METRICS)


def test_the_licences_of_what_ships_ship_too(build):
    told = (build.PAGES / "licences.txt").read_text()
    for name in ("react-dom ", "echarts ", "zrender ", "wouter ", "tus-js-client ", "@tanstack/react-query "):
        assert f"\n{name}" in told
    assert told.count("Permission is hereby granted") > 5 and "Apache License" in told
