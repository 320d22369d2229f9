"""One whole path: a tile's JPEG to its decision, timed stage by stage, with the original and with what was chosen."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from models import data

from edgewright.measurement import Subject

STAGES = ("read", "decode", "resize", "normalise", "infer", "decide")
ROUNDS, PHOTOGRAPHS = 3, 120


def photographs(folder: Path, seed: int = 0) -> tuple[tuple[str, ...], list[tuple[Path, int]]]:
    """The classes, and held-out photographs with their labels: those of ``heldout.npz``, in its order."""
    classes, files = data.tile_files(folder)
    rows = data.split(np.array([label for _, label in files], np.int64), seed)["heldout"]
    return classes, [files[row] for row in rows]


def walk(
    subjects: Mapping[str, Subject], classes: Sequence[str], files: Sequence[tuple[Path, int]], side: int
) -> dict[str, dict[str, Any]]:
    """Median ms of each stage and of the whole, for every subject; photograph by photograph in turns.

    The file's first reading is not timed apart: after the first round it comes from the system's cache.
    """
    sessions = {name: subject.open() for name, subject in subjects.items()}
    stamps: dict[str, list[list[int]]] = {name: [] for name in sessions}
    right: dict[str, list[bool]] = {name: [] for name in sessions}
    try:
        for turn in range(ROUNDS + 1):
            for path, label in files[:PHOTOGRAPHS]:
                for name, session in sessions.items():
                    times, decision = decide(session, path, classes, side)
                    if turn:  # the first round warms up
                        stamps[name].append(times)
                        right[name].append(decision == classes[label])
    finally:
        for session in sessions.values():
            session.close()
    return {name: _summary(stamps[name], right[name]) for name in sessions}


def decide(session: Any, path: Path, classes: Sequence[str], side: int) -> tuple[list[int], str]:
    """Nanoseconds when each stage ended (one more entry than stages: the start), and the class's name."""
    clock = time.perf_counter_ns
    times = [clock()]
    photograph = path.read_bytes()
    times.append(clock())
    image = data.decode(photograph)
    times.append(clock())
    pixels = np.asarray(data.scale(image, side, side))
    times.append(clock())
    x = data.normalise(pixels)[None, None]
    times.append(clock())
    (logits,) = session.infer({session.signature.inputs[0].name: x}).values()
    times.append(clock())
    decision = classes[int(np.argmax(logits))]
    times.append(clock())
    return times, decision


def _summary(stamps: Sequence[Sequence[int]], right: Sequence[bool]) -> dict[str, Any]:
    spent = np.diff(np.array(stamps), axis=1) / 1e6  # (calls, stages)
    stages = dict(zip(STAGES, map(float, np.median(spent, axis=0)), strict=True))
    whole = spent.sum(1)
    return {
        "stages_ms": stages,
        "total_ms": float(np.median(whole)),
        "p95_ms": float(np.quantile(whole, 0.95)),
        "n": len(whole),
        "right": 100 * float(np.mean(right)),
    }
