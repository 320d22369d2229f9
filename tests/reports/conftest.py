"""A report as the flow writes it, made of the real records, so that a change of theirs is felt here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgewright.compression.verdict import judge
from edgewright.core.candidate import Candidate, Constraint
from edgewright.core.measurement import Measurement
from edgewright.core.model import Model, Signature, TensorSpec
from edgewright.core.session import EngineOptions
from edgewright.core.statistics import Interval
from edgewright.measurement.accuracy import AccuracyResult, ClassDrop
from edgewright.measurement.answers import Choice
from edgewright.measurement.latency import LatencyResult
from edgewright.measurement.metrics import metric
from edgewright.reports import render

FLOAT = ({"pass": "simplify"}, {"pass": "fuse", "contrib": True})
INT8 = (*FLOAT, {"pass": "int8_static"}, {"pass": "strip"})
HALF = (*FLOAT, {"pass": "prune_channels", "keep": 0.5, "align": 16}, {"pass": "int8_static", "calibration": "mse"})
QUICK = "ratio to the baseline beside it"


class Maker:
    """Makes reports: a plain one with three candidates unless told otherwise."""

    def __init__(self) -> None:
        self.constraints: tuple[Constraint, ...] = (
            Constraint("latency_ms", "max", 0.5, "ms"), Constraint("accuracy_drop", "max", 0.5, "points"),
        )  # fmt: skip
        self.choice = Choice(metric("top1"), "logits", "scores", "labels are classes")
        self.kind = "measured"
        self.signature = Signature(
            (TensorSpec("x", "float32", ("batch", 8)),), (TensorSpec("y", "float32", ("batch", 3)),)
        )

    def candidate(
        self, number: int, latency: float | None = 0.2, size: float = 100e3, drop: float = 0.0, *,
        recipe: Sequence[Mapping[str, Any]] = INT8, engine: str = "onnxruntime", final: bool = False,
        refused: Sequence[str] = (), classes: int = 3, **more: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """One entry of ``candidates``."""
        metrics = self.metrics(latency, size, drop, final=final) if latency is not None else {}
        identity = f"{number:012x}"
        model = Model("onnx", "model.onnx", {"model.onnx": identity.encode()}, self.signature)
        made = judge(
            Candidate(identity, tuple(recipe), model, engine, EngineOptions(), metrics, (), tuple(refused)),
            self.constraints,
        )
        accuracy = self.accuracy(drop, classes).to_json() if final else None
        entry = {
            **made.to_json(f"candidates/{identity}" if final else ""),
            "final": final,
            "steps": [self.step(step) for step in recipe],
            "latency": self.latency(identity, latency).to_json()
            if final and latency and self.kind == "measured"
            else None,
            "missing": {"energy_mj": "no counter is readable"} if final else {},
            "accuracy": accuracy,
        }
        return {**entry, **more}

    def metrics(self, latency: float, size: float, drop: float, *, final: bool) -> dict[str, Measurement]:
        """What is known of a candidate: more of a finalist."""
        judged = self.choice.metric
        base = 98.0 if judged.unit == "points" else 1.5
        told = {"split": "test" if final else "search", "metric": judged.name}
        time: dict[str, Any] = {"how": QUICK, "over_baseline": latency / 0.8}
        if final or self.kind == "predicted":
            time = {} if self.kind == "predicted" else {"ratio": [latency / 0.8, latency / 0.84, latency / 0.76]}
        now = base - drop if judged.higher_is_better else base + drop
        made = {
            "size_bytes": Measurement(size, "B", "measured"),
            "accuracy": Measurement(now, judged.unit, "measured", 240, now - 1, now + 1, told),
            "accuracy_drop": Measurement(drop, judged.unit, "measured", 240, drop - 1.2, drop + 1.3, told),
            "latency_ms": Measurement(latency, "ms", self.kind, 400, latency * 0.97, latency * 1.04, time),  # type: ignore[arg-type]
        }
        if final:
            made["ram_bytes"] = Measurement(11e6, "B", "measured", 1, 11e6, 11e6, {"interval": "one run"})
            made["energy_mj"] = Measurement(
                latency * 20, "mJ", "estimated", 400, latency * 19, latency * 21, {"source": "37 W"}
            )
        return made

    def accuracy(self, drop: float, classes: int) -> AccuracyResult:
        """Answers judged, the first class losing most."""
        judged = self.choice.metric
        base = 98.0 if judged.unit == "points" else 1.5

        def measured(value: float, **more: Any) -> Measurement:
            return Measurement(value, judged.unit, "measured", 240, value - 1, value + 1, more)

        drops = tuple(
            ClassDrop(self.choice.named(k), 24, 100.0, 100.0 - d, d, d - 20, d + 20)
            for k in range(classes)
            for d in [4.0 if k == 0 else 0.0]
        )
        worst = measured(4.0, **{"class": self.choice.named(0)}) if classes else None
        return AccuracyResult(self.choice, "test", measured(base), measured(base - drop), measured(drop), worst, drops)

    def latency(self, name: str, p50: float) -> LatencyResult:
        """A run's result with its distribution."""
        samples = p50 * np.linspace(0.9, 2.0, 200) ** 2
        return LatencyResult(
            name,
            p50=Interval(p50, p50 * 0.98, p50 * 1.02, 400),
            p95=Interval(p50 * 1.2, p50, p50 * 2, 400),
            p99=Interval(p50 * 2, p50, p50 * 3, 400),
            ratio=Interval(p50 / 0.8, p50 / 0.84, p50 / 0.76, 60),
            round_ms=np.array([p50]),
            visits=(SimpleNamespace(single_ms=samples),),  # type: ignore[arg-type]
            conditions={"rounds": 60, "openings": 4, "threads": 1, "notes": ["busy"]},
        )

    @staticmethod
    def step(step: Mapping[str, Any]) -> dict[str, Any]:
        """What a pass told."""
        facts: dict[str, Any] = (
            {"sqnr_db": 41.3, "kernels": 14} if step["pass"] == "int8_static" else {"sqnr_db": 200.0}
        )
        if step["pass"] == "prune_channels":
            facts = {"channels": [[16, 32], [32, 32]], "macs_kept": 0.5, "sqnr_db": 27.0}
        return {"step": dict(step), "status": "applied", "reason": "", **facts}

    def report(self, candidates: Sequence[Mapping[str, Any]] | None = None, **changes: Any) -> dict[str, Any]:
        """A whole report; ``changes`` replace its parts."""
        if candidates is None:
            slow = ["slower than the original: 0.9 ms against 0.8 ms"]
            candidates = [
                self.candidate(1, 0.2, 100e3, 0.2, final=True),
                self.candidate(2, 0.16, 60e3, 0.1, recipe=HALF, final=True),
                self.candidate(3, 0.3, 240e3, 1.5, engine="openvino"),
                self.candidate(4, 0.9, 400e3, 0.0, refused=slow),
            ]
        baseline = self.candidate(0, 0.8, 900e3, 0.0, recipe=(), final=True)
        best = next((c["id"] for c in candidates if c["feasible"] and c["final"]), None)
        off = [c["id"] for c in candidates if not c["feasible"] and not c["refused"]]
        known = {c["id"]: c for c in candidates}
        shown = known[best] if best else known[off[0]] if off else None
        splits = {
            n: {"n": 240, "digest": n * 8, "classes": {"0": 80, "1": 160}} for n in ("calibration", "search", "test")
        }
        return {
            "schema": "edgewright.report/1",
            "edgewright": "0.1.0",
            "model": {"source": "models/net.onnx", "digest": "ab" * 32, "format": "onnx", "size_bytes": 900000,
                      "signature": self.signature.to_json(), "parameters": 222000, "macs": 9e7},
            "data": {"source": "data.npz", "preprocessing": None, "seed": 0, **splits, "unused": 0, "notes": []},
            "metric": self.choice.to_json(),
            "target": {"name": "host", "title": "this machine: a CPU", "notes": [], "figures": {}},
            "settings": {"budget_s": 300.0, "seed": 0, "threads": 1, "keep_structure": False, "engines": [],
                         "preference": {"latency": 1.0, "size": 0.3}},
            "constraints": [vars(c) for c in self.constraints],
            "baseline": baseline,
            "best": best,
            "pareto": [best] if best else [],
            "nearest": off[:3],
            "binding": None if shown is None else min(shown["verdict"], key=lambda v: v["slack"], default=None),
            "stopped": "",
            "notes": [],
            "elapsed_s": 42.0,
            "first_feasible_s": 3.2,
            "candidates": list(candidates),
            "sensitivity": [{"layer": f"conv{k}", "op_type": "Conv", "sqnr_db": 30.0 + k} for k in range(5)],
            "profiles": {},
            "reproduce": "edgewright optimize models/net.onnx --data data.npz -o out",
            "environment": {"cpu": "a CPU", "cores": 2, "libraries": {"numpy": "2"}},
            "readiness": {"schema": "edgewright.readiness/1", "candidate": best, "gates": []},
            **changes,
        }  # fmt: skip


VOID = {"meta", "input", "br", "col", "link", "img", "hr"}


class Page(HTMLParser):
    """A page taken apart: every element with its attributes, the text, and whether tags close as they open."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.source = source
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.faults: list[str] = []
        self._open: list[str] = []
        self.feed(source)
        self.close()
        self.faults += [f"<{tag}> stays open" for tag in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        """All that is read, spaces as one."""
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        """Attributes of the elements of a tag that have these."""
        keyed = {key.rstrip("_").replace("_", "-"): value for key, value in wanted.items()}
        return [
            found for name, found in self.elements if name == tag and all(found.get(k) == v for k, v in keyed.items())
        ]


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def page() -> Callable[[Mapping[str, Any]], Page]:
    """From a report, through JSON as a file would take it, to the page taken apart."""

    def made(report: Mapping[str, Any]) -> Page:
        return Page(render(json.loads(json.dumps(report))))

    return made
