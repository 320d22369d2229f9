"""Places: which versions of which models lie in a folder, and whether they have changed."""

from __future__ import annotations

import contextlib
import mmap
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from edgewright.bundles.names import MANIFEST, SIGNATURE
from edgewright.core.errors import InputError

PLAIN = {".onnx": "onnxruntime", ".ort": "onnxruntime", ".xml": "openvino"}
"""Suffixes of model files, and the engine that opens them unless another is asked for."""
BUNDLE = ".ewb"
_LOCATION = re.compile(rb"\x0a\x08location\x12[\x01-\x7f](.{1,127})", re.DOTALL)
"""An entry of TensorProto.external_data: key and value with their lengths, protobuf's wire format."""
_LENGTH, _MOST_DATA = 11, 64
FIRST = "1"
"""The version of a model file that lies in no folder of versions."""


@dataclass(frozen=True)
class Place:
    """Where one version of a model lies. ``version`` is "" for a bundle, which tells its own."""

    name: str
    version: str
    path: Path

    @property
    def stamp(self) -> tuple[tuple[int, int, int], ...]:
        """What changes when the files do: inode, size and time of change of each; empty when they are not there.

        Of a bundle's folder the manifest and the signature, which are written last.
        """
        paths = [self.path / MANIFEST, self.path / SIGNATURE] if self.path.is_dir() else _beside(self.path)
        found = []
        for path in paths:
            try:
                facts = path.stat()
            except OSError:
                return ()
            found.append((facts.st_ino, facts.st_size, facts.st_mtime_ns))
        return tuple(found)

    @property
    def written_ns(self) -> int:
        """When the model's file or the bundle's manifest was written, in ns since 1970; 0 when it is not there."""
        stamp = self.stamp
        return stamp[0][2] if stamp else 0


def find_places(path: Path) -> list[Place]:
    """What lies at ``path``: a bundle, a model file, or a folder of these and of models' folders, one for each name.

    In a model's folder lie versions: bundles, ``VERSION.onnx``, or ``VERSION/model.onnx``. Raises InputError when there
    is nothing of the kind at all.
    """
    if is_model(path):
        return [_place(path.name if path.is_dir() else path.stem, path)]
    if not path.is_dir():
        if path.exists():
            raise InputError(
                f"{path} is neither a bundle nor a model; taken are bundles ({BUNDLE} or their folder), model files "
                f"({', '.join(PLAIN)}), and folders of these"
            )
        raise InputError(f"there is nothing at {path}; name a bundle, a model file, or a folder of them")
    found: list[Place] = []
    for entry in _listed(path):
        if is_model(entry):
            found.append(_place(entry.name if entry.is_dir() else entry.stem, entry))
        elif entry.is_dir():
            with contextlib.suppress(InputError):  # somebody else's (lost+found): the others are served
                found += _versions(entry)
    return found


def some_places(path: Path) -> list[Place]:
    """As ``find_places``. Raises InputError where there is nothing to serve."""
    places = find_places(path)
    if not places:
        raise InputError(f"{path} holds no bundle and no model; put NAME.onnx files or bundles there")
    return places


def is_model(path: Path) -> bool:
    """Whether one model lies there: a model file, a bundle's file or a bundle's folder."""
    try:
        return (path / MANIFEST).is_file() or (path.is_file() and path.suffix in (*PLAIN, BUNDLE))
    except OSError:  # not to be looked into
        return False


def _place(name: str, path: Path, version: str = FIRST) -> Place:
    bundle = path.is_dir() or path.suffix == BUNDLE
    return Place(name, "" if bundle else version, path)


def _versions(folder: Path) -> list[Place]:
    found = []
    for entry in _listed(folder):
        if is_model(entry):
            found.append(_place(folder.name, entry, entry.stem))
        elif entry.is_dir():
            found += [_place(folder.name, inner, entry.name) for inner in _listed(entry) if is_model(inner)][:1]
    return found


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    except OSError as error:
        raise InputError(f"cannot look into {folder}: {error.strerror}") from error


def data_files(path: Path) -> list[Path]:
    """The files in which an ONNX file keeps weights, as found without reading ONNX. Raises OSError, ValueError."""
    facts = path.stat()
    return [path.parent / name for name in _data_names(path, facts.st_ino, facts.st_size, facts.st_mtime_ns)]


@lru_cache(maxsize=256)
def _data_names(path: Path, *stamp: int) -> tuple[str, ...]:
    if not path.is_file() or not path.stat().st_size:
        return ()
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as content:
        found = {match[1][: match[0][_LENGTH]] for match in _LOCATION.finditer(content)}
    names = sorted(os.fsdecode(name) for name in found if b"\0" not in name)
    return tuple(names[:_MOST_DATA])


def _beside(path: Path) -> list[Path]:
    if path.suffix == ".onnx":
        try:
            return [path, *data_files(path)]
        except (OSError, ValueError):  # gone, or being written
            return [path]
    if path.suffix != ".xml":
        return [path]
    weights = path.with_suffix(".bin")
    return [path, weights] if os.path.lexists(weights) else [path]
