"""Collecting: the log, a bundle of diagnostics, a benchmark, when the hub asks for it, once for each request. No key,
no secret, nothing that a model was asked."""

from __future__ import annotations

import io
import json
import platform
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from edgewright import __version__
from edgewright.agent.net.hub import Hub, Refusal
from edgewright.core.digests import canonical_json
from edgewright.core.errors import InputError
from edgewright.core.files import read_file, write_file
from edgewright.core.messages import Collect
from edgewright.core.strict import parse_json

ANSWERED, LOG_BYTES = "collected.json", 256 * 1024
_KINDS = ("log", "diagnostics", "benchmark")
_FINAL = {400, 404, 409, 413, 422}


class Collector:
    """``logs``: the files whose ends are the log; ``facts``: what diagnostics hold beside it, as JSON by name;
    ``benchmarks``: what came of one, by its number, None as long as nothing has."""

    def __init__(
        self, state: Path, logs: Callable[[], Mapping[str, Path]], facts: Callable[[], Mapping[str, Any]],
        benchmarks: Callable[[int], bytes | None] = lambda number: None,
    ) -> None:  # fmt: skip
        self._path, self._logs, self._facts, self._benchmarks = state / ANSWERED, logs, facts, benchmarks
        self._answered = self._load()

    def asked(self, collect: Collect) -> bool:
        """Whether something is asked for that was not sent, and is there."""
        return any(True for _ in self._due(collect))

    def answer(self, hub: Hub, collect: Collect) -> None:
        """Send what is asked for and was not sent. Raises Offline, Refusal, StorageError."""
        for kind, number, made in self._due(collect):
            data = made()
            try:
                hub.ask("PUT", f"/device/v1/uploads/{kind}/{number}", data, most_bytes=65536)
            except Refusal as refusal:
                if refusal.status not in _FINAL:
                    raise
            self._answered = {**self._answered, kind: number}
            write_file(self._path, canonical_json(self._answered), 0o600)

    def _due(self, collect: Collect) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
        for kind, number, made in (
            ("log", collect.log, self.log), ("diagnostics", collect.diagnostics, self.diagnostics)
        ):  # fmt: skip
            if number > self._answered[kind]:
                yield kind, number, made
        asked = collect.benchmark
        if asked is not None and asked.number > self._answered["benchmark"]:
            found = self._benchmarks(asked.number)
            if found is not None:
                yield "benchmark", asked.number, lambda: found

    def log(self) -> bytes:
        """The ends of all logs, 256 KiB together."""
        logs = self._logs()
        each = LOG_BYTES // max(len(logs), 1) - 128
        return b"\n".join(f"==> {name} <==\n".encode() + _end(path, each) for name, path in sorted(logs.items()))

    def diagnostics(self) -> bytes:
        """A ``tar.gz`` of the log and the facts."""
        told = {"versions": {"agent": __version__, "python": platform.python_version(), "system": platform.platform()}}
        files = {f"{name}.json": _json(value) for name, value in {**told, **self._facts()}.items()}
        files["log.txt"] = self.log()
        whole = io.BytesIO()
        with tarfile.open(fileobj=whole, mode="w:gz") as archive:
            for name, data in sorted(files.items()):
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(data), 0o600
                archive.addfile(entry, io.BytesIO(data))
        return whole.getvalue()

    def _load(self) -> dict[str, int]:
        try:
            told = parse_json(read_file(self._path, 4096), 4096)
            return {kind: int(told.get(kind, 0)) for kind in _KINDS}
        except (InputError, ValueError, TypeError, AttributeError):
            return dict.fromkeys(_KINDS, 0)


def _end(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - most))
            return stream.read(most)
    except OSError as error:
        return f"(it cannot be read: {error.strerror})\n".encode()


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, default=str).encode()[: 2**20]
