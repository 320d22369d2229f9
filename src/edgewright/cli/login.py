"""``edgewright login``: which hub the other commands speak to, and as whom."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("url", metavar="URL", help="https://HOST:PORT, or http://127.0.0.1:PORT on the hub's machine")
    parser.add_argument("--user", default="owner", metavar="NAME", help="(default %(default)s)")
    parser.add_argument("--tenant", default="", metavar="NAME", help="where the hub has several")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="PEM of the roots that the hub's certificate is under")
    parser.add_argument("--days", type=int, default=90, metavar="N", help="how long it holds (default %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 when the hub knows us."""
    from edgewright.client.login import log_in
    from edgewright.client.profile import Profile
    from edgewright.core.errors import InputError

    try:
        anchor = arguments.ca.read_text("ascii") if arguments.ca is not None else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--ca: {arguments.ca} is no file of certificates (PEM)") from error
    profile = Profile(arguments.url.rstrip("/"), anchor=anchor)
    profile.prepare()
    password = _asked("EDGEWRIGHT_PASSWORD", f"password of {arguments.user}: ")
    profile, account = log_in(profile, arguments.user, password, _new_password, arguments.tenant, arguments.days)
    path = profile.save()
    tenant = account["tenant"]
    note = " (development: its release key lies on the hub)" if tenant["development"] else ""
    print(f"logged in to {profile.url} as {account['user']['name']}, tenant {tenant['name']}{note}")
    print(f"the token lies in {path} and holds {arguments.days} days", file=sys.stderr)
    return 0


def _asked(variable: str, prompt: str) -> str:
    """From the environment, the terminal, or the first line of standard input: never from the arguments, which every
    user of the machine sees."""
    from edgewright.core.errors import InputError

    if variable in os.environ:
        return os.environ[variable]
    found = getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not found:
        raise InputError(f"a password is needed: type it, pipe it in, or set {variable}")
    return found


def _new_password() -> str:
    from edgewright.core.errors import InputError

    made = _asked("EDGEWRIGHT_NEW_PASSWORD", "this was a one-time password; choose your own, 12 characters or more: ")
    typed = sys.stdin.isatty() and "EDGEWRIGHT_NEW_PASSWORD" not in os.environ
    if typed and getpass.getpass("once more: ") != made:
        raise InputError("the two are not the same; nothing was changed, log in again")
    return made
