"""Writes ``src/api/schema.ts``, the API's types for the pages, from the hub's OpenAPI document: run
``python studio/schema.py`` when routes changed. ``--check`` only says whether it is current (exit status 1: it is not).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
KEPT = HERE / "src" / "api" / "schema.ts"


def document() -> dict[str, object]:
    """The hub's."""
    from edgewright.hub.app import openapi

    return openapi()


def written() -> str:
    """The types as they should be."""
    sys.path.insert(0, str(HERE))
    import build_pages

    node = build_pages.prepared()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "openapi.json", Path(folder) / "schema.ts"
        source.write_text(json.dumps(document()))
        tool = HERE / "node_modules" / "openapi-typescript" / "bin" / "cli.js"
        subprocess.run([node, str(tool), str(source), "-o", str(target)], check=True, capture_output=True, cwd=HERE)
        return target.read_text()


if __name__ == "__main__":
    made = written()
    if sys.argv[1:] == ["--check"]:
        sys.exit(KEPT.read_text() != made)
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    KEPT.write_text(made)
