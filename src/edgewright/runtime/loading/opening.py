"""Opening: from a place to a version that answers."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from edgewright.core.errors import StorageError
from edgewright.core.files import scratch, storage
from edgewright.core.priority import modestly
from edgewright.core.session import EngineOptions
from edgewright.runtime import logs
from edgewright.runtime.cache import Cache
from edgewright.runtime.config import Config
from edgewright.runtime.isolation import Isolation
from edgewright.runtime.loading.independence import mixes_rows
from edgewright.runtime.loading.places import BUNDLE, Place
from edgewright.runtime.loading.preparing import discard, prepare
from edgewright.runtime.loading.sources import Source, open_model, read_source, scattered
from edgewright.runtime.loading.trying import FIRST_S, check_golden, ended_in, requests
from edgewright.runtime.providers import engine_note, step_down
from edgewright.runtime.served import Served
from edgewright.trust import PublicKey


@dataclass(frozen=True)
class Settings:
    """How models are found, opened and served. ``watch_s``: how often the files are looked at; 0 never."""

    path: Path
    trusted: Sequence[PublicKey] | None = None
    config: Config = field(default_factory=Config)
    watch_s: float = 1.0


class Opener:
    """``cache``: for images that were decoded. Versions that it opened are closed before it is."""

    def __init__(self, settings: Settings, cache: Cache | None) -> None:
        self._settings, self._cache = settings, cache
        self._folders, self._folder = contextlib.ExitStack(), Path()
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        with contextlib.suppress(StorageError):  # until it is needed, nobody misses it; killed servers' are removed
            self._whole()

    def first(self, place: Place) -> tuple[Source, Path | None]:
        """At the start nobody waits: no child is needed, unless the weights lie in files that may change under us."""
        if scattered(place.path):
            return self.prepared(place)
        return read_source(place, self._settings.trusted, *self._asked(place)), None

    def prepared(self, place: Place) -> tuple[Source, Path]:
        """What lies there, tried out and laid out by a child process, and the folder of it. Raises EdgewrightError."""
        folder = self._room()
        trusted = self._settings.trusted
        try:
            keys = None if trusted is None else [*trusted]
            return prepare(place, folder, keys, *self._asked(place), stop=self._stop), folder
        except BaseException:
            discard(folder)
            raise

    def open(self, source: Source, folder: Path | None, modest: bool = False) -> Served:
        """The version, checked and warm; ``folder`` is its own from then on. Raises EngineError, InputError.

        ``modest``: requests are answered meanwhile and come first, where the session starts no threads that would keep
        the lower priority.
        """
        threads = source.engine != "onnxruntime" or source.options.threads != 1
        if modest and not threads and not self._settings.config.model(source.name).isolated:
            return modestly(partial(self._open, source, folder))
        return self._open(source, folder)

    def _open(self, source: Source, folder: Path | None) -> Served:
        table = self._settings.config.model(source.name)
        apart = Isolation(name=source.name) if table.isolated else None
        source, session = open_model(source, apart, int(table.run_mb * 1e6))
        for told in filter(None, (step_down(session), engine_note(session))):
            logs.warning("provider", f"{source.name}: {told}", model=source.name)
        if source.unready:
            told = f"{source.name} {source.version} did not pass these gates when it was sealed: {source.unready}"
            logs.warning("gates", told, model=source.name, version=source.version)
        try:
            with ended_in(session, FIRST_S):
                check_golden(source, session)
                served = Served(source, session, table, folder)
                if served.pipeline is not None and self._cache is not None:
                    served.pipeline.remember(self._cache, served)
                if served.most_rows > 1:
                    _check_batches(served)
                _warm(served)
            return served
        except BaseException:
            session.close()
            raise

    def give_up(self) -> None:
        """End the child that prepares something; from any thread."""
        os.eventfd_write(self._stop, 1)

    def close(self) -> None:
        """Remove all folders."""
        os.close(self._stop)
        self._folders.close()

    def _asked(self, place: Place) -> tuple[str, EngineOptions | None]:
        """The engine and its options that were configured; a bundle is opened as it was measured."""
        if place.path.is_dir() or place.path.suffix == BUNDLE:
            return "", None
        table = self._settings.config.model(place.name)
        return table.engine, table.options

    def _room(self) -> Path:
        """An empty folder for one version's files. Raises StorageError."""
        whole = self._whole()
        with storage(whole):
            return Path(tempfile.mkdtemp(dir=whole))

    def _whole(self) -> Path:
        """The folder of these, removed in the end, by the next server if not by this one; made anew should somebody
        have tidied it away. Raises StorageError."""
        if self._folder == Path() or not self._folder.is_dir():
            self._folder = self._folders.enter_context(scratch("edgewright-serve"))
        return self._folder


def _warm(served: Served) -> None:
    calls = requests(served.source)
    if calls:
        served.warm(calls)


def _check_batches(served: Served) -> None:
    why = mixes_rows(served.session)
    if why:
        served.most_rows, name = 1, served.source.name
        logs.warning("batching", f"{name}: requests are not batched: {why}", model=name)
