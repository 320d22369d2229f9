"""Configuring: the runtime's configuration as the hub wants it, laid over the device's own.

    STATE/runtime.toml          what the runtime reads       STATE/runtime.local.toml    the device's own, if it had one

The hub says how models are served. Where the device listens, and who may ask it, is its owner's alone: of ``[server]``
only what is about memory, logs and readiness is taken. What the runtime would refuse is never put in place.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgewright.core.child import environment
from edgewright.core.digests import canonical_json, digest_bytes
from edgewright.core.errors import EdgewrightError, InputError
from edgewright.core.files import read_file, remove, storage, write_file
from edgewright.core.strict import parse_json

RUNTIME, OWN, APPLIED = "runtime.toml", "runtime.local.toml", "configured.json"
_MARK = b"# Made by the agent of what the hub wants and of runtime.local.toml\n"
_SERVER = frozenset({"strict_readiness", "cache_mb", "memory_mb", "log_format", "access_log"})
_TABLES = frozenset({"server", "limits", "models"})
_MOST_BYTES, _CHECK_S = 2**20, 300.0


class Configurer:
    """In ``state``. ``check``: what is wrong with a file, "" for nothing; ``restart``: have the runtime read the file
    anew, coming back when it answers (raises EdgewrightError). ``told`` is called with what was done."""

    def __init__(
        self, state: Path, check: Callable[[Path], str], restart: Callable[[], None],
        told: Callable[[str], None] = lambda sentence: None, clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._state, self._check, self._restart, self._say, self._clock = state, check, restart, told, clock
        self.refused = self._told()[1]
        """Why the latest configuration of the hub's is not in place, "" when it is."""

    def apply(self, config: Mapping[str, Any]) -> str:
        """Put the hub's ``config`` in place, once; "" when there is nothing new or it is in place, else why it is
        refused: the old one stays then, and the same one is not looked at again. Raises StorageError."""
        wanted = digest_bytes(canonical_json(config))
        told, _ = self._told()
        if told == wanted or (not told and not config):
            return ""
        path, own = self._state / RUNTIME, self._state / OWN
        before = path.read_bytes() if path.is_file() else None
        why = ""
        try:
            made = merged(self._own(before), config)
            new = self._state / f".{RUNTIME}.new"
            write_file(new, _MARK + made.encode())
            try:
                why = self._check(new)
            finally:
                with storage(new):
                    remove(new)
        except InputError as error:
            why = str(error)
        if not why:
            if before is not None and not before.startswith(_MARK):
                write_file(own, before)
            why = self._put(before, made if config or own.is_file() else "")
        self.refused = why[:500]
        write_file(self._state / APPLIED, canonical_json({"digest": wanted, "refused": self.refused}), 0o600)
        return why

    def _put(self, before: bytes | None, made: str) -> str:
        """The file, and a runtime that has read it: it reads it once, at its start, so it is started anew unless what
        counts is the same (comments and order do not)."""
        path = self._state / RUNTIME
        self._write(path, _MARK + made.encode() if made else None)
        if _tables(made.encode()) == _tables(before or b""):
            self._say("the hub's configuration is in place; it says what was in place before")
            return ""
        began = self._clock()
        try:
            self._restart()
            gap = self._clock() - began
            self._say(f"the hub's configuration is in place; the runtime was started anew, {gap:.1f} s without answers")
            return ""
        except EdgewrightError as error:
            self._write(path, before)
            self._restart()
            return f"the runtime does not serve with it: {error}"

    def _write(self, path: Path, data: bytes | None) -> None:
        if data is not None:
            write_file(path, data)
        elif path.exists():
            with storage(path):
                remove(path)

    def _own(self, before: bytes | None) -> Mapping[str, Any]:
        """The device's own configuration. Raises InputError."""
        data = before or b""
        if data.startswith(_MARK):
            data = read_file(self._state / OWN, _MOST_BYTES) if (self._state / OWN).is_file() else b""
        try:
            return tomllib.loads(data.decode("utf-8"))
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InputError(f"the device's own {RUNTIME} is no TOML: {error}") from error

    def _told(self) -> tuple[str, str]:
        """The digest of the configuration that was looked at last, and why it was refused."""
        try:
            told = parse_json(read_file(self._state / APPLIED, 8192), 8192)
            return str(told["digest"]), str(told["refused"])
        except (InputError, ValueError, KeyError, TypeError):
            return "", ""


def merged(own: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """The device's own tables with the hub's laid over them, as TOML. Raises InputError for what the hub has no say in,
    and for what TOML cannot hold."""
    strange = sorted(config.keys() - _TABLES)
    if strange:
        raise InputError(f"a runtime has no table {strange[0]!r}; there are: {', '.join(sorted(_TABLES))}")
    found: dict[str, Any] = {name: dict(own.get(name, {})) for name in sorted({*own, *config})}
    for name, table in config.items():
        if not isinstance(table, dict):
            raise InputError(f"[{name}] is not a table")
        if name == "server" and (theirs := sorted(table.keys() - _SERVER)):
            raise InputError(
                f"[server] {theirs[0]} is the device's own to say; the hub may say {', '.join(sorted(_SERVER))}"
            )
        if name == "models":
            table = {model: {**found[name].get(model, {}), **one} if isinstance(one, dict) else one
                     for model, one in table.items()}  # fmt: skip
        found[name] |= table
    return "".join(f"[{_key(name)}]\n{_lines(table)}\n" for name, table in found.items() if table)


def runtime_check(models: Path, keys: Callable[[], list[Path]]) -> Callable[[Path], str]:
    """``check`` by the runtime itself: it looks at configuration and models, and serves nothing."""

    def check(path: Path) -> str:
        command = [sys.executable, "-P", "-m", "edgewright.runtime", "--models-dir", str(models), "--check", "--json"]
        command += ["--http", "127.0.0.1:0", "--config", str(path), *(p for key in keys() for p in ("--key", str(key)))]
        try:
            ran = subprocess.run(command, capture_output=True, timeout=_CHECK_S, env=environment(None), check=False)
            told = parse_json(ran.stdout, _MOST_BYTES)
            problems = [str(one) for one in told["problems"]]
        except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError) as error:
            return f"the runtime cannot look at it: {str(error)[:200]}"
        return " ".join(problems)[:1000]

    return check


def _tables(data: bytes) -> Any:
    """What a file of ours, or the owner's, says; None where it is no TOML."""
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        return None


def _lines(table: Mapping[str, Any]) -> str:
    return "".join(f"{_key(name)} = {_value(value)}\n" for name, value in table.items())


def _key(name: str) -> str:
    return _string(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(name)} = {_value(one)}" for name, one in value.items()) + "}"
    raise InputError(f"a configuration cannot hold {str(value)[:40]!r}; leave it out")


def _string(text: str) -> str:
    """As TOML's basic string: JSON's escapes are among its own (TOML 1.0.0, "String")."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
