"""``edgewright why``: why a served model is slow, and why its requests are refused."""

from __future__ import annotations

import argparse
import json
from typing import Any

from edgewright.cli._server import add_access, connected
from edgewright.core.errors import EdgewrightError, InputError


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("server", metavar="URL", help="http://HOST:PORT, https://HOST:PORT or unix:PATH")
    parser.add_argument("model", metavar="MODEL", nargs="?", default="", help="NAME or NAME:VERSION (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON alone on standard output")
    add_access(parser)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 when the server told it."""
    from edgewright.cli._whys import page

    name, _, version = arguments.model.partition(":")
    with connected(arguments) as server:
        known = [e for e in server.index() if name in ("", e.get("name")) and version in ("", e.get("version"))]
        if name and not known:
            there = ", ".join(sorted({str(e.get("name", "")) for e in server.index()})) or "none"
            raise InputError(f"no model is named {arguments.model!r} there; there are: {there}")
        ready = [entry for entry in known if entry.get("state") == "READY"]
        told = server.statistics(*((name, version) if name and ready else ()))
    models: list[dict[str, Any]] = [m for m in told.get("model_stats", []) if ready and isinstance(m, dict)]
    if not isinstance(told.get("server"), dict) or not all(isinstance(one.get("why"), dict) for one in models):
        raise EdgewrightError(f"{arguments.server} does not say why: it is no Edgewright, or an older one")
    silent = [entry for entry in known if entry not in ready]
    if arguments.json:
        whys = [{"model": m["name"], "version": m["version"], **m["why"]} for m in models]
        print(json.dumps({"models": whys, "not_ready": silent, "server": told["server"]}, allow_nan=False))
    else:
        print(page(models, known, told["server"]))
    return 0
