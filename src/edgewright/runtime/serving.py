"""Serving as a program: what to listen at, what to say, when to stop."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from edgewright.core.errors import EdgewrightError, InputError
from edgewright.core.priority import whole_session
from edgewright.runtime import logs
from edgewright.runtime.addresses import Address
from edgewright.runtime.config import Config
from edgewright.runtime.handles import handles
from edgewright.runtime.lanes.rpc import grpc_lane
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.loading.sources import titled
from edgewright.runtime.options import add_arguments, configured, listening
from edgewright.runtime.safety import Safety, demand, lacks
from edgewright.runtime.server import Beside, Server
from edgewright.runtime.trusted import Trusted


def serve(path: Path, arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; requests that are being answered are answered. SIGHUP: models,
    certificate and tokens are looked at again. Exit status 0."""
    if arguments.check:
        from edgewright.runtime.checked import tell
        from edgewright.runtime.checking import check

        return tell(check(path, arguments), arguments.json)
    if arguments.json:
        raise InputError("--json is about what --check finds; give both")
    config = configured(arguments)
    handler = logs.start(config.server.log_format or "text")
    try:
        return _serve(path, config, arguments)
    finally:
        logs.stop(handler)


def _serve(path: Path, config: Config, arguments: argparse.Namespace) -> int:
    safety, addresses = Safety.of(config.server), listening(config.server)
    for address in () if arguments.insecure else addresses:
        demand(address, config.server)
    beside = [_rpc(address, safety) for address in addresses if address.scheme == "grpc"]
    own = [address for address in addresses if address.scheme == "http"]
    keys = None if arguments.key is None else Trusted(arguments.key)
    try:
        with _signals({signal.SIGTERM: _give_up, signal.SIGHUP: None}):
            server = Server(Settings(path, keys, config), own, safety, beside)
    except KeyboardInterrupt:  # also SIGTERM
        logs.info("shutdown", "stopped before it served")
        return 0
    if told := handles(config.limits.connections):
        logs.warning("limits", told)
    if told := whole_session():
        logs.warning("priority", f"the nice value holds within this session alone: {told}; allow it (LimitNICE=)")
    with _signals({signal.SIGINT: server.stop, signal.SIGTERM: server.stop, signal.SIGHUP: server.refresh}):
        _greet(server, config)
        server.run()
    logs.info("shutdown", "served to the end")
    return 0


def _rpc(address: Address, safety: Safety) -> Beside:
    """What makes the gRPC lane. Raises MissingExtra."""
    make = grpc_lane()
    return lambda service, budget: make(service, address, budget, safety)


def _greet(server: Server, config: Config) -> None:
    there: dict[str, set[str]] = {}
    for entry in server.repository.index():
        there.setdefault(entry.name, set()).add(entry.version)
        if entry.state == "READY":  # of the others the loader has told
            title = titled(entry.name, entry.version, entry.digest)
            logs.info("model", title, model=entry.name, version=entry.version, digest=entry.digest)
    for told in (*config.strangers(there), *config.absent(there)):
        logs.warning("config", told)
    addresses = [address for lane in server.lanes for address in lane.addresses]
    for address in addresses:
        logs.info("listening", str(address), address=str(address))
    for address in addresses:
        if lacks(address, config.server):
            logs.warning("insecure", f"{address.host} can be reached from other machines, without TLS or tokens")


def _give_up() -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _signals(calls: dict[signal.Signals, Callable[[], None] | None]) -> Iterator[None]:
    """Call these when their signals come; None: nothing happens then."""
    before = {
        number: signal.signal(number, signal.SIG_IGN if call is None else lambda *_, call=call: call())
        for number, call in calls.items()
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(argv: list[str] | None = None) -> int:
    """``python -m edgewright.runtime``."""
    parser = argparse.ArgumentParser(prog="python -m edgewright.runtime", description="Serve models.")
    parser.add_argument("--models-dir", type=Path, required=True, metavar="PATH", help="a bundle, a model, or a folder")
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    try:
        return serve(arguments.models_dir, arguments)
    except EdgewrightError as error:
        sys.stderr.write(f"edgewright: {logs.printable(str(error))}\n")
        return error.exit_status
