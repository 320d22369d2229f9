"""``edgewright hub``: the control plane of a fleet."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    option = parser.add_argument
    option(
        "--data", type=Path, required=True, metavar="FOLDER", help="the hub's own files: keys, objects, its database"
    )
    option(
        "--listen", default="127.0.0.1:8443", metavar="HOST:PORT", help="for people and programs (default %(default)s)"
    )
    option("--database", default="", metavar="URL", help="postgresql://USER@HOST/NAME (default: SQLite in the folder)")
    option("--public-url", default="", metavar="URL", help="where people reach it, if not at that address")
    option("--new-tenant", metavar="NAME", help="make a tenant, print its owner's one-time password, and end")
    option("--development", action="store_true", help="with --new-tenant: its release key may lie online")
    option("--new-password", metavar="TENANT/USER", help="print a new one-time password for a user, and end")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 after SIGINT or SIGTERM."""
    from edgewright.core.errors import InputError
    from edgewright.hub.accounts import people
    from edgewright.hub.serving import Address, serve
    from edgewright.hub.state import open_state

    if arguments.development and arguments.new_tenant is None:
        raise InputError("--development is about a new tenant; give --new-tenant, too")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    address = Address.parse(arguments.listen)
    # A password in the arguments is seen by every user of the machine; in the environment it is not.
    url = arguments.database or os.environ.get("EDGEWRIGHT_DATABASE", "")
    with open_state(arguments.data, url, arguments.public_url.rstrip("/")) as state:
        if arguments.new_tenant is not None:
            _, password = people.make_tenant(state, arguments.new_tenant, "owner", arguments.development)
            print(f"tenant {arguments.new_tenant}: log in as 'owner' with the one-time password {password}")
            return 0
        if arguments.new_password is not None:
            tenant, _, user = arguments.new_password.partition("/")
            print(f"one-time password {people.reset_password(state, tenant, user)}")
            return 0
        first = people.make_first_tenant(state)
        if first is not None:
            print(f"first start: log in as 'owner' with the one-time password {first}", flush=True)
        serve(state, address, None, lambda url: print(f"listening at {url}", flush=True))
    print("stopped", file=sys.stderr)
    return 0
