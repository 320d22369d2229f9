"""Measuring: what a job's child process does for a benchmark."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.core.errors import EdgewrightError, InputError
from edgewright.core.files import write_file
from edgewright.core.session import Arrays

if TYPE_CHECKING:
    from edgewright.measurement import Subject

RESULT = "result.json"
_SAY_S = 0.5


def measure(asked: dict[str, Any], say: Any) -> dict[str, Any]:
    """The subjects side by side; ``out/result.json`` is a ``BenchmarkResult``. Raises InputError when none
    of them could be measured."""
    from edgewright.measurement import Effort
    from edgewright.measurement.benchmarks import benchmark

    wish, calls, noise = asked["wish"], list[Arrays](), list[Arrays]()
    subjects: dict[str, Subject | str] = {}
    for one in asked["subjects"]:
        try:
            subjects[one["subject"]], given = _opened(one, wish["seed"])
        except EdgewrightError as error:
            subjects[one["subject"]] = str(error)[:500]
            continue
        if one["kind"] == "bundle":
            calls = calls or given
        else:
            noise = noise or given
    _same_threads(subjects, [one["subject"] for one in asked["subjects"] if one["kind"] == "version"])
    began, told = time.monotonic(), 0.0

    def checkpoint() -> None:
        nonlocal told
        elapsed = time.monotonic() - began
        if elapsed - told > _SAY_S:
            told = elapsed
            left = max(wish["budget_s"] - elapsed, 0.0)
            say({"progress": {"stage": "side by side", "tried": len(subjects), "elapsed_s": round(elapsed, 2),
                              "left_s": round(left, 2), "best": None, "baseline": None}})  # fmt: skip

    say({"ready": True})
    effort = Effort.within(wish["budget_s"], len(subjects), wish["seed"])
    found = benchmark(subjects, calls or noise, effort, checkpoint=checkpoint)
    if found.why:
        raise InputError("; ".join(f"{one.subject}: {one.why}" for one in found.subjects)[:500])
    Path(asked["out"]).mkdir(exist_ok=True)
    write_file(Path(asked["out"]) / RESULT, json.dumps(found.to_json(), allow_nan=False).encode())
    return {"measured": sum(not one.why for one in found.subjects)}


def _opened(one: dict[str, Any], seed: int) -> tuple[Subject, list[Arrays]]:
    """The subject, and calls to it: a bundle's golden ones; seeded noise for a model that is no bundle."""
    from edgewright.bundles import verify
    from edgewright.formats import load
    from edgewright.measurement import Subject, drawn_requests
    from edgewright.trust import PublicKey

    if one["kind"] == "bundle":
        bundle = verify(Path(one["path"]), [PublicKey(bytes.fromhex(one["key"]))])
        variant = bundle.variant()
        return Subject(variant.model, variant.engine, variant.options), [c.inputs for c in bundle.content.golden.calls]
    model = load(Path(one["path"]))
    try:
        return Subject(model), drawn_requests(model.signature, seed=seed)
    except InputError as error:
        told = "inputs for it cannot be made up; measure a bundle of it, which brings calls of its own"
        raise InputError(f"{told} ({error})") from error


def _same_threads(subjects: dict[str, Subject | str], models: list[str]) -> None:
    """Models that are no bundles run on as many threads as the first bundle does."""
    bundles = [one for name, one in subjects.items() if name not in models and not isinstance(one, str)]
    for name in models:
        one = subjects[name]
        if bundles and not isinstance(one, str):
            subjects[name] = replace(one, options=replace(one.options, threads=bundles[0].options.threads))
