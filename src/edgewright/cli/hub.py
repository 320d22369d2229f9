"""``edgewright hub``: the control plane of a fleet."""

from __future__ import annotations

import argparse
import contextlib
import gc
import logging
import os
import sys
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgewright.hub.jobs.keeper import Keeper
    from edgewright.hub.serving import Address, Devices
    from edgewright.hub.state import State


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    option = parser.add_argument
    option(
        "role", nargs="?", choices=("worker",),
        help="worker: do jobs for a hub with this database, here or on another machine; listen to nobody",
    )  # fmt: skip
    option(
        "--data", type=Path, required=True, metavar="FOLDER", help="the hub's own files: keys, objects, its database"
    )
    option(
        "--listen", default="127.0.0.1:8443", metavar="HOST:PORT", help="for people and programs (default %(default)s)"
    )
    option(
        "--certificate", type=Path, metavar="FILE",
        help="TLS for people: a chain in PEM (default: the hub's own CA issues one where --listen is not the loopback)",
    )  # fmt: skip
    option("--certificate-key", type=Path, metavar="FILE", help="the certificate's key in PEM, if not in the same file")
    option(
        "--device-listen", default="127.0.0.1:8444", metavar="HOST:PORT",
        help="for devices, with TLS of the hub's own CA (default %(default)s)",
    )  # fmt: skip
    option(
        "--device-name", action="append", default=[], metavar="NAME",
        help="a host name or address by which devices reach it; may be given again (default: that of --device-listen)",
    )  # fmt: skip
    option("--workers", type=int, default=1, metavar="N", help="processes at the same ports (default %(default)s)")
    option(
        "--jobs", type=int, default=1, metavar="N",
        help="jobs at a time, by a worker beside the hub; 0: none here (default %(default)s)",
    )  # fmt: skip
    option("--database", default="", metavar="URL", help="postgresql://USER@HOST/NAME (default: SQLite in the folder)")
    option("--objects", default="", metavar="URL", help="s3://BUCKET/PREFIX for bundles (default: in the folder)")
    option(
        "--private-webhooks", action="store_true",
        help="owners of tenants may have webhooks at addresses of this machine and its network",
    )  # fmt: skip
    option("--public-url", default="", metavar="URL", help="where people reach it, if not at that address")
    option("--open", action="store_true", help="open the studio in this machine's browser once the hub listens")
    option("--unit", action="store_true", help="print a systemd unit with these options, and end")
    option("--new-tenant", metavar="NAME", help="make a tenant, print its owner's one-time password, and end")
    option("--development", action="store_true", help="with --new-tenant: its release key may lie online")
    option(
        "--plan", metavar="TENANT=PLAN",
        help="give a tenant limits and end: starter, team, unlimited, or models=50,storage_bytes=20GB",
    )  # fmt: skip
    option("--new-password", metavar="TENANT/USER", help="print a new one-time password for a user, and end")
    option(
        "--mail", metavar="URL",
        help="keep the account that alerts are mailed from, smtps://USER@HOST?from=ADDRESS, and end; its password is "
        "read from EDGEWRIGHT_MAIL_PASSWORD",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 after SIGINT or SIGTERM."""
    from edgewright.core.errors import InputError

    if arguments.development and arguments.new_tenant is None:
        raise InputError("--development is about a new tenant; give --new-tenant, too")
    if not 1 <= arguments.workers <= 64:
        raise InputError(f"--workers is 1 to 64, not {arguments.workers}")
    if not (arguments.role is not None) <= arguments.jobs <= 64:
        raise InputError(f"--jobs is {int(arguments.role is not None)} to 64, not {arguments.jobs}")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    works = arguments.role == "worker" and not arguments.unit
    return _work(arguments) if works else _serve(arguments)


def _serve(arguments: argparse.Namespace) -> int:
    """The hub, until SIGINT or SIGTERM, or what is done once to its folder."""
    if any(one is not None for one in (arguments.new_tenant, arguments.new_password, arguments.mail, arguments.plan)):
        return _once(arguments)
    gc.disable()  # looking for garbage in all that a hub consists of takes a fifth of its start
    try:
        from edgewright.hub.accounts import people
        from edgewright.hub.serving import Address, Devices, bind, serve
        from edgewright.hub.workers import inherited, supervise
    finally:
        gc.enable()

    addresses = [Address.parse(text) for text in (arguments.listen, arguments.device_listen)]
    if arguments.unit:
        print(_unit(arguments.data, arguments.workers), end="")
        return 0
    given = inherited()
    if arguments.workers > 1 and given is None:
        sockets = [bind(address) for address in addresses]
        with _beside(arguments) as keeper:
            words = [sys.executable, "-m", "edgewright", *sys.argv[1:]]
            return supervise(sockets, words, arguments.workers, keeper.renew if keeper is not None else lambda: None)
    with _state(arguments) as state:
        first = people.make_first_tenant(state)
        if first is not None:
            print(f"first start: log in as 'owner' with the one-time password {first}", flush=True)
        people_at, devices_at = given.sockets if given is not None else map(bind, addresses)
        devices = Devices.at(addresses[1], arguments.device_name, devices_at)

        def ready(url: str) -> None:
            if given is None or given.first:
                print(f"listening at {url}\ndevices at {devices.url}", flush=True)
            if given is not None:
                given.tell()
            if arguments.open and (given is None or given.first):
                webbrowser.open(f"{url}/edge-ai")

        with _beside(arguments) if given is None else contextlib.nullcontext():
            serve(state, people_at, _certificates(arguments, state, addresses[0], devices), ready, devices)
    print("stopped", file=sys.stderr)
    return 0


@contextlib.contextmanager
def _state(arguments: argparse.Namespace) -> Iterator[State]:
    """What the hub stands on, looked through."""
    from edgewright.hub.objects import objects
    from edgewright.hub.soundness import check_authority
    from edgewright.hub.state import open_state

    # A password in the arguments is seen by every user of the machine; in the environment it is not.
    url = arguments.database or os.environ.get("EDGEWRIGHT_DATABASE", "")
    with open_state(
        arguments.data, url, arguments.public_url.rstrip("/"), arguments.objects, arguments.private_webhooks
    ) as state:
        check_authority(state.folder, state.database.engine)
        objects(state)  # refused now, not at the first upload
        yield state


def _once(arguments: argparse.Namespace) -> int:
    """What is done to the hub's folder, whether it runs or not."""
    from edgewright.hub.accounts import people
    from edgewright.hub.alerts import mail
    from edgewright.hub.plans import set_plan

    with _state(arguments) as state:
        if arguments.new_tenant is not None:
            _, password = people.make_tenant(state, arguments.new_tenant, "owner", arguments.development)
            print(f"tenant {arguments.new_tenant}: log in as 'owner' with the one-time password {password}")
        elif arguments.new_password is not None:
            tenant, _, user = arguments.new_password.partition("/")
            print(f"one-time password {people.reset_password(state, tenant, user)}")
        elif arguments.plan is not None:
            tenant, _, text = arguments.plan.partition("=")
            print(set_plan(state, tenant, text))
        else:
            account = mail.read_account(arguments.mail, os.environ.get("EDGEWRIGHT_MAIL_PASSWORD", ""))
            mail.keep_account(state, account)
            print(f"alerts are mailed from {account.sender} by {account.host}:{account.port}")
    return 0


def _work(arguments: argparse.Namespace) -> int:
    """A worker, until SIGINT or SIGTERM."""
    import signal
    import threading

    from edgewright.core import sandbox
    from edgewright.hub.jobs.keeper import PARENT
    from edgewright.hub.jobs.worker import work
    from edgewright.hub.objects import objects
    from edgewright.hub.state import open_state

    numbers = (signal.SIGINT, signal.SIGTERM)
    over, parent = threading.Event(), os.environ.pop(PARENT, "")
    for number in numbers:
        signal.signal(number, lambda *_: over.set())
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    if parent:
        sandbox.die_with_parent(int(parent))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both: the hub is the one to say when
    url = arguments.database or os.environ.get("EDGEWRIGHT_DATABASE", "")
    with open_state(arguments.data, url, objects=arguments.objects) as state:
        objects(state)  # refused now, not at the first job
        work(state, arguments.jobs, over, lambda id_: print(f"worker {id_} takes jobs", flush=True))
    if not parent:
        print("stopped", file=sys.stderr)
    return 0


def _beside(arguments: argparse.Namespace) -> contextlib.AbstractContextManager[Keeper | None]:
    """The worker beside this hub, if it is to have one."""
    from edgewright.hub.jobs.keeper import Keeper

    if not arguments.jobs:
        return contextlib.nullcontext()
    words = ["--data", str(arguments.data), "--jobs", str(arguments.jobs)]
    return Keeper([*words, "--objects", arguments.objects] if arguments.objects else words, arguments.database)


def _certificates(arguments: argparse.Namespace, state: State, address: Address, devices: Devices) -> Any:
    """TLS for people; None on the loopback, where nobody asked for it."""
    from edgewright.core.errors import InputError
    from edgewright.hub.certificates import Certificates

    if arguments.certificate is not None:
        key = arguments.certificate_key or arguments.certificate
        return Certificates(state, (), (arguments.certificate, key))
    if arguments.certificate_key is not None:
        raise InputError("--certificate-key belongs to a certificate; give --certificate, too")
    return None if address.loopback else Certificates(state, devices.names)


def _unit(data: Path, workers: int) -> str:
    """With the options that were given, and the folder by its whole path."""
    import shutil

    from edgewright.hub.unit import unit

    found = shutil.which("edgewright")
    words, rest = [found] if found else [sys.executable, "-m", "edgewright"], iter(sys.argv[1:])
    for word in rest:
        if word == "--data":
            words += [word, str(data.resolve())]
            next(rest, None)
        elif word != "--unit":
            words.append(f"--data={data.resolve()}" if word.startswith("--data=") else word)
    return unit(str(data.resolve()), words, workers)
