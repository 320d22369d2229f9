"""``runtime.toml``: how models are served. Strict: what is not known here is an error, never ignored."""

from __future__ import annotations

import dataclasses
import math
import tomllib
import typing
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from edgewright.core.errors import InputError
from edgewright.core.session import EngineOptions, Policy
from edgewright.runtime.lanes.limits import Limits

T = TypeVar("T")
_MOST_BYTES = 1 << 20
ALL = "*"
"""The table of what models are served with that do not say otherwise."""


@dataclass(frozen=True)
class ServerTable:
    """``[server]``. ``http`` and ``grpc``: HOST:PORT; ``uds``: a Unix socket's path; ``certificate`` and ``key``: PEM
    files; ``tokens``: a file of hashed tokens; ``hosts`` and ``origins``: names it goes by and pages that may ask,
    besides its own; ``strict_readiness``: not ready while one model is not. Paths are relative to the file.
    ``cache_mb``: MiB of answers that are kept; ``memory_mb``: MB that models may hold together (0: none, and no limit).
    """

    http: str = ""
    grpc: str = ""
    uds: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    tokens: Path | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    strict_readiness: bool = False
    cache_mb: float = 0.0
    memory_mb: float = 0.0
    log_format: Literal["", "text", "json"] = ""
    access_log: bool = False


@dataclass(frozen=True)
class ModelTable:
    """``[models."NAME"]``. What is left out is taken from ``[models."*"]``, then from the defaults here.

    ``max_batch``: rows in one run at most; ``max_delay_ms``: how long the first of a batch waits for company;
    ``preferred_batch``: rows at which it waits no longer. ``deadline_ms``, ``priority``: of requests that name none
    (0 ms: no deadline; 1 is the most urgent). ``engine`` to ``policy``: how a plain model file is opened; a bundle is
    opened as it was measured. ``fail_safe``: outputs given when a deadline is missed. ``finite``: refuse NaN and
    infinities. ``isolated``: in a process of its own. ``split``: weights by version, of requests that name none;
    ``shadow``: a ``version`` that is asked as well in idle time, and the ``share`` of a core that it may take.
    """

    max_batch: int = 1
    max_delay_ms: float = 0.0
    preferred_batch: tuple[int, ...] = ()
    deadline_ms: float = 0.0
    priority: int = 2
    engine: str = ""
    threads: int = 1
    provider: str = ""
    policy: Policy = "fail"
    fail_safe: Mapping[str, Any] = field(default_factory=dict)
    finite: bool = False
    isolated: bool = False
    split: Mapping[str, Any] = field(default_factory=dict)
    shadow: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> EngineOptions:
        """How a plain model file is opened."""
        return EngineOptions(threads=self.threads, provider=self.provider, policy=self.policy)


@dataclass(frozen=True)
class Config:
    """The file, or what holds without one."""

    server: ServerTable = ServerTable()
    limits: Limits = field(default_factory=Limits)
    models: Mapping[str, ModelTable] = field(default_factory=dict)

    def model(self, name: str) -> ModelTable:
        """How the model of that name is served."""
        return self.models.get(name) or self.models.get(ALL) or ModelTable()

    def strangers(self, there: Collection[str]) -> Iterator[str]:
        """A sentence for each model that it names and that is not ``there``: requests for it are not answered."""
        for name in sorted(self.models.keys() - {*there, ALL}):
            yield f"[models.{name!r}] is about a model that is not there: requests for it are told so (404)"

    def absent(self, there: Mapping[str, Collection[str]]) -> Iterator[str]:
        """A sentence for each version that it names and that is not ``there`` (versions by model), and who answers."""
        for name, table in sorted(self.models.items()):
            told = [("split", version, "the others answer its share") for version in table.split]
            told += [("shadow", str(table.shadow["version"]), "nothing is compared")] if table.shadow else []
            for key, version, instead in told:
                if name in there and version not in there[name]:
                    yield f"[models.{name!r}] {key} names version {version}, which is not there: {instead}"


