"""Formats: files to Models and back. A format is one file; its line below is the whole registration."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from edgewright.core.errors import InputError
from edgewright.core.files import write_folder
from edgewright.core.model import Model
from edgewright.core.table import Table

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
    """What a format file offers."""

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

    ``options`` go to the format (``example`` for a live module). Raises InputError with what to do next.
    """
    formats: list[Format] = []
    missing: list[str] = []
    for name in FORMATS:
        try:
            formats.append(FORMATS[name]())
        except ImportError as error:
            missing.append(f"{name} ({error.name})")
    if not isinstance(source, str | Path):
        for found in formats:
            if found.accepts(source):
                return found.load(source, **options)
        kind = type(source).__name__
        raise InputError(f"a {kind} is not a model Edgewright knows; pass a path, a module or an estimator")
    path = Path(source)
    if not path.is_file():
        raise InputError(f"there is no model file at {path}")
    with path.open("rb") as stream:
        head = stream.read(4096)
    if not head:
        raise InputError(f"{path} is empty; export the model again")
    for found in formats:
        if found.sniff(path, head):
            return found.load(path, **options)
    note = f" (not installed: {', '.join(missing)})" if missing else ""
    raise InputError(f"{path} is in no format Edgewright reads; it reads: {', '.join(FORMATS)}{note}")


def convert(model: Model, to: str) -> Model:
    """``model`` in the format named ``to``. Raises InputError for an unknown format or where there is no route."""
    if model.format == to:
        return model
    target: Format = FORMATS[to]()
    return target.convert(model)


def save(model: Model, folder: str | Path) -> Path:
    """Write the model's files into ``folder``, whole or not at all; the path of the main one."""
    folder = Path(folder)
    write_folder(folder, model.files)
    return folder / model.main
