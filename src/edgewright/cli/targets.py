"""``edgewright targets``: the machines Edgewright knows; show one with all its sources; detect this one."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgewright import targets
from edgewright.core.files import write_file
from edgewright.targets import NumberType, Target
from edgewright.targets.toml import dump


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    actions = parser.add_subparsers(dest="action", metavar="show NAME | detect")
    show = actions.add_parser("show", help="all figures of one target with units and sources")
    show.add_argument("name", help="a target's name, or the path of a .toml file of your own")
    detect = actions.add_parser("detect", help="measure this machine (under 2 s, once) and show it")
    detect.add_argument("-o", "--output", type=Path, help="write the target as a .toml file that --target accepts")
    for action in (show, detect):
        # Said before or after the action, they mean the same.
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON alone")
        action.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    """List, show or detect."""
    if arguments.action == "show":
        _show(targets.target(arguments.name), arguments.json)
    elif arguments.action == "detect":
        found = targets.measure_host()
        if arguments.output is not None:
            stem = re.sub(r"[^a-z0-9._-]+", "-", arguments.output.stem.lower()).strip("-._")[:64]
            write_file(
                arguments.output,
                dump(replace(found, name=stem if stem not in ("", targets.HOST) else "my-machine")).encode(),
            )
        _show(found, arguments.json)
        if arguments.output is not None and not arguments.json:
            print(f"\nwritten to {arguments.output}; use it with --target {arguments.output}")
    else:
        _list([targets.target(name) for name in targets.names()], arguments.json)
    return 0


def _list(found: Sequence[Target], as_json: bool) -> None:
    if as_json:
        print(json.dumps([target.to_json() for target in found], indent=2))
        return
    rows = [["name", "class", "cores", "RAM for a model", "fp32 peak", "int8 peak", "engines"]]
    rows += [
        [
            target.name, target.device_class, _cores(target), str(target.ram_model), _peak(target, "fp32"),
            _peak(target, "int8"), " ".join(target.engines),
        ]
        for target in found
    ]  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    for row in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip())
    print("\nPeaks are of all fast cores together, multiply-accumulates per second; accelerators are not counted.")
    print("edgewright targets show NAME lists every figure with its source.")


def _cores(target: Target) -> str:
    return str(int(target.cores)) + (f" ({int(target.fast_cores)} fast)" if target.fast_cores else "")


def _peak(target: Target, number_type: NumberType) -> str:
    return str(target.peak(number_type)) if number_type in target.compute else "-"


def _show(target: Target, as_json: bool) -> None:
    if as_json:
        print(json.dumps(target.to_json(), indent=2))
        return
    print(f"{target.title}\n{target.name}, class {target.device_class}, {target.architecture}\n")
    lists = [
        ("isa", " ".join(sorted(target.isa)) or "-", target.isa_source),
        ("engines", " ".join(target.engines), target.engines_source),
        ("number types", " ".join(target.number_types), target.number_types_source),
    ]
    rows = [(key, str(figure), figure.source) for key, figure in target.figures().items()]
    rows += [(f"{a.kind} {a.name}", " ".join(a.engines), a.source) for a in target.accelerators]
    width = shutil.get_terminal_size((120, 24)).columns
    for key, text, source in lists:
        print(_wrapped(f"{key:<14}", f"{text} [{source}]", width))
    first = max(len(key) for key, _, _ in rows)
    second = max(len(text) for _, text, _ in rows)
    print()
    for key, text, source in rows:
        print(_wrapped(f"{key:<{first}}  {text:<{second}}  ", source, width))
    if target.notes:
        print()
    for note in target.notes:
        print(_wrapped("", note, width))


def _wrapped(head: str, text: str, width: int) -> str:
    return textwrap.fill(head + text, max(width, len(head) + 40), subsequent_indent=" " * len(head))
