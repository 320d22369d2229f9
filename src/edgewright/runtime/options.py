"""Options: what ``edgewright serve`` takes, and the configuration that comes of it."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from edgewright.core.errors import EdgewrightError, InputError
from edgewright.runtime.addresses import Address
from edgewright.runtime.config import Config, ServerTable, load_config
from edgewright.runtime.tokens import ROLES, new_token


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``edgewright serve`` takes besides the models."""
    add = parser.add_argument
    add("--config", type=Path, metavar="FILE", help="runtime.toml; options given here win over it")
    add("--http", metavar="HOST:PORT", help="listen there (default 127.0.0.1:8000; port 0: a free one)")
    add("--grpc", metavar="HOST:PORT", help="listen there for gRPC, too; needs the extra 'grpc'")
    add("--uds", type=Path, metavar="PATH", help="listen at a Unix socket, too")
    add("--key", action="append", type=Path, metavar="FILE.pub", help="trust this key, or a folder's, for bundles")
    add("--tls-certificate", type=Path, metavar="PEM", help="the certificate and those that vouch for it")
    add("--tls-key", type=Path, metavar="PEM", help="its key")
    add("--tokens", type=Path, metavar="FILE", help="ask for one of the tokens whose hashes stand there")
    told = f"print a new token, add its hash to FILE, and end; its ROLEs are of {', '.join(ROLES)} (default: all)"
    add("--new-token", action=_NewToken, nargs="+", metavar=("FILE", "ROLE"), help=told)
    add("--strict-readiness", action="store_true", default=None, help="be ready only while all models are")
    add("--insecure", action="store_true", help="listen beyond this machine without TLS and tokens")
    add("--log-format", choices=("text", "json"), help="one line, or one JSON object, per event (default text)")
    add("--check", action="store_true", help="serve nothing: say what would be served, and every problem; 1 if any")
    add("--json", action="store_true", help="with --check: print JSON alone on standard output")
    add("--access-log", action="store_true", default=None, help="log every request, without bodies and tokens")


class _NewToken(argparse.Action):
    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: Any = None
    ) -> None:
        """Like ``--version``: done as soon as it is read."""
        file, *roles = values
        try:
            token = new_token(Path(file), roles)
        except EdgewrightError as error:
            parser.error(str(error))
        sys.stdout.write(f"{token}\n")
        parser.exit()


def configured(arguments: argparse.Namespace) -> Config:
    """The file, with the options that were given. Raises InputError."""
    config = Config() if arguments.config is None else load_config(arguments.config)
    given = {
        "http": arguments.http, "grpc": arguments.grpc, "uds": arguments.uds, "certificate": arguments.tls_certificate,
        "key": arguments.tls_key, "tokens": arguments.tokens, "log_format": arguments.log_format,
        "access_log": arguments.access_log, "strict_readiness": arguments.strict_readiness,
    }  # fmt: skip
    table = dataclasses.replace(config.server, **{key: value for key, value in given.items() if value is not None})
    if (table.certificate is None) != (table.key is None):
        raise InputError("a certificate and its key belong together; give --tls-certificate and --tls-key")
    return dataclasses.replace(config, server=table)


def listening(table: ServerTable) -> list[Address]:
    """Where to listen. Raises InputError."""
    tls = table.certificate is not None
    found = [Address.parse(table.http or "127.0.0.1:8000", tls)]
    if table.uds is not None:
        found.append(Address(path=table.uds))
    if table.grpc:
        found.append(Address.parse(table.grpc, tls, "grpc"))
    return found
