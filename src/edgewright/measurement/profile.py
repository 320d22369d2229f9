"""Where the time goes, operator by operator, as the engine's own profiler tells it."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgewright.core.errors import EngineError, InputError
from edgewright.core.model import Model
from edgewright.core.session import Arrays, EngineOptions

_WARM_UP = 5
_MOST_EVENTS = 200_000
_ORT_SUFFIX = "_kernel_time"


@dataclass(frozen=True)
class OperatorTime:
    """One operator of the graph the engine really runs, after its own fusions.

    ``ms``: mean time of one run. ``share``: of all operators together. ``kernel``: the implementation that ran, as the
    engine calls it. ``sources``: the model's nodes it stands for, where the engine tells; several when they were fused.
    ``count``: how many operators a sum by type holds, else 1. ``order``: position in the run.
    """

    name: str
    op_type: str
    ms: float
    share: float
    kernel: str = ""
    sources: tuple[str, ...] = ()
    count: int = 1
    order: int = 0

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return {
            "name": self.name, "op_type": self.op_type, "ms": float(f"{self.ms:.5g}"), "share": round(self.share, 5),
            "kernel": self.kernel, "sources": list(self.sources), "count": self.count, "order": self.order,
        }  # fmt: skip


def profile(
    model: Model,
    engine: str,
    options: EngineOptions,
    inputs: Sequence[Arrays],
    *,
    runs: int = 50,
    budget_s: float = 2.0,
) -> list[OperatorTime]:
    """Time of every operator, the slowest first, averaged over up to ``runs`` runs within ``budget_s``.

    In a session of its own, since a profiler slows what it watches: some microseconds an operator, so that small
    operators look larger than they are. Shares tell more than times. Raises InputError for an engine without a
    profiler or without inputs, EngineError when the model does not run.
    """
    if engine not in _PROFILERS:
        raise InputError(f"{engine} offers no profiler here; these do: {', '.join(_PROFILERS)}")
    if not inputs:
        raise InputError("there is no input to profile with; give data with at least one sample")
    rows = _PROFILERS[engine](model, options, inputs, max(runs, 1), budget_s)
    total = sum(row.ms for row in rows) or 1.0
    shared = [replace(row, share=row.ms / total) for row in rows]
    return sorted(shared, key=lambda row: (-row.ms, row.order))


def by_type(operators: Iterable[OperatorTime]) -> list[OperatorTime]:
    """Sums over operators of one type, the slowest type first; ``count`` says how many there are."""
    sums: dict[str, list[OperatorTime]] = {}
    for row in operators:
        sums.setdefault(row.op_type, []).append(row)
    made = [
        OperatorTime(
            op_type, op_type, sum(r.ms for r in rows), sum(r.share for r in rows),
            ", ".join(sorted({r.kernel for r in rows if r.kernel})), (), len(rows),
        )
        for op_type, rows in sums.items()
    ]  # fmt: skip
    return sorted(made, key=lambda row: (-row.ms, row.op_type))


def removed(model: Model, operators: Iterable[OperatorTime]) -> list[str]:
    """Names of the ONNX model's nodes for which no operator stands: folded into constants, or done away with.

    Empty for other formats and for nodes without a name. Raises InputError when the model cannot be parsed.
    """
    if model.format != "onnx":
        return []
    from edgewright.formats.onnx import parse

    kept = {source for row in operators for source in row.sources}
    return [node.name for node in parse(model.data).graph.node if node.name and node.name not in kept]


def _repeat(infer: Callable[[Arrays], Any], inputs: Sequence[Arrays], runs: int, budget_s: float) -> int:
    """Run in rotation; how many runs there were, at least one."""
    end = time.perf_counter() + budget_s
    done = 0
    while done < runs and (not done or time.perf_counter() < end):
        infer(inputs[done % len(inputs)])
        done += 1
    return done


def _onnxruntime(
    model: Model, options: EngineOptions, inputs: Sequence[Arrays], runs: int, budget_s: float
) -> list[OperatorTime]:
    from edgewright.engines.onnxruntime import OnnxRuntime, session_options

    with tempfile.TemporaryDirectory(prefix="edgewright-profile-") as folder:
        settings = session_options(options)
        settings.enable_profiling = True
        settings.profile_file_prefix = str(Path(folder) / "run")
        with OnnxRuntime().open(model, options, settings) as session:
            assert session.raw is not None  # noqa: S101 - narrowing for the type checker; it is open
            _repeat(session.infer, inputs, _WARM_UP, budget_s / 4)
            done = _repeat(session.infer, inputs, runs, budget_s)
            path = Path(session.raw.end_profiling())
        try:
            events = json.loads(path.read_bytes())
        except ValueError as error:
            raise EngineError("onnxruntime wrote a profile that cannot be read; profile fewer runs") from error
    if len(events) >= _MOST_EVENTS * 5:
        raise EngineError("onnxruntime's profile is full before its end; profile fewer runs")
    return trace_sources(model, read_onnxruntime(events, done))


def read_onnxruntime(events: Sequence[Any], runs: int) -> list[OperatorTime]:
    """Mean times over the last ``runs`` runs of a profile that ONNX Runtime wrote (a Chrome trace; ``dur`` in µs)."""
    ends = [e["ts"] + e["dur"] for e in events if e.get("name") == "model_run"]
    starts = [e["ts"] for e in events if e.get("name") == "model_run"][-runs:]
    if not starts or not ends:
        raise EngineError("onnxruntime's profile holds no run")
    sums: dict[tuple[int, str], list[Any]] = {}
    for event in events:
        told = event.get("args", {})
        name = str(event.get("name", ""))
        if event.get("cat") != "Node" or not name.endswith(_ORT_SUFFIX) or event["ts"] < starts[0]:
            continue
        place = int(told.get("node_index", -1))
        row = sums.setdefault((place, name), [event["ts"], 0.0, told])
        row[1] += event["dur"] / 1000
    rows = []
    for order, ((_, name), (_, ms, told)) in enumerate(sorted(sums.items(), key=lambda item: item[1][0])):
        label = name.removesuffix(_ORT_SUFFIX)
        kernel = str(told.get("provider", "")).removesuffix("ExecutionProvider")
        rows.append(OperatorTime(label, str(told.get("op_name", "?")), ms / len(starts), 0.0, kernel, (), 1, order))
    return rows


_EPILOGUES = {
    "Add", "BatchNormalization", "Clip", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mul",
    "QuantizeLinear", "Relu", "Sigmoid", "Sub", "Tanh",
}  # fmt: skip
"""What engines append to the operator before it, rather than to the one after."""


def trace_sources(model: Model, rows: Sequence[OperatorTime]) -> list[OperatorTime]:
    """``rows`` with the ONNX nodes they stand for, as far as names tell.

    Engines name an operator they make after a node or after a tensor that one of its nodes wrote. Nodes that are named
    nowhere were fused or folded: into the operator before them where they are what engines append (an activation, a
    sum), else into the one that reads them.
    """
    if model.format != "onnx":
        return list(rows)
    from edgewright.formats.onnx import parse

    nodes = {node.name: node for node in parse(model.data).graph.node if node.name}
    maker = {output: name for name, node in nodes.items() for output in node.output}
    owner: dict[str, int] = {}
    for i, row in enumerate(rows):
        base = re.sub(r"(_nchwc|_token_\d+|_quant|_fused)+$", "", row.name)
        if row.op_type not in ("Reorder", "ReorderInput", "ReorderOutput"):
            for named in (base, *row.sources):
                anchor = named if named in nodes else maker.get(named)
                if anchor is not None:
                    owner.setdefault(anchor, i)
    for through in (False, True):
        _claim_readers(nodes, maker, owner, through)
        for name, node in nodes.items():
            known = [owner[maker[t]] for t in node.input if maker.get(t) in owner]
            if name not in owner and known:
                owner[name] = max(known)
    return [replace(row, sources=tuple(n for n in nodes if owner.get(n) == i)) for i, row in enumerate(rows)]


def _claim_readers(nodes: dict[str, Any], maker: dict[str, str], owner: dict[str, int], through: bool) -> None:
    """Walk up from every claimed node over unclaimed ones; over epilogues only from one, or when ``through``."""
    waiting = list(owner)
    while waiting:
        name = waiting.pop()
        for tensor in nodes[name].input:
            before = maker.get(tensor)
            if before is None or before in owner:
                continue
            if through or nodes[before].op_type not in _EPILOGUES or nodes[name].op_type in _EPILOGUES:
                owner[before] = owner[name]
                waiting.append(before)


def _openvino(
    model: Model, options: EngineOptions, inputs: Sequence[Arrays], runs: int, budget_s: float
) -> list[OperatorTime]:
    from edgewright.engines.openvino import OpenVino

    sums: dict[str, list[Any]] = {}
    with OpenVino().open(model, options, {"PERF_COUNT": "YES"}) as session:
        _repeat(session.infer, inputs, _WARM_UP, budget_s / 4)

        def watched(request: Arrays) -> None:
            session.infer(request)
            for order, info in enumerate(session.request.get_profiling_info()):
                if str(info.status).endswith("EXECUTED"):
                    row = sums.setdefault(info.node_name, [order, info.node_type, info.exec_type, 0.0])
                    row[3] += info.real_time.total_seconds() * 1e3

        done = _repeat(watched, inputs, runs, budget_s)
        sources = _openvino_sources(session.request)
    rows = [
        OperatorTime(name, op_type, ms / done, 0.0, kernel, sources.get(name, ()), 1, order)
        for name, (order, op_type, kernel, ms) in sums.items()
    ]
    return trace_sources(model, rows)


def _openvino_sources(request: Any) -> dict[str, tuple[str, ...]]:
    """Which of the model's layers each executed one stands for, from the compiled graph's own notes."""
    found = {}
    for node in request.get_compiled_model().get_runtime_model().get_ops():
        notes = node.get_rt_info()
        if "originalLayersNames" in notes:
            names = notes["originalLayersNames"].astype(str).split(",")
            found[node.get_friendly_name()] = tuple(name for name in names if name)
    return found


_PROFILERS: dict[str, Callable[..., list[OperatorTime]]] = {"onnxruntime": _onnxruntime, "openvino": _openvino}
