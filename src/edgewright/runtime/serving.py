"""Serving as a program: where to listen, what to say, when to stop."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from edgewright.core.errors import EdgewrightError, InputError
from edgewright.runtime.desk import Desk
from edgewright.runtime.lanes.rpc import grpc_lane
from edgewright.runtime.loading.loader import Loader, Settings
from edgewright.runtime.repository import Repository
from edgewright.runtime.server import Address, Lane, Server
from edgewright.trust import load_public_key


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``edgewright serve`` takes besides the models."""
    parser.add_argument("--http", metavar="HOST:PORT", help="listen there (default 127.0.0.1:8000; port 0: a free one)")
    parser.add_argument("--grpc", metavar="HOST:PORT", help="listen there for gRPC, too; needs the extra 'grpc'")
    parser.add_argument("--uds", type=Path, metavar="PATH", help="listen at a Unix socket, too")
    parser.add_argument("--key", action="append", type=Path, metavar="FILE.pub", help="trust this key for bundles")
    parser.add_argument("--strict-readiness", action="store_true", help="be ready only while all models are")
    parser.add_argument("--insecure", action="store_true", help="listen beyond this machine without TLS and tokens")


def serve(path: Path, arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; requests that are being answered are answered. Exit status 0."""
    addresses = [Address.parse(arguments.http or "127.0.0.1:8000")]
    if arguments.uds is not None:
        addresses.append(Address(path=arguments.uds))
    rpc = None if arguments.grpc is None else Address.parse(arguments.grpc)
    far = [a for a in (*addresses, *([rpc] if rpc else [])) if not a.local]
    if far and not arguments.insecure:
        raise InputError(
            f"{far[0].host} can be reached from other machines, and there are no TLS and no tokens here yet; listen on "
            "127.0.0.1, or spell out --insecure"
        )
    beside: list[Callable[[Repository, Desk, Loader], Lane]] = []
    if rpc is not None:
        make, host, port = grpc_lane(), rpc.host, rpc.port
        beside.append(lambda repository, desk, _: make(repository, desk, host, port))
    keys = None if arguments.key is None else [load_public_key(key) for key in arguments.key]
    server = Server(Settings(path, keys), addresses, beside=beside, strict=arguments.strict_readiness)
    before = {number: signal.signal(number, lambda *_: server.stop()) for number in (signal.SIGINT, signal.SIGTERM)}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: server.loader.rescan())
    try:
        for line in _greeting(server.repository, (*server.addresses, *server.lanes)):
            _say(line)
        server.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _greeting(repository: Repository, addresses: Iterable[Address | Lane]) -> Iterable[str]:
    for entry in repository.index():
        yield f"model     {entry.name} {entry.version}".rstrip() + (f": {entry.reason}" if entry.reason else "")
    for address in addresses:
        yield f"listening {address}"


def _say(line: str) -> None:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def main(argv: list[str] | None = None) -> int:
    """``python -m edgewright.runtime``."""
    parser = argparse.ArgumentParser(prog="python -m edgewright.runtime", description="Serve models.")
    parser.add_argument("--models-dir", type=Path, required=True, metavar="PATH", help="a bundle, a model, or a folder")
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    try:
        return serve(arguments.models_dir, arguments)
    except EdgewrightError as error:
        _say(f"edgewright: {error}")
        return error.exit_status
