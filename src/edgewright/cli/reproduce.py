"""``edgewright reproduce``: a candidate of a report made again, and its bytes compared."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("report", type=Path, help="report.json of a run")
    parser.add_argument("--candidate", metavar="ID", help="which one (default: the best)")
    parser.add_argument("--model", metavar="PATH", help="the model, where it is not where the report says")
    parser.add_argument("--data", metavar="PATH", help="the data, where they are not where the report says")
    parser.add_argument("-o", "--out", type=Path, default=Path("again"), help="folder to write (default again)")
    parser.add_argument("--json", action="store_true", help="print JSON alone on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 with the same bytes, 1 with others (nothing is written then)."""
    from edgewright.cli._results import results_only
    from edgewright.flows.reproduce import reproduce

    with results_only():
        again = reproduce(arguments.report, arguments.candidate, model=arguments.model, data=arguments.data)
        path = again.write(arguments.out) if again.same else None
    if arguments.json:
        print(json.dumps({**again.to_json(), "path": None if path is None else str(path)}, indent=1))
    again.check()
    if not arguments.json:
        print(f"the same bytes: {again.model.digest}")
        print(f"candidate       {again.made.id}, {again.model.size_bytes:,} bytes, for {again.made.engine}")
        print(f"model           {path}")
    return 0
