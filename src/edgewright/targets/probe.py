"""What this machine really reaches: a micro-benchmark of under two seconds, remembered per machine and version.

Peaks are those an engine attains, which is what a prediction for an engine needs: ONNX Runtime's MatMul (fp32) and
MatMulInteger (u8 x s8) on one thread; a copy far larger than the caches and one that fits them, counted as STREAM
counts (bytes read plus bytes written; McCalpin, 1995); the time an engine spends on an operator that does nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.core.digests import digest_json
from edgewright.core.errors import InputError, StorageError
from edgewright.core.files import read_file, write_file
from edgewright.targets.description import Figure, Target
from edgewright.targets.tiny import FLOAT, INT8, INT32, UINT8, chain_model, matmul_model

VERSION = 1
"""Part of the cache's key: raise it when the benchmark changes."""
_PLAUSIBLE: Mapping[str, tuple[float, float]] = {
    "fp32": (1e6, 1e14),
    "int8": (1e6, 1e15),
    "memory_bandwidth": (1e6, 1e13),
    "cache_bandwidth": (1e6, 1e14),
    "operator_overhead": (1e-9, 1e-2),
}
"""MAC/s, B/s and s between which a remembered result is believed."""
_SIZE = 384
_SECONDS = 0.2
_CHAINS = (8, 136)


def cache_file(target: Target) -> Path | None:
    """Where the results for this machine lie, in the user's cache folder; None for a user without a home."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        folder = Path(base) if base.startswith("/") else Path.home() / ".cache"
    except RuntimeError:
        return None
    facts = [target.title, sorted(target.isa), int(target.cores), VERSION, _engine_version()]
    return folder / "edgewright" / f"host-{digest_json(facts)[:16]}.json"


def remembered(target: Target) -> dict[str, float] | None:
    """Earlier results for this machine, or None when there are none that can be used."""
    path = cache_file(target)
    if path is None:
        return None
    try:
        found = json.loads(read_file(path, 4096))
    except (InputError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or set(found) != set(_PLAUSIBLE):
        return None
    usable = all(
        isinstance(found[key], int | float) and low <= found[key] <= high for key, (low, high) in _PLAUSIBLE.items()
    )
    return {key: float(found[key]) for key in _PLAUSIBLE} if usable else None


def measured(target: Target, *, again: bool = False) -> dict[str, float]:
    """Earlier results (not ``again``), or new ones, which are then remembered."""
    found = None if again else remembered(target)
    if found is None:
        found = run(target)
        path = cache_file(target)
        # A cache that cannot be written costs the next call two seconds, nothing else.
        if path is not None:
            with contextlib.suppress(StorageError):
                write_file(path, json.dumps(found).encode(), mode=0o600)
    return found


def run(target: Target) -> dict[str, float]:
    """Measure now. Values in MAC/s, B/s and s; see the module's docstring."""
    last = max((float(size) for size in target.caches.values()), default=8e6)
    large = int(min(max(4 * last, 32e6), 256e6, float(target.ram_model) / 8)) // 2
    near = int(min(float(target.caches["l2"]) / 4 if "l2" in target.caches else 65536.0, 1e6))
    short, long = (_best(_session(chain_model(n)), _vector(), _SECONDS / 4) for n in _CHAINS)
    return {
        "fp32": _matmul(FLOAT, FLOAT, FLOAT, "MatMul"),
        "int8": _matmul(UINT8, INT8, INT32, "MatMulInteger"),
        "memory_bandwidth": _copy(large),
        "cache_bandwidth": _copy(near),
        "operator_overhead": max((long - short) / (_CHAINS[1] - _CHAINS[0]), 1e-9),
    }


def applied(target: Target, found: Mapping[str, float]) -> Target:
    """``target`` with measured peaks in place of derived ones; types not measured keep their ratio to fp32."""
    how = f"measured: onnxruntime {_engine_version()}"
    shape = f"{_SIZE} x {_SIZE} x {_SIZE}, one thread, best"
    compute = {
        name: Figure(
            found["fp32"] * figure.value / target.compute["fp32"].value,
            "MAC/s",
            f"derived: measured fp32 x the ratio of derived peaks ({name} to fp32)",
        )
        for name, figure in target.compute.items()
    }
    compute["fp32"] = Figure(found["fp32"], "MAC/s", f"{how} MatMul {shape}")
    compute["int8"] = Figure(found["int8"], "MAC/s", f"{how} MatMulInteger u8 x s8 {shape}")
    return dataclasses.replace(
        target,
        compute=compute,
        memory_bandwidth=Figure(found["memory_bandwidth"], "B/s", "measured: copy beyond the caches, one thread, best"),
        cache_bandwidth=Figure(found["cache_bandwidth"], "B/s", "measured: copy within the L2 cache, one thread, best"),
        operator_overhead=Figure(found["operator_overhead"], "s", f"{how}, slope over chains of Neg on 16 numbers"),
    )


def _engine_version() -> str:
    """ONNX Runtime's release, without importing it where the installation tells."""
    try:
        return version("onnxruntime")
    except PackageNotFoundError:  # another build of it, such as onnxruntime-gpu
        import onnxruntime

        return str(onnxruntime.__version__)


def _session(model: bytes) -> Callable[[Any], Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda array: session.run(None, {"x": array})


def _best(call: Callable[[Any], Any], argument: Any, seconds: float) -> float:
    """The shortest of the calls that fit in ``seconds`` (three at least, one more to warm up), in s."""
    call(argument)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call(argument)
        times.append(time.perf_counter() - start)
    return min(times)


def _vector() -> Any:
    return np.ones(16, np.float32)


def _matmul(left: int, right: int, out: int, op_type: str) -> float:
    array = np.ones((_SIZE, _SIZE), np.float32 if left == FLOAT else np.uint8)
    seconds = _best(_session(matmul_model(op_type, left, right, out, _SIZE)), array, _SECONDS)
    return _SIZE**3 / seconds


def _copy(size: int) -> float:
    source, sink = np.ones(max(size // 8, 1)), np.zeros(max(size // 8, 1))
    seconds = _best(lambda _: np.copyto(sink, source), None, _SECONDS)
    return 2 * source.nbytes / seconds
