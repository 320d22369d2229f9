"""Preparing: the slow and the dangerous part of loading a model, in a child process.

Reading and verifying a bundle, opening it for the first time, its golden calls and its first runs take seconds and may
hang or die. What the server must still do afterwards must not hold the interpreter: ONNX Runtime (1.31) holds it while
it parses a model file, 44 ms for one of 117 MB, but not while it maps weights that lie beside the graph (0.4 ms in all;
figures of 2026-11-21). So the child leaves the graph and its weights apart.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgewright.bundles import compare_golden, too_far
from edgewright.core.child import run_child
from edgewright.core.errors import EdgewrightError, EngineError, InputError
from edgewright.core.files import storage
from edgewright.core.interruption import interrupting
from edgewright.core.model import FilesIn, Model
from edgewright.core.session import Arrays, EngineOptions, Session
from edgewright.measurement.subject import drawn_requests
from edgewright.runtime.loading.places import Place
from edgewright.runtime.loading.prepared import model_folder, read_prepared, write_prepared
from edgewright.runtime.loading.sources import Source, open_model, read_source, scattered
from edgewright.trust import PublicKey

_TIMEOUT_S = 600.0
FIRST_S = 60.0
"""For the first runs of a model: golden calls and warming up."""
_NICE = 10
_RUNS, _SECONDS = 30, 1.0
_APART_BYTES = 256 * 1024
"""Models below this are parsed within a tenth of a millisecond: they stay in one piece."""


def prepare(place: Place, folder: Path, trusted: list[PublicKey] | None, engine: str,
            options: EngineOptions | None, stop: int | None = None) -> Source:  # fmt: skip
    """The source at ``place``, verified, tried out and laid out in ``folder`` by a child process.

    ``stop``: a descriptor; what can be read from it ends the child. Raises the EdgewrightError that the child did,
    ChildError when it died, hung or was stopped.
    """
    told = {
        "name": place.name, "version": place.version, "path": str(place.path.resolve()), "folder": str(folder),
        "trusted": None if trusted is None else [key.text() for key in trusted], "engine": engine,
        "options": None if options is None else options.to_json(),
    }  # fmt: skip
    run_child(f"{__name__}:prepare_in_child", told, timeout_s=_TIMEOUT_S, folder=folder, stop=stop)
    return read_prepared(folder)


def prepare_in_child(told: dict[str, Any]) -> dict[str, Any]:
    """``prepare``'s other half. Raises EdgewrightError for what must not be served."""
    os.nice(_NICE)
    trusted = None if told["trusted"] is None else [PublicKey.parse(text) for text in told["trusted"]]
    options = None if told["options"] is None else EngineOptions(**told["options"])
    place = Place(told["name"], told["version"], Path(told["path"]))
    source, session = open_model(read_source(place, trusted, told["engine"], options))
    with session, ended_in(session, FIRST_S):
        check_golden(source, session)
        check_latency(source, fastest_s(source, session))
    folder = Path(told["folder"])
    with storage(folder):
        source = _laid_out(source, model_folder(folder), apart=scattered(place.path))
        write_prepared(source, folder)
    return {"version": source.version}


@contextlib.contextmanager
def ended_in(session: Session, seconds: float) -> Iterator[None]:
    """A block of first runs, of which nobody knows whether they end. Raises EngineError after ``seconds`` where the
    engine lets itself be interrupted."""
    interrupt = getattr(session, "interrupt", None)
    if interrupt is None:
        yield
        return
    with interrupting(interrupt, seconds) as watch:
        try:
            yield
        except EngineError:
            if not watch.late:
                raise
    if watch.late:
        raise EngineError(
            f"it did not answer its first requests within {seconds:.3g} s; look for a loop that never ends"
        )


def check_golden(source: Source, session: Session) -> None:
    """Raise EngineError unless ``session`` answers the bundle's golden calls."""
    if source.golden is not None:
        wrong = too_far(compare_golden(session, source.golden))
        if wrong:
            raise EngineError(f"it does not answer its golden calls on this machine: {wrong}; the bundle is not served")


def check_latency(source: Source, seconds: float) -> None:
    """Raise EngineError when even the fastest run was slower than what the bundle's contract promises of the 99th
    percentile."""
    if source.latency_ms is not None and 1e3 * seconds > source.latency_ms:
        raise EngineError(
            f"its fastest run took {1e3 * seconds:.3g} ms here, the bundle promises 99% of runs within "
            f"{source.latency_ms:.3g} ms; compile it for this target"
        )


def requests(source: Source) -> list[Arrays]:
    """What a model is tried with: its golden calls, or seeded noise; nothing where neither is to be had."""
    if source.golden is not None:
        return [call.inputs for call in source.golden.calls]
    with contextlib.suppress(InputError):  # strings cannot be drawn
        return drawn_requests(source.model.signature, 1)
    return []


def fastest_s(source: Source, session: Session) -> float:
    """The fastest of some runs, in s; 0.0 where the model declines what it is tried with (a token it does not have)."""
    calls, best, end = requests(source), float("inf"), time.perf_counter() + _SECONDS
    with contextlib.suppress(EngineError):
        for number in range(_RUNS if calls else 0):
            begin = time.perf_counter()
            session.infer(calls[number % len(calls)])
            best = min(best, time.perf_counter() - begin)
            if time.perf_counter() > end:
                break
    return best if best < float("inf") else 0.0


def _laid_out(source: Source, folder: Path, apart: bool) -> Source:
    model = source.model
    folder.mkdir()
    size = sum(map(len, model.files.values()))
    if source.engine == "onnxruntime" and model.format == "onnx" and (apart or size >= _APART_BYTES):
        _split(model, folder)
    else:
        for name, data in model.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    names = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]
    return replace(source, model=Model(model.format, model.main, FilesIn(folder, names), model.signature))


def _split(model: Model, folder: Path) -> None:
    """Have ONNX Runtime write the graph as it is, its weights beside it."""
    from edgewright.engines.onnxruntime import OnnxRuntime, session_options

    settings = session_options(EngineOptions(graph_level="none"))
    settings.optimized_model_filepath = str(folder / model.main)
    for key, value in (("file_name", "weights.bin"), ("min_size_in_bytes", "1024")):
        settings.add_session_config_entry(f"session.optimized_model_external_initializers_{key}", value)
    try:
        OnnxRuntime().open(model, EngineOptions(), settings).close()
    except EngineError:
        # What ONNX Runtime says of a full disk names a line of its own source.
        if shutil.disk_usage(folder).free < sum(map(len, model.files.values())):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
        raise
    if not (folder / model.main).is_file():
        raise EdgewrightError("ONNX Runtime did not write the model apart from its weights")


def discard(folder: Path) -> None:
    """Remove what ``prepare`` left."""
    shutil.rmtree(folder, ignore_errors=True)