_MAY_BE_ZERO = ("max_delay_ms", "deadline_ms", "cache_mb", "memory_mb")
_MOST_THREADS = 512
_OWN = {"fail_safe", "split", "shadow"}


def load_config(path: Path) -> Config:
    """The file at ``path``. Raises InputError that names the key and says what may stand there."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:
            raise InputError(f"{path} has more than {_MOST_BYTES:,} bytes, too many for a configuration")
        told = tomllib.loads(raw.decode("utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path} is no TOML: {error}") from error
    return parse_config(told, path)


def parse_config(told: Mapping[str, Any], path: Path) -> Config:
    """What was read from the file at ``path``. Raises InputError."""
    _known(told, {f.name for f in dataclasses.fields(Config)}, str(path))
    server = _table(ServerTable, told.get("server", {}), f"{path}: [server]", path.parent)
    limits = _table(Limits, told.get("limits", {}), f"{path}: [limits]", path.parent)
    tables = _object(told.get("models", {}), f"{path}: [models]")
    common = _object(tables.get(ALL, {}), f'{path}: [models."*"]')
    for key in sorted(_OWN & common.keys()):
        raise InputError(f'{path}: [models."*"] {key}: it is about one model; put it into that model\'s table')
    models = {
        name: _table(ModelTable, {**common, **_object(one, f'{path}: [models."{name}"]')}, f'{path}: [models."{name}"]',
                     path.parent)
        for name, one in tables.items()
    }  # fmt: skip
    for name, table in models.items():
        if any(size > table.max_batch for size in table.preferred_batch):
            raise InputError(
                f'{path}: [models."{name}"] preferred_batch holds {max(table.preferred_batch)}, above max_batch, which '
                f"is {table.max_batch}: no batch gets that large; raise max_batch"
            )
    if (server.certificate is None) != (server.key is None):
        raise InputError(f"{path}: [server] certificate and key belong together; give both")
    return Config(server, limits, models)


def _table(kind: type[T], told: Any, where: str, folder: Path) -> T:
    hints = typing.get_type_hints(kind)
    given = _object(told, where)
    _known(given, hints.keys(), where)
    return kind(**{key: _value(hints[key], value, f"{where} {key}", folder) for key, value in given.items()})


def _known(given: Mapping[str, Any], names: Collection[str], where: str) -> None:
    for key in given:
        if key not in names:
            raise InputError(f"{where} has no key {key!r}; there are: {', '.join(sorted(names))}")


def _object(told: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(told, dict):
        raise InputError(f"{where} is not a table")
    return told


def _value(kind: Any, value: Any, where: str, folder: Path) -> Any:
    """``value`` as ``kind``, a field's type. Raises InputError."""
    if typing.get_origin(kind) is tuple:
        inner = typing.get_args(kind)[0]
        if not isinstance(value, list):
            raise InputError(f"{where} is not a list")
        return tuple(_value(inner, one, where, folder) for one in value)
    if typing.get_origin(kind) is Literal:
        if value not in typing.get_args(kind):
            raise InputError(f"{where} is not one of: {', '.join(a for a in typing.get_args(kind) if a)}")
        return value
    if kind == Path | None:
        if not isinstance(value, str) or not value:
            raise InputError(f"{where} is not a path")
        return folder / value
    if kind is bool or kind is str:
        if type(value) is not kind:
            raise InputError(f"{where} is not {'true or false' if kind is bool else 'a string'}")
        return value
    if kind is int or kind is float:
        return _number(kind, value, where)
    if not _object(value, where):
        raise InputError(f"{where} is empty; say something in it, or leave it out")
    return value


def _number(kind: type, value: Any, where: str) -> Any:
    if type(value) is not int and (kind is int or type(value) is not float):
        raise InputError(f"{where} is not a {'whole ' if kind is int else ''}number")
    zero = where.endswith(_MAY_BE_ZERO)
    if where.endswith("] threads") and value > _MOST_THREADS:
        raise InputError(f"{where} must be {_MOST_THREADS} at most")
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise InputError(f"{where} must be {'0 or more' if zero else 'more than 0'}")
    return kind(value)
