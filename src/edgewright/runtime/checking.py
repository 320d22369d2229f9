"""Checking: what would be served, and all that is wrong, without serving anything."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from edgewright.core.errors import InputError
from edgewright.runtime import logs
from edgewright.runtime.addresses import Address
from edgewright.runtime.checked import Checked
from edgewright.runtime.config import Config
from edgewright.runtime.experiments.plan import planned
from edgewright.runtime.handles import handles
from edgewright.runtime.lanes.door import Door, Occupied
from edgewright.runtime.lanes.rpc import grpc_lane
from edgewright.runtime.lanes.tls import Certificate
from edgewright.runtime.loading.opening import Opener, Settings
from edgewright.runtime.loading.places import Place, some_places
from edgewright.runtime.loading.preparing import discard
from edgewright.runtime.loading.slots import Taken
from edgewright.runtime.memory import held_bytes, make_room
from edgewright.runtime.options import configured, listening
from edgewright.runtime.providers import provider_parameters
from edgewright.runtime.safety import Safety, demand
from edgewright.runtime.trusted import Trusted
from edgewright.trust import PublicKey


class _Heard(logging.Handler):
    """What the log would have said."""

    def __init__(self, warnings: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._warnings = warnings

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self._warnings.append(record.getMessage())


def check(path: Path, arguments: argparse.Namespace) -> Checked:
    """Everything that a server with these arguments would read: the configuration, keys, certificate and tokens, the
    addresses, and each model as it would be reloaded, one after the other."""
    found = Checked()
    heard = _Heard(found.warnings)
    logs.LOG.addHandler(heard)
    try:
        with found.part():
            config = configured(arguments)
            planned(config)
        if found.problems:
            found.warnings.append("nothing else was looked at: how, the configuration would say")
        else:
            _check(found, path, config, arguments)
    finally:
        logs.LOG.removeHandler(heard)
    return found


def _check(found: Checked, path: Path, config: Config, arguments: argparse.Namespace) -> None:
    table = config.server
    with found.part():
        certificate = Safety.of(replace(table, tokens=None)).certificate
        if certificate is not None:
            found.certificate = _valid_until(certificate)
    with found.part():
        tokens = Safety.of(replace(table, certificate=None, key=None)).tokens
        found.tokens = {} if tokens is None else tokens.counts()
    with found.part():
        for address in listening(table):
            with found.part():
                if not arguments.insecure:
                    demand(address, table)
                _look_at(found, address)
    if told := handles(config.limits.connections):
        found.warnings.append(told)
    keys: list[PublicKey] | None = None if arguments.key is None else []
    for file in arguments.key or ():
        with found.part():
            assert keys is not None  # noqa: S101 - narrowing for the type checker
            keys += Trusted([file])
    with found.part():
        _models(found, Settings(path, keys, config))


def _valid_until(certificate: Certificate) -> str:
    shown = x509.load_pem_x509_certificate(certificate.pem[1])
    begin, end = shown.not_valid_before_utc, shown.not_valid_after_utc
    if not begin <= datetime.now(UTC) < end:
        raise InputError(f"{certificate.chain} is valid from {begin} to {end}, and so not now; renew it")
    return end.isoformat()


def _look_at(found: Checked, address: Address) -> None:
    if address.scheme == "grpc":
        grpc_lane()
    try:
        Door(address).close()
    except Occupied as error:
        found.warnings.append(f"{error}; that is as it should be where this server is to take the other's place")
    found.listening.append(str(address))


def _models(found: Checked, settings: Settings) -> None:
    config, opener = settings.config, Opener(settings, None)
    there: dict[str, dict[str, Path]] = {}
    try:
        for place in some_places(settings.path):
            with found.part(f"{place.name}: "):
                versions = there.setdefault(place.name, {})
                told = _model(opener, place)
                if told["version"] in versions:
                    raise Taken(versions[told["version"]], told["name"], told["version"])
                versions[told["version"]] = place.path
                most = int(config.server.memory_mb * 1e6)
                if most and (refused := make_room((), told["bytes"], most).refused):
                    raise InputError(refused)
                found.models.append(told)
    finally:
        opener.close()
    needed_mb = sum(told["bytes"] for told in found.models) / 1e6
    if 0 < config.server.memory_mb < needed_mb:
        found.warnings.append(f"the models need about {needed_mb:,.0f} MB, more than memory_mb: they take turns")
    found.problems += config.strangers(there)
    found.warnings += config.absent(there)


def _model(opener: Opener, place: Place) -> dict[str, Any]:
    """What there is to tell of a model that opens. Raises what keeps it from that."""
    source, folder = opener.prepared(place)
    try:
        served = opener.open(source, folder)
    except BaseException:
        discard(folder)
        raise
    try:
        return {
            "name": source.name, "version": source.version, "digest": source.digest, "path": str(place.path),
            "engine": source.engine,
            **provider_parameters(served.session), "max_batch": served.most_rows, "bytes": held_bytes(source.model),
        }  # fmt: skip
    finally:
        served.close()
