"""Preparing: the slow and the dangerous part of loading a model, in a child process.

Reading and verifying a bundle, opening it for the first time, its golden calls and its first runs take seconds and may
hang or die. What the server must still do afterwards must not hold the interpreter: ONNX Runtime (1.31) holds it while
it parses a model file, 44 ms for one of 117 MB, but not while it maps weights that lie beside the graph (0.4 ms in all;
figures of 2026-11-21). So the child leaves the graph and its weights apart.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgewright.bundles import compare_golden, too_far
from edgewright.core.child import run_child
from edgewright.core.errors import EdgewrightError, EngineError, InputError
from edgewright.core.model import FilesIn, Model
from edgewright.core.session import Arrays, EngineOptions, Session
from edgewright.measurement.subject import drawn_requests
from edgewright.runtime.loading.places import Place
from edgewright.runtime.loading.prepared import model_folder, read_prepared, write_prepared
from edgewright.runtime.loading.sources import Source, open_model, read_source
from edgewright.trust import PublicKey

_TIMEOUT_S = 600.0
_NICE = 10
_RUNS, _SECONDS = 30, 1.0
_APART_BYTES = 256 * 1024
"""Models below this are parsed within a tenth of a millisecond: they stay in one piece."""


def prepare(place: Place, folder: Path, trusted: list[PublicKey] | None, engine: str,
            options: EngineOptions | None) -> Source:  # fmt: skip
    """The source at ``place``, verified, tried out and laid out in ``folder`` by a child process.

    Raises the EdgewrightError that the child did, ChildError when it died or hung.
    """
    told = {
        "name": place.name, "version": place.version, "path": str(place.path.resolve()), "folder": str(folder),
        "trusted": None if trusted is None else [key.text() for key in trusted], "engine": engine,
        "options": None if options is None else options.to_json(),
    }  # fmt: skip
    run_child(f"{__name__}:prepare_in_child", told, timeout_s=_TIMEOUT_S, folder=folder)
    return read_prepared(folder)


def prepare_in_child(told: dict[str, Any]) -> dict[str, Any]:
    """``prepare``'s other half. Raises EdgewrightError for what must not be served."""
    os.nice(_NICE)
    trusted = None if told["trusted"] is None else [PublicKey.parse(text) for text in told["trusted"]]
    options = None if told["options"] is None else EngineOptions(**told["options"])
    place = Place(told["name"], told["version"], Path(told["path"]))
    source, session = open_model(read_source(place, trusted, told["engine"], options))
    with session:
        check_golden(source, session)
        check_latency(source, fastest_s(source, session))
    folder = Path(told["folder"])
    source = _laid_out(source, model_folder(folder))
    write_prepared(source, folder)
    return {"version": source.version}


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


def _laid_out(source: Source, folder: Path) -> Source:
    model = source.model
    folder.mkdir()
    size = sum(map(len, model.files.values()))
    if source.engine == "onnxruntime" and model.format == "onnx" and size >= _APART_BYTES:
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
    OnnxRuntime().open(model, EngineOptions(), settings).close()
    if not (folder / model.main).is_file():
        raise EdgewrightError("ONNX Runtime did not write the model apart from its weights")


def discard(folder: Path) -> None:
    """Remove what ``prepare`` left."""
    shutil.rmtree(folder, ignore_errors=True)
