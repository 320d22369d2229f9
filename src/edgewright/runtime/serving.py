"""Serving as a program: where to listen, whom to let in, what to say, when to stop."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edgewright.core.errors import EdgewrightError, InputError
from edgewright.runtime import logs
from edgewright.runtime.access import Tokens, new_token
from edgewright.runtime.config import ALL, Config, ServerTable, load_config
from edgewright.runtime.lanes.limits import Limits
from edgewright.runtime.lanes.rpc import grpc_lane
from edgewright.runtime.lanes.tls import Certificate
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.loading.sources import titled
from edgewright.runtime.server import Address, Lane, Safety, Server
from edgewright.trust import load_public_key


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``edgewright serve`` takes besides the models."""
    add = parser.add_argument
    add("--config", type=Path, metavar="FILE", help="runtime.toml; options given here win over it")
    add("--http", metavar="HOST:PORT", help="listen there (default 127.0.0.1:8000; port 0: a free one)")
    add("--grpc", metavar="HOST:PORT", help="listen there for gRPC, too; needs the extra 'grpc'")
    add("--uds", type=Path, metavar="PATH", help="listen at a Unix socket, too")
    add("--key", action="append", type=Path, metavar="FILE.pub", help="trust this key for bundles")
    add("--tls-certificate", type=Path, metavar="PEM", help="the certificate and those that vouch for it")
    add("--tls-key", type=Path, metavar="PEM", help="its key")
    add("--tokens", type=Path, metavar="FILE", help="ask for one of the tokens whose hashes stand there")
    add("--new-token", action=_NewToken, metavar="FILE", help="print a new token, add its hash to FILE, and end")
    add("--strict-readiness", action="store_true", default=None, help="be ready only while all models are")
    add("--insecure", action="store_true", help="listen beyond this machine without TLS and tokens")
    add("--log-format", choices=("text", "json"), help="one line, or one JSON object, per event (default text)")
    add("--access-log", action="store_true", default=None, help="log every request, without bodies and tokens")


class _NewToken(argparse.Action):
    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: Any = None
    ) -> None:
        """Like ``--version``: done as soon as it is read."""
        try:
            token = new_token(Path(values))
        except EdgewrightError as error:
            parser.error(str(error))
        sys.stdout.write(f"{token}\n")
        parser.exit()


