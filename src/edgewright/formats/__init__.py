"""Formats: files to Models and back. A format is one file; its line below is the whole registration."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from edgewright.core.errors import InputError
from edgewright.core.files import check_ours, write_folder
from edgewright.core.model import Model
from edgewright.core.table import Table
from edgewright.formats.libraries import library

FORMATS = Table(
    "format",
    "formats",
    {
        "onnx": "edgewright.formats.onnx:Onnx",
        "ort": "edgewright.formats.ort:Ort",
        "openvino": "edgewright.formats.openvino:OpenVinoIr",
        "exported": "edgewright.formats.exported:ExportedProgram",
        "sklearn": "edgewright.formats.sklearn:SklearnModel",
    },
)


class Format(Protocol):
    """What a format file offers. Importing it, sniffing and accepting must not import a heavy library."""

    name: str

    def sniff(self, path: Path, head: bytes) -> bool:
        """Whether the file at ``path``, whose first 4,096 bytes are ``head``, looks like this format."""
        ...

    def accepts(self, live: Any) -> bool:
        """Whether a live Python object (a module, an estimator) is this format's."""
        ...

    def load(self, source: Any, **options: Any) -> Model:
        """The Model at a path, or of a live object. Raises InputError for what cannot be used."""
        ...

    def convert(self, model: Model) -> Model:
        """``model`` in this format. Raises InputError when there is no route."""
        ...


def load(source: Any, **options: Any) -> Model:
    """The Model in a file, or of a live PyTorch module or scikit-learn estimator.

    ``options`` go to the format: ``example`` (and ``dynamic_batch``) for a live module, see ``formats.exported``.
    Raises InputError with what to do next, and MissingExtra for a format whose library is not installed.
    """
    found, missing = _formats()
    if not isinstance(source, str | Path):
        for each in found:
            if each.accepts(source):
                return each.load(source, **options)
        kind = type(source).__name__
        raise InputError(f"a {kind} is not a model Edgewright knows; pass a path, a module or an estimator")
    path = Path(source)
    try:
        if not path.is_file():
            raise InputError(f"there is no model file at {path}" + (" but a folder" if path.is_dir() else ""))
        with path.open("rb") as stream:
            head = stream.read(4096)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputError(f"cannot read {str(path)!r}: {getattr(error, 'strerror', None) or error}") from error
    if not head:
        raise InputError(f"{path} is empty; export the model again")
    if head.startswith(b"version https://git-lfs"):
        raise InputError(f"{path} is a Git LFS pointer, not the model; fetch it with: git lfs pull")
    for each in found:
        if each.sniff(path, head):
            return each.load(path, **options)
    for name, module in missing.items():
        if path.suffix.lower() == f".{name}":
            library(module)
    note = f" (not installed: {', '.join(missing.values())})" if missing else ""
    raise InputError(f"{path} is in no format Edgewright reads; it reads: {', '.join(FORMATS)}{note}")


def _formats() -> tuple[list[Format], dict[str, str]]:
    """Every format that can be imported, and the module each of the others lacks."""
    found: list[Format] = []
    missing: dict[str, str] = {}
    for name in FORMATS:
        try:
            found.append(FORMATS[name]())
        except ModuleNotFoundError as error:
            missing[name] = error.name or name
    return found, missing


def convert(model: Model, to: str) -> Model:
    """``model`` in the format named ``to``. Raises InputError for an unknown format or where there is no route."""
    if model.format == to:
        return model
    target: Format = FORMATS[to]()
    return target.convert(model)


def save(model: Model, folder: str | Path) -> Path:
    """Write the model's files into ``folder``, whole or not at all; the path of the main one.

    A folder that holds anything but an earlier model of the same file names is left alone: InputError.
    """
    folder = Path(folder)
    check_ours(folder, model.files, "the model")
    write_folder(folder, model.files)
    return folder / model.main
