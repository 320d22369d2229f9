"""``edgewright serve``: a bundle, a model or a folder of them as a service."""

from __future__ import annotations

import argparse
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    from edgewright.runtime.options import add_arguments

    parser.add_argument("path", type=Path, help="a bundle, a model file, or a folder of them")
    add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 after SIGINT or SIGTERM."""
    from edgewright.runtime.serving import serve

    return serve(arguments.path, arguments)