def serve(path: Path, arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; requests that are being answered are answered. SIGHUP: models,
    certificate and tokens are looked at again. Exit status 0."""
    config = Config() if arguments.config is None else load_config(arguments.config)
    config = dataclasses.replace(config, server=_chosen(config.server, arguments))
    handler = logs.start(config.server.log_format or "text")
    try:
        return _serve(path, config, arguments)
    finally:
        logs.stop(handler)


def _chosen(table: ServerTable, arguments: argparse.Namespace) -> ServerTable:
    """The file's table, with the options that were given."""
    given = {
        "http": arguments.http, "grpc": arguments.grpc, "uds": arguments.uds, "certificate": arguments.tls_certificate,
        "key": arguments.tls_key, "tokens": arguments.tokens, "log_format": arguments.log_format,
        "access_log": arguments.access_log, "strict_readiness": arguments.strict_readiness,
    }  # fmt: skip
    chosen = dataclasses.replace(table, **{key: value for key, value in given.items() if value is not None})
    if (chosen.certificate is None) != (chosen.key is None):
        raise InputError("a certificate and its key belong together; give --tls-certificate and --tls-key")
    return chosen


def _serve(path: Path, config: Config, arguments: argparse.Namespace) -> int:
    addresses, rpc, safety = _listening(config.server, arguments.insecure)
    beside = [] if rpc is None else [_rpc(rpc, config, safety)]
    keys = None if arguments.key is None else [load_public_key(key) for key in arguments.key]
    try:
        with _signals({signal.SIGTERM: _give_up, signal.SIGHUP: None}):
            server = Server(Settings(path, keys, config), addresses, safety=safety, beside=beside)
    except KeyboardInterrupt:  # also SIGTERM
        logs.info("shutdown", "stopped before it served")
        return 0
    with _signals({signal.SIGINT: server.stop, signal.SIGTERM: server.stop, signal.SIGHUP: server.refresh}):
        _greet(server, config)
        for far in (a for a in (*server.addresses, *([rpc] if rpc else [])) if not a.local):
            if not far.tls or safety.tokens is None:
                logs.warning("insecure", f"{far.host} can be reached from other machines, without TLS or tokens")
        server.run()
    logs.info("shutdown", "served to the end")
    return 0


def _listening(table: ServerTable, insecure: bool) -> tuple[list[Address], Address | None, Safety]:
    """Where to listen, for gRPC, too, and how it is kept safe. Raises InputError for what must be spelled out."""
    certificate = None
    if table.certificate is not None and table.key is not None:
        certificate = Certificate(table.certificate, table.key)
    tokens = None if table.tokens is None else Tokens(table.tokens)
    addresses = [Address.parse(table.http or "127.0.0.1:8000"), *([Address.parse(table.grpc)] if table.grpc else [])]
    addresses = [dataclasses.replace(address, tls=certificate is not None) for address in addresses]
    far = [address.host for address in addresses if not address.local]
    if far and (certificate is None or tokens is None) and not insecure:
        needed = ("TLS (--tls-certificate, --tls-key)", certificate), ("tokens (--tokens)", tokens)
        lacking = " and ".join(what for what, there in needed if there is None)
        raise InputError(
            f"{far[0]} can be reached from other machines, which needs {lacking}; or listen on 127.0.0.1, or spell out "
            "--insecure"
        )
    http, rpc = addresses[0], addresses[1] if table.grpc else None
    unix = [] if table.uds is None else [Address(path=table.uds)]
    return [http, *unix], rpc, Safety(certificate, tokens, table.hosts, table.origins, table.access_log)


def _rpc(address: Address, config: Config, safety: Safety) -> Callable[[Server], Lane]:
    """What makes the gRPC lane. Raises MissingExtra."""
    make = grpc_lane()
    from edgewright.runtime.lanes.rpc.lane import RpcLimits, credentials
    from edgewright.runtime.loading.waited import Waited

    limits: Limits = config.limits
    bounds = RpcLimits(message_bytes=limits.body_bytes, request_s=limits.request_s, reply_s=limits.reply_s)
    secret = None if safety.certificate is None else credentials(safety.certificate.chain, safety.certificate.key)
    check = None if safety.tokens is None else safety.tokens.knows
    strict = config.server.strict_readiness
    return lambda server: make(
        server.repository, server.desk, address.host, address.port, limits=bounds, control=Waited(server.loader),
        strict=strict, credentials=secret, check=check, splits=server.splits, access_log=safety.access_log,
        regions=server.regions if address.local else None,
    )  # fmt: skip


def _greet(server: Server, config: Config) -> None:
    there: dict[str, set[str]] = {}
    for entry in server.repository.index():
        there.setdefault(entry.name, set()).add(entry.version)
        if entry.state == "READY":  # of the others the loader has told
            title = titled(entry.name, entry.version, entry.digest)
            logs.info("model", title, model=entry.name, version=entry.version, digest=entry.digest)
    for name in sorted(config.models.keys() - there.keys() - {ALL}):
        logs.warning("config", f"[models.{name!r}] is about a model that is not there")
    for name, table in sorted(config.models.items()):
        told = [("split", version) for version in table.split]
        told += [("shadow", str(table.shadow["version"]))] if table.shadow else []
        for key, version in told:
            if name in there and version not in there[name]:
                logs.warning("config", f"[models.{name!r}] {key} names version {version}, which is not there")
    for address in (*server.addresses, *server.lanes):
        logs.info("listening", str(address), address=str(address))


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
