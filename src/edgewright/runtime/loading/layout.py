"""Layout: a version's files in a private folder, so that the server need only map them.

ONNX Runtime (1.31) holds the interpreter while it parses a model file, 44 ms for one of 117 MB, but not while it maps
weights that lie beside the graph (0.4 ms in all; figures of 2026-11-21). So a graph and its weights are put apart.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from edgewright.core.errors import EdgewrightError, EngineError
from edgewright.core.model import FilesIn, Model
from edgewright.core.session import EngineOptions
from edgewright.runtime.loading.apart import take_apart
from edgewright.runtime.loading.sources import Source, opening

_APART_BYTES = 256 * 1024
"""Models below this are parsed within a tenth of a millisecond: they stay in one piece."""
_WEIGHTS = "weights.bin"


def lay_out(source: Source, folder: Path, far: bool) -> Source:
    """The source with its model's files in ``folder``, which is made. ``far``: it keeps weights in further files, which
    may change. Raises OSError, and what the engine tells of a model that it must take apart itself."""
    folder.mkdir()
    model = source.model
    onnx = source.engine == "onnxruntime" and model.format == "onnx"
    if not (onnx and (far or model.size_bytes >= _APART_BYTES) and _split(source, folder, far)):
        _copy(model, folder)
    names = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]
    return replace(source, model=Model(model.format, model.main, FilesIn(folder, names), model.signature))


def _split(source: Source, folder: Path, far: bool) -> bool:
    """Put graph and weights apart; False when that cannot be told of this file, which may be none."""
    model = source.model
    if not far and len(model.files) == 1:
        with _content(model) as content, (folder / _WEIGHTS).open("wb") as weights:
            graph = b""
            with contextlib.suppress(ValueError):
                graph = take_apart(content, weights, _WEIGHTS)
        if 0 < len(graph) < _APART_BYTES:
            (folder / model.main).write_bytes(graph)
            return True
        (folder / _WEIGHTS).unlink()
        if not graph:
            return False  # its engine says what is wrong with it
    _written_by_engine(source, folder)  # weights elsewhere than in raw initializers
    return True


def _written_by_engine(source: Source, folder: Path) -> None:
    """Have ONNX Runtime write the graph as it is, its weights beside it."""
    from edgewright.engines.onnxruntime import OnnxRuntime, session_options

    model = source.model
    settings = session_options(EngineOptions(graph_level="none"))
    settings.optimized_model_filepath = str(folder / model.main)
    for key, value in (("file_name", _WEIGHTS), ("min_size_in_bytes", "1024")):
        settings.add_session_config_entry(f"session.optimized_model_external_initializers_{key}", value)
    try:
        with opening(model):
            OnnxRuntime().open(model, EngineOptions(), settings).close()
    except EngineError:
        # What ONNX Runtime says of a full disk names a line of its own source.
        if shutil.disk_usage(folder).free < model.size_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
        raise
    if not (folder / model.main).is_file():
        raise EdgewrightError("ONNX Runtime did not write the model apart from its weights")


def _copy(model: Model, folder: Path) -> None:
    for name in model.files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(model.files, FilesIn):
            shutil.copyfile(model.files.folder / name, path)
        else:
            path.write_bytes(model.files[name])


@contextlib.contextmanager
def _content(model: Model) -> Iterator[memoryview]:
    """The model's one file, mapped where it lies rather than read."""
    if not isinstance(model.files, FilesIn):
        yield memoryview(model.data)
        return
    with (model.files.folder / model.main).open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ)
    yield memoryview(mapped)
