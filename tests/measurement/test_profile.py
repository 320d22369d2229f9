"""Operator times from the engines' own profilers."""

from __future__ import annotations

from typing import Any

import pytest

from edgewright.core.errors import EngineError, InputError
from edgewright.core.samples import drawn_requests
from edgewright.core.session import EngineOptions
from edgewright.formats.onnx import parse
from edgewright.measurement.profile import by_type, profile, read_onnxruntime, removed
from edgewright.testing import zoo


def event(name: str, ts: int, dur: int, op: str = "", index: int = 0) -> dict[str, Any]:
    if not op:
        return {"cat": "Session", "name": name, "ts": ts, "dur": dur, "args": {}}
    args = {"op_name": op, "node_index": str(index), "provider": "CPUExecutionProvider"}
    return {"cat": "Node", "name": f"{name}_kernel_time", "ts": ts, "dur": dur, "args": args}


def test_runs_are_averaged_and_the_warm_up_is_left_out():
    events = [event("session_initialization", 0, 50)]
    for start, slow in ((100, 900), (2000, 10), (3000, 30)):
        events += [event("a", start + 1, slow, "Conv", 0), event("b", start + 40, 5, "Relu", 1)]
        events += [event("model_run", start, slow + 60)]
    rows = read_onnxruntime(events, 2)
    assert [(r.name, r.op_type, r.ms, r.kernel, r.order) for r in rows] == [
        ("a", "Conv", pytest.approx(0.02), "CPU", 0),
        ("b", "Relu", pytest.approx(0.005), "CPU", 1),
    ]


def test_a_profile_without_a_run_is_refused():
    with pytest.raises(EngineError, match="holds no run"):
        read_onnxruntime([event("session_initialization", 0, 5)], 1)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_every_node_of_a_residual_net_is_accounted_for(engine: str):
    model = zoo.residual()
    rows = profile(model, engine, EngineOptions(), drawn_requests(model.signature, 2), runs=3)
    assert sum(row.share for row in rows) == pytest.approx(1.0)
    assert [row.ms for row in rows] == sorted((row.ms for row in rows), reverse=True)
    assert all(row.kernel for row in rows)
    names = {node.name for node in parse(model.data).graph.node}
    stood_for = [source for row in rows for source in row.sources]
    assert set(stood_for) <= names
    assert len(stood_for) == len(set(stood_for))
    assert removed(model, rows) == []
    fused = [row for row in rows if len(row.sources) > 1]
    assert any({"conv", "relu"} <= {source.split("_")[0] for source in row.sources} for row in fused)


def test_without_rewriting_every_node_runs_under_its_own_name():
    model = zoo.mlp(16)
    options = EngineOptions(graph_level="none")
    rows = profile(model, "onnxruntime", options, drawn_requests(model.signature, 1), runs=2)
    assert {row.name for row in rows} == {node.name for node in parse(model.data).graph.node}
    assert all(row.sources == (row.name,) for row in rows)


def test_sums_by_type_keep_the_total_and_count():
    model = zoo.residual()
    rows = profile(model, "onnxruntime", EngineOptions(), drawn_requests(model.signature, 1), runs=2)
    sums = by_type(rows)
    assert sum(row.count for row in sums) == len(rows)
    assert sum(row.ms for row in sums) == pytest.approx(sum(row.ms for row in rows))
    assert len({row.op_type for row in sums}) == len(sums)
    assert set(sums[0].to_json()) >= {"name", "op_type", "ms", "share", "count"}


def test_what_cannot_be_profiled_is_refused():
    model = zoo.mlp(16)
    with pytest.raises(InputError, match="offers no profiler"):
        profile(model, "tvm", EngineOptions(), drawn_requests(model.signature, 1))
    with pytest.raises(InputError, match="no input"):
        profile(model, "onnxruntime", EngineOptions(), [])
