"""A server that a command asks: its URL, the token it wants, the certificates to trust."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright.core.errors import InputError

if TYPE_CHECKING:
    from edgewright.runtime.remote import Remote

URLS = ("http://", "https://", "unix:")


def add_access(parser: argparse.ArgumentParser) -> None:
    """Declare what a guarded server is asked with."""
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="holds the token that the server wants")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="trust these certificates, and not the system's")


@contextlib.contextmanager
def connected(arguments: argparse.Namespace) -> Iterator[Remote]:
    """A connection to ``arguments.server``. Raises InputError for a file that holds no token, or what is no URL."""
    from edgewright.core.files import read_file
    from edgewright.runtime.remote import Remote

    token = ""
    if arguments.token_file is not None:
        token = read_file(arguments.token_file, 4096).decode("ascii", "replace").strip()
        if not token.isprintable() or not token.isascii() or not token or " " in token:
            raise InputError(f"{arguments.token_file} holds no token: one line of printable characters")
    with Remote(arguments.server, token, arguments.ca) as client:
        yield client
