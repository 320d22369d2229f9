"""An order: what a worker is to open, read from memory or from files that must still be the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgewright.core.errors import EngineError
from edgewright.core.model import FilesIn, Model
from edgewright.core.session import EngineOptions


@dataclass(frozen=True)
class Order:
    """What a worker is to open, and within which walls."""

    model: Model
    engine: str
    options: EngineOptions
    confined: bool
    memory_bytes: int
    run_bytes: int = 0
    stamps: tuple[tuple[int, int, int], ...] = ()
    """Of files that are read where they lie: a worker that comes later must not open others."""

    @classmethod
    def of(
        cls, model: Model, engine: str, options: EngineOptions, confined: bool, memory_bytes: int, run_bytes: int = 0
    ) -> Order:
        """An order for the files as they are now. Raises EngineError when they are gone."""
        return cls(model, engine, options, confined, memory_bytes, run_bytes, _stamps(model))

    def read(self) -> dict[str, bytes]:
        """The model's files. Raises EngineError when they are others by now."""
        try:
            files = dict(self.model.files)
        except OSError as error:
            raise EngineError(f"the model's files cannot be read: {error}") from error
        if _stamps(self.model) != self.stamps:
            raise EngineError("the model's files are others than those it was opened with; load it again")
        return files

    def to_json(self, files: Mapping[str, bytes]) -> dict[str, Any]:
        """A JSON value; the bytes of ``files`` travel apart."""
        model = self.model
        return {
            "engine": self.engine, "options": self.options.to_json(), "format": model.format, "main": model.main,
            "files": [[name, len(data)] for name, data in files.items()],
            "signature": model.signature.to_json(), "confined": self.confined, "memory_bytes": self.memory_bytes,
            "run_bytes": self.run_bytes,
        }  # fmt: skip


def _stamps(model: Model) -> tuple[tuple[int, int, int], ...]:
    if not isinstance(model.files, FilesIn):
        return ()
    try:
        facts = [(model.files.folder / name).stat() for name in model.files]
    except OSError as error:
        raise EngineError(f"the model's files cannot be read: {error}") from error
    return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in facts)
