"""Benching: bundles that lie in the slots, measured side by side in a child that is shut in, beside what serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgewright.agent.slots import Slots
from edgewright.bundles import verify
from edgewright.core.child import run_child
from edgewright.core.errors import EdgewrightError, StorageError, TrustError
from edgewright.core.messages import Benchmark, BenchmarkResult
from edgewright.core.session import Arrays
from edgewright.measurement import Effort, Plan, Subject
from edgewright.measurement.benchmarks import benchmark
from edgewright.trust import PublicKey

_LONGEST = 3.0
"""A run may take so many times what was asked for, and a minute: sessions are opened, devices are slow."""
_BASE_BYTES, _PER_BYTE = 6 * 2**30, 12


def bench(slots: Slots, keys: Sequence[PublicKey], asked: Benchmark, stop: int | None = None) -> BenchmarkResult:
    """What was asked for, in about the time that was asked for. Never raises: what went wrong is told. ``stop``: a
    descriptor; the run is given up as soon as something can be read from it."""
    folders = {digest: slots.model(digest) for digest in asked.bundles}
    there = {digest: folder.resolve() for digest, folder in folders.items() if folder is not None}
    told = {
        "asked": asked.to_json(), "folders": {digest: str(folder) for digest, folder in there.items()},
        "keys": [key.text() for key in keys],
    }  # fmt: skip
    try:
        size = sum(one.stat().st_size for folder in there.values() for one in folder.rglob("*") if one.is_file())
        answer = run_child(
            f"{__name__}:bench_in_child", told, timeout_s=_LONGEST * asked.seconds + 60.0,
            memory_bytes=_BASE_BYTES + _PER_BYTE * size, sandbox=True, reads=list(there.values()), stop=stop,
        )  # fmt: skip
        found = BenchmarkResult.from_json(answer)
        if found.number != asked.number or [one.subject for one in found.subjects] != list(asked.bundles):
            raise TrustError("the process that measured them answered nonsense; do not trust these bundles")
    except (EdgewrightError, ValueError, OSError) as error:
        return BenchmarkResult(asked.number, why=str(error)[:500])
    return found


def bench_in_child(told: Mapping[str, Any]) -> dict[str, Any]:
    """``bench``'s other half. The calls are the golden ones of the first bundle that is there."""
    asked = told["asked"]
    keys = [PublicKey.parse(text) for text in told["keys"]]
    subjects: dict[str, Subject | str] = {}
    inputs = list[Arrays]()
    for digest in asked["bundles"]:
        try:
            bundle = _opened(told["folders"].get(digest), digest, keys)
        except EdgewrightError as error:
            subjects[digest] = str(error)[:500]
            continue
        variant = bundle.variant()
        subjects[digest] = Subject(variant.model, variant.engine, variant.options)
        inputs = inputs or [call.inputs for call in bundle.content.golden.calls]
    effort = Effort(
        Plan(budget_s=asked["seconds"], precision=0.0, seed=asked["seed"]), openings=2, sustained_s=0.0,
        throughput_s=0.0, energy_s=0.0, fresh_runs=0,
    )  # fmt: skip
    return benchmark(subjects, inputs, effort, number=asked["number"]).to_json()


def _opened(folder: str | None, digest: str, keys: list[PublicKey]) -> Any:
    if folder is None:
        raise StorageError("this device does not have it; release it to this device first")
    bundle = verify(Path(folder), keys)
    if bundle.digest != digest:
        raise TrustError(f"what lies there is bundle {bundle.digest[:12]}")
    return bundle
