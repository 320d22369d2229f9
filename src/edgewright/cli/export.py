"""``edgewright export``: clients, projects and deployment templates made of a bundle."""

from __future__ import annotations

import argparse
import json
import textwrap
from pathlib import Path
from typing import Any


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("bundle", nargs="?", type=Path, help="a bundle, a folder or a single file")
    parser.add_argument("--kind", help="what to make; --list tells what there is")
    parser.add_argument("--list", action="store_true", help="the kinds: what each needs, what of it is verified")
    parser.add_argument("-o", "--out", type=Path, help="a new folder, or a file that ends in .zip (default: the kind)")
    parser.add_argument(
        "--signer", "--key", action="append", type=Path, metavar="FILE.pub",
        help="trust this key alone (may be given again; default: your own)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON alone on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 when it was written, whole; 1 where the bundle does not verify, 2 where it cannot be made of it."""
    from edgewright.core.errors import InputError
    from edgewright.exports import EXPORTS, export
    from edgewright.trust import load_public_key

    if arguments.list:
        if arguments.bundle is not None or arguments.kind is not None:
            raise InputError("--list tells what there is; give a bundle and --kind without it to make one")
        return _list(arguments.json)
    if arguments.bundle is None or arguments.kind is None:
        raise InputError(f"name a bundle and a kind: edgewright export BUNDLE --kind {'|'.join(EXPORTS)}")
    keys = None if arguments.signer is None else [load_public_key(key) for key in arguments.signer]
    made = export(arguments.bundle, arguments.kind, arguments.out or Path(arguments.kind), keys)
    if arguments.json:
        print(json.dumps(made.to_json(), indent=1))
        return 0
    print(f"{made.path}  {len(made.files)} files, {made.size_bytes:,} bytes")
    print(f"bundle    {made.identity['name']} {made.identity['version']} {made.identity['digest']}")
    if made.limit is not None:
        print(f"limit     {made.limit.size_bytes:,} bytes: {made.limit.what}{'' if made.fits else '; it is TOO LARGE'}")
    print("verified  " + ("in part, as its README.md says" if made.verified else "no, as its README.md says"))
    return 0


def _list(as_json: bool) -> int:
    from edgewright.exports import catalogue

    found = catalogue()
    if as_json:
        print(json.dumps(found, indent=1))
        return 0
    wrap = textwrap.TextWrapper(110, subsequent_indent=" " * 12, break_on_hyphens=False, break_long_words=False)
    for one in found:
        print(f"{one['kind']}{'' if one['verified'] else '  (unverified)'}")
        rows = [("is", one["title"]), ("needs", one["needs"]), ("verified", one["tested"] or "nothing.")]
        rows += [("not", one["untested"]), ("limit", _limit(one["limit"]))]
        for name, text in rows:
            if text:
                wrap.initial_indent = f"  {name:<9} "
                print(wrap.fill(text))
    return 0


def _limit(limit: dict[str, Any] | None) -> str:
    return "" if limit is None else f"{limit['size_bytes']:,} bytes: {limit['what']} ({limit['source']})"
