"""``edgewright audit``: export a hub's audit log, and hold one against itself and against its signed heads."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    export = actions.add_parser("export", help="the whole log, one JSON line each, and its signed head beside it")
    export.add_argument("log", type=Path, metavar="FILE")
    verify = actions.add_parser("verify", help="whether a log was rewritten or cut")
    verify.add_argument("log", type=Path, help="what GET /api/edge/audit/export answered")
    verify.add_argument("--heads", type=Path, required=True, metavar="FOLDER", help="signed heads, kept elsewhere")
    verify.add_argument("--key", type=Path, required=True, metavar="FILE.pub", help="the hub's key, as kept before")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 for a log that is whole, 1 for any other."""
    if arguments.action == "export":
        return _export(arguments.log)
    from edgewright.hub.accounts.chain import examine
    from edgewright.hub.accounts.heads import read_heads
    from edgewright.trust import load_public_key

    marks = read_heads(arguments.heads, [load_public_key(arguments.key)])
    finding = examine(marks[0].tenant, _lines(arguments.log), marks)
    print(f"{finding.state}: {finding.told}")
    return 0 if finding.state == "whole" else 1


def _export(path: Path) -> int:
    """The log, and beside it FILE.heads/ with the head that the hub signed over it, and the hub's key."""
    from edgewright.client import Hub
    from edgewright.core.digests import canonical_json
    from edgewright.core.files import write_file

    with Hub.known() as hub:
        head = hub.get("/audit/head")  # before the log, which may grow meanwhile
        data = hub.data("/audit/export")
    heads = path.with_name(f"{path.name}.heads")
    heads.mkdir(exist_ok=True)
    signed = heads / f"{head['head']['number']:012d}.head"
    write_file(path, data)
    write_file(heads / "hub.pub", head["key"].encode())
    write_file(signed, canonical_json(head["head"]))
    write_file(signed.with_suffix(".head.sig"), canonical_json(head["signature"]) + b"\n")
    count = data.count(b"\n")
    print(f"{count:,} lines in {path}; keep {heads} elsewhere: a log that is rewritten later does not agree with it")
    print(f"edgewright audit verify {path} --heads {heads} --key {heads / 'hub.pub'}")
    return 0


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    from edgewright.core.errors import InputError
    from edgewright.core.strict import parse_json

    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                value = parse_json(line, 1 << 20)
                if not isinstance(value, dict):
                    raise InputError(f"line {number} of {path} is no line of an audit log")
                yield value
    except ValueError as error:
        raise InputError(f"{path} cannot be read: {error}") from error
