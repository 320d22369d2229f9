"""The data a command is given: the same options for every command that takes some."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgewright.core.errors import InputError

_JSON_LIMIT = 1 << 20
NO_LABELS = "none"


def add_data(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Declare the options."""
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data", required=required, metavar="DATA", help=".npz, folder of class folders of images, module:function"
    )
    data.add_argument(
        "--labels", metavar="NAME",
        help=f"the array that holds them (default: labels); {NO_LABELS}: judge by agreement with the original",
    )  # fmt: skip
    data.add_argument("--missing", choices=("refuse", "keep"), default="refuse", help="NaN (default refuse)")
    data.add_argument("--preprocessing", type=Path, metavar="JSON", help="of images: size, channels, mean, std, layout")


def reading(arguments: argparse.Namespace) -> dict[str, Any]:
    """What ``dataset`` takes beside the source. Raises InputError for an unusable preprocessing file."""
    return {
        "labels": False if arguments.labels == NO_LABELS else arguments.labels,
        "missing": arguments.missing,
        "preprocessing": None if arguments.preprocessing is None else _read_json(arguments.preprocessing),
    }


def again(arguments: argparse.Namespace) -> Iterator[str]:
    """The options that read the same data in the same way, defaults and the data themselves left out."""
    if arguments.labels is not None:
        yield from ("--labels", arguments.labels)
    if arguments.missing != "refuse":
        yield from ("--missing", arguments.missing)
    if arguments.preprocessing is not None:
        yield from ("--preprocessing", str(arguments.preprocessing))


def _read_json(path: Path) -> Any:
    from edgewright.core.files import read_file
    from edgewright.core.strict import parse_json

    try:
        found = parse_json(read_file(path, _JSON_LIMIT), _JSON_LIMIT)
    except ValueError as error:
        raise InputError(f"{path} cannot be used as preprocessing: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f'{path} cannot be used as preprocessing: write an object, such as {{"size": [224, 224]}}')
    return found
