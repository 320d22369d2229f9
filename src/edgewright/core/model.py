"""Model: an immutable artifact in one format, with its signature, digest and lineage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edgewright.core.digests import digest_files

Dimension = int | str | None
"""A fixed size, the name of a dynamic one, or None for a dynamic one without a name."""


@dataclass(frozen=True)
class TensorSpec:
    """One input or output: ``dtype`` is numpy's name for it (``float32``, ``uint8``, ``str``)."""

    name: str
    dtype: str
    shape: tuple[Dimension, ...]

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype}[{', '.join('?' if d is None else str(d) for d in self.shape)}]"


@dataclass(frozen=True)
class Signature:
    """The names, dtypes and shapes a model is called with and answers with."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON value; ``from_json`` reads it back."""
        return {
            side: [{"name": t.name, "dtype": t.dtype, "shape": list(t.shape)} for t in getattr(self, side)]
            for side in ("inputs", "outputs")
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Signature:
        """The signature that ``to_json`` wrote."""
        sides = (
            tuple(TensorSpec(str(t["name"]), str(t["dtype"]), tuple(t["shape"])) for t in value[side])
            for side in ("inputs", "outputs")
        )
        return cls(*sides)


@dataclass(frozen=True)
class Step:
    """One link of a lineage: the pass (or import) that made a model out of the one with digest ``parent``."""

    name: str
    options: Mapping[str, Any]
    parent: str

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return {"name": self.name, "options": dict(self.options), "parent": self.parent}


class FilesIn(Mapping[str, bytes]):
    """Files left where they lie and read when asked for: an engine that opens ``folder`` itself can map them.

    For folders that nobody else writes to: what is read later is not checked again.
    """

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        self.folder, self._names = folder, tuple(names)

    def __getitem__(self, name: str) -> bytes:
        if name not in self._names:
            raise KeyError(name)
        return (self.folder / name).read_bytes()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True, eq=False)
class Model:
    """An immutable artifact in one format.

    ``files`` maps relative names to bytes; ``main`` names the one an engine opens, the others lie beside it (external
    data, an IR's weights). Two models are equal when their format and digest are.
    """

    format: str
    main: str
    files: Mapping[str, bytes]
    signature: Signature
    lineage: tuple[Step, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.main not in self.files:
            raise ValueError(f"main file {self.main!r} is not among {sorted(self.files)}")
        if not isinstance(self.files, FilesIn):
            object.__setattr__(self, "files", MappingProxyType(dict(self.files)))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content; for a single file, what ``sha256sum`` prints."""
        return digest_files(self.files)

    @property
    def data(self) -> bytes:
        """The main file's bytes."""
        return self.files[self.main]

    @property
    def size_bytes(self) -> int:
        """Bytes on disk, all files together. Raises OSError for files left where they lie that are gone."""
        files = self.files
        if isinstance(files, FilesIn):  # not read for it
            return sum((files.folder / name).stat().st_size for name in files)
        return sum(map(len, files.values()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and (self.format, self.digest) == (other.format, other.digest)

    def __hash__(self) -> int:
        return hash((self.format, self.digest))

    def __repr__(self) -> str:
        return f"<Model {self.format} {self.digest[:12]} {self.size_bytes:,} bytes>"
