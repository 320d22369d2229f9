"""Children: a bundle is verified, unpacked and tried in processes of their own, shut in, bounded in time and memory.

What a validly signed bundle can do there: crash, hang, ask for more memory than there is, answer nonsense. None of it
reaches the agent. The runtime verifies the very files again when it loads them.
"""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.bundles import Bundle, compare_golden, too_far, verify
from edgewright.core.child import run_child
from edgewright.core.errors import TrustError
from edgewright.core.files import remove, storage, sync_folder
from edgewright.trust import PublicKey

UNPACKED = "unpacked"
_VERIFY_S, _PROBE_S = 300.0, 120.0
_BASE_BYTES, _PER_BYTE = 6 * 2**30, 12  # address space: libraries map far more than they use
_RUNS, _RUNS_S = 100, 2.0


@dataclass(frozen=True)
class Verified:
    """What a verified bundle says of itself. ``promised_ms``: of 99% of its runs, 0.0 when it promises nothing;
    ``promised_bytes``: the memory its model needs, likewise."""

    bundle: str
    name: str
    version: str
    promised_ms: float
    promised_bytes: float


@dataclass(frozen=True)
class Probed:
    """How the model did here. ``wrong``: a sentence when a golden call is not answered as it must be, else "";
    ``fastest_ms`` and ``p95_ms`` of its runs; ``grown_bytes``: what it took of memory beside the process and engine."""

    wrong: str
    fastest_ms: float
    p95_ms: float
    grown_bytes: float


def check(path: Path, keys: list[PublicKey], unpack: bool = False) -> Verified:
    """The bundle at ``path``, verified in a child; ``unpack``: into ``path``'s own folder as
    ``unpacked/NAME``, durably.

    Raises TrustError when it does not verify, ChildError when the child died, hung or took too much memory.
    """
    path = path.resolve()
    told = {"path": str(path), "keys": [key.text() for key in keys], "unpack": unpack}
    return Verified(**_plain(_run("verify_in_child", told, path, _VERIFY_S, unpack), Verified))


def probe(path: Path, keys: list[PublicKey]) -> Probed:
    """The model of the bundle's folder at ``path``, tried in a child. Raises EngineError and as ``check``."""
    path = path.resolve()
    told = {"path": str(path), "keys": [key.text() for key in keys]}
    return Probed(**_plain(_run("probe_in_child", told, path, _PROBE_S), Probed))


def _run(function: str, told: dict[str, Any], path: Path, seconds: float, writes: bool = False) -> Any:
    """``writes``: beside the bundle; nothing is ever written where one that serves lies."""
    files = path.rglob("*") if path.is_dir() else [path]
    size = sum(one.stat().st_size for one in files if one.is_file())
    return run_child(
        f"{__name__}:{function}", told, timeout_s=seconds, memory_bytes=_BASE_BYTES + _PER_BYTE * size,
        sandbox=True, folder=path.parent if writes else None, reads=[path],
    )  # fmt: skip


def _plain(answer: Any, kind: type[Verified] | type[Probed]) -> dict[str, Any]:
    """The child's answer if its fields are of their types: a bundle may have taken the child over."""
    wanted = {name: str if told == "str" else (int, float) for name, told in kind.__annotations__.items()}
    right = isinstance(answer, dict) and answer.keys() == wanted.keys()
    if not right or not all(isinstance(answer[name], known) for name, known in wanted.items()):
        raise TrustError("the process that looked at the bundle answered nonsense; do not trust this bundle")
    return {name: value[:200] if isinstance(value, str) else float(value) for name, value in answer.items()}


def verify_in_child(told: dict[str, Any]) -> dict[str, Any]:
    """``check``'s other half."""
    bundle = _opened(told)
    limits = {limit.metric: limit.limit for limit in bundle.content.contract.limits}
    if told["unpack"]:
        _write(bundle, Path(told["path"]).parent / UNPACKED)
    return {
        "bundle": bundle.digest, "name": bundle.content.name, "version": bundle.content.version,
        "promised_ms": limits.get("latency_p99_ms", 0.0), "promised_bytes": limits.get("ram_bytes", 0.0),
    }  # fmt: skip


def probe_in_child(told: dict[str, Any]) -> dict[str, Any]:
    """``probe``'s other half."""
    bundle = _opened(told)
    golden = bundle.content.golden
    times = list[float]()
    before = _peak_bytes()
    with bundle.session() as session:
        wrong = too_far(compare_golden(session, golden))
        end = time.perf_counter() + _RUNS_S
        while len(times) < _RUNS and (not times or time.perf_counter() < end):
            begin = time.perf_counter()
            session.infer(golden.calls[len(times) % len(golden.calls)].inputs)
            times.append(time.perf_counter() - begin)
    times.sort()
    return {
        "wrong": wrong, "fastest_ms": 1e3 * times[0], "p95_ms": 1e3 * times[int(0.95 * (len(times) - 1))],
        "grown_bytes": float(_peak_bytes() - before),
    }  # fmt: skip


def _opened(told: dict[str, Any]) -> Bundle:
    return verify(told["path"], [PublicKey.parse(text) for text in told["keys"]])


def _write(bundle: Bundle, folder: Path) -> None:
    """All files, each synced, and the folders. (``Bundle.write`` sets modes, which a child that is shut in may not.)"""
    with storage(folder):
        remove(folder)
        root = folder / bundle.content.name
        root.mkdir(parents=True)
        folders = {folder, root}
        for name, data in bundle.files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            folders.update(parent for parent in path.parents if parent.is_relative_to(root))
            with path.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        for one in (*folders, folder.parent):
            sync_folder(one)


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
