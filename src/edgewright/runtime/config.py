"""``runtime.toml``: how models are served. Strict: what is not known here is an error, never ignored."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import tomllib
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edgewright.core.errors import InputError
from edgewright.core.session import EngineOptions, Policy
from edgewright.runtime.lanes.limits import Limits

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
    infinities. ``isolated``: in a process of its own. ``run_mb``: MB that a run may take beside the weights (0: no
    limit), on ONNX Runtime. ``split``: weights by version, of requests that name none;
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
    run_mb: float = 1024.0
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


_MAY_BE_ZERO = ("max_delay_ms", "deadline_ms", "cache_mb", "memory_mb", "run_mb")
_MOST_THREADS = 512
_OWN = {"fail_safe", "split", "shadow"}
_MOST_TOLD = 20


class BadConfig(InputError):  # noqa: N818 - reads as what it says
    """``problems``: what is wrong with a configuration, each with its place."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems[:_MOST_TOLD])
        if len(problems) > _MOST_TOLD:
            self.problems += (f"and {len(problems) - _MOST_TOLD} more",)
        told = self.problems if len(problems) == 1 else [f"({n}) {one}" for n, one in enumerate(self.problems, 1)]
        super().__init__(" ".join(told))


def load_config(path: Path) -> Config:
    """The file at ``path``. Raises InputError that names the keys and says what may stand there."""
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
    """What was read from the file at ``path``. Raises BadConfig, with all that is wrong."""
    wrong = _unknown(told, {f.name for f in dataclasses.fields(Config)}, str(path))
    server = _values(ServerTable, told.get("server", {}), f"{path}: [server]", path.parent, wrong)
    limits = _values(Limits, told.get("limits", {}), f"{path}: [limits]", path.parent, wrong)
    given = told.get("server", {})
    if isinstance(given, dict) and ("certificate" in given) != ("key" in given):
        wrong.append(f"{path}: [server] certificate and key belong together; give both")
    models = _models(told.get("models", {}), path, wrong)
    if wrong:
        raise BadConfig(wrong)
    return Config(ServerTable(**server), Limits(**limits), models)


def _models(told: Any, path: Path, wrong: list[str]) -> dict[str, ModelTable]:
    tables: Mapping[str, Any] = {}
    with _noting(wrong):
        tables = _object(told, f"{path}: [models]")
    own = dict[str, dict[str, Any]]()
    for name, one in tables.items():
        where = f'{path}: [models."{name}"]'
        if name == ALL and isinstance(one, dict):
            about_one = sorted(_OWN & one.keys())
            wrong += [f"{where} {key}: it is about one model; put it into that model's table" for key in about_one]
            one = {key: value for key, value in one.items() if key not in about_one}
        own[name] = _values(ModelTable, one, where, path.parent, wrong)
    models = {name: ModelTable(**{**own.get(ALL, {}), **one}) for name, one in own.items()}
    for name, table in [] if wrong else models.items():  # what could not be read is not compared
        told_here = name == ALL or own[name].keys() & {"preferred_batch", "max_batch"}
        if told_here and any(size > table.max_batch for size in table.preferred_batch):
            wrong.append(
                f'{path}: [models."{name}"] preferred_batch holds {max(table.preferred_batch)}, above max_batch, which '
                f"is {table.max_batch}: no batch gets that large; raise max_batch"
            )
    return models


def _values(kind: type[Any], told: Any, where: str, folder: Path, wrong: list[str]) -> dict[str, Any]:
    """Those of a table's fields that can be used; what is wrong with the others is added to ``wrong``."""
    hints, found = typing.get_type_hints(kind), dict[str, Any]()
    with _noting(wrong):
        given = _object(told, where)
        wrong += _unknown(given, hints.keys(), where)
        for key in [key for key in given if key in hints]:
            with _noting(wrong):
                found[key] = _value(hints[key], given[key], f"{where} {key}", folder)
    return found


def _unknown(given: Mapping[str, Any], names: Collection[str], where: str) -> list[str]:
    there = ", ".join(sorted(names))
    return [f"{where} has no key {key!r}; there are: {there}" for key in given if key not in names]


@contextlib.contextmanager
def _noting(wrong: list[str]) -> Iterator[None]:
    """Something that is looked at by itself: the rest is looked at, too."""
    try:
        yield
    except InputError as error:
        wrong.append(str(error))


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
