"""A folder of images, a folder per class: names and labels now, pixels when they are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgewright.core.errors import InputError
from edgewright.datasets.source import ImageSource

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp"})
_LIMIT = 2_000_000


def read_folder(folder: Path) -> ImageSource:
    """Images of ``folder/<class>/*``, classes in alphabetical order; images straight in ``folder`` have no labels.

    Raises InputError when there is none, when a class is empty, or when the two ways are mixed.
    """
    try:
        entries = sorted(e for e in folder.iterdir() if not e.name.startswith((".", "__")))
        classes = [entry for entry in entries if entry.is_dir()]
        loose = _images([entry for entry in entries if not entry.is_dir()])
        held = {entry.name: _visible(entry) for entry in classes}
    except OSError as error:
        raise InputError(f"cannot read {error.filename or folder}: {error.strerror or error}") from error
    other = sum(not e.is_dir() for e in entries) - len(loose)
    if classes and loose:
        raise InputError(f"{folder} has images beside its class folders; move {loose[0].name!r} into a class")
    if not classes and not loose:
        raise InputError(f"{folder} holds no images (JPEG, PNG, BMP); make a folder per class and put them there")
    if not classes:
        return ImageSource(str(folder), tuple(loose), None, (), _ignored(other))
    paths: list[Path] = []
    labels: list[int] = []
    for index, entry in enumerate(classes):
        inside = held[entry.name]
        images = _images(inside)
        if not images:
            deeper = next((e for e in inside if e.is_dir()), None)
            hint = f"its images seem to lie deeper: pass {entry}" if deeper else "add images or remove the folder"
            raise InputError(f"the class folder {entry} holds no images; {hint}")
        other += len(inside) - len(images)
        paths += images
        labels += [index] * len(images)
    if len(paths) > _LIMIT:
        raise InputError(f"{folder} holds {len(paths):,} images; at most {_LIMIT:,} are read")
    names = tuple(entry.name for entry in classes)
    return ImageSource(str(folder), tuple(paths), np.array(labels, np.int64), names, _ignored(other))


def _visible(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _images(entries: list[Path]) -> list[Path]:
    return [entry for entry in entries if entry.suffix.lower() in SUFFIXES and entry.is_file()]


def _ignored(count: int) -> tuple[str, ...]:
    return (f"{count} entries that are no JPEG, PNG or BMP files were left out",) if count else ()
