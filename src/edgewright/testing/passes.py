"""The contract every pass is held to, whoever wrote it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper

from edgewright.compression.contract import Context, Pass, PassResult, agreement_db, probe
from edgewright.compression.passes import PASSES, make_pass, step_of
from edgewright.core.digests import canonical_json, digest_files
from edgewright.core.model import Model
from edgewright.core.session import EngineOptions
from edgewright.engines import open_session


def check_pass(a_pass: Pass, model: Model, context: Context | None = None) -> PassResult:
    """Run ``a_pass`` on ``model`` and hold it to the contract; the result, for further assertions.

    The input stays as it was; what was not applied gives its input back (and a reason when refused); what was applied
    keeps the signature and the answers, says where it came from, opens in ONNX Runtime at full optimisation, carries
    nothing dead, is left alone by a second run, and comes out the same, byte for byte, from a second start. Raises
    AssertionError naming the broken clause.
    """
    context = context or Context()
    _check_options(a_pass)
    before, signature = dict(model.files), model.signature
    result = a_pass(model, context)
    told = f"{a_pass.name}: {result.status} {result.reason}"
    assert dict(model.files) == before and digest_files(model.files) == digest_files(before), f"{told}: input changed"
    assert model.signature == signature, f"{told}: the input's signature changed"
    canonical_json(dict(result.facts))
    if result.status != "applied":
        assert result.model is model, f"{told}: a pass that did not apply gives its input back"
        if result.status == "refused":
            assert result.reason and "\n" not in result.reason, f"{told}: a refusal says why, in one line"
        return result
    after = result.model
    assert after.signature == signature, f"{told}: the signature changed"
    known, steps = after.lineage[: len(model.lineage)], after.lineage[len(model.lineage) :]
    tells = known == model.lineage and len(steps) > 0 and steps[0].parent == model.digest
    assert tells, f"{told}: the lineage does not tell where the result came from: {steps}"
    canonical_json([step.to_json() for step in steps])
    if after.format == "onnx" and len(after.files) == 1:
        faults = list(dead_weight(onnx.load_model_from_string(after.data)))
        assert not faults, f"{told}: {'; '.join(faults)}"
        onnx.checker.check_model(after.data, full_check=not _foreign(after))
    _check_answers(a_pass, model, after, context)
    again = a_pass(model, context)
    assert again.model == after and again.facts == result.facts, f"{told}: a second start gives another result"
    second = a_pass(after, context)
    assert second.status != "applied", f"{told}: a second run changes the result again ({dict(second.facts)})"
    return result


def _check_options(a_pass: Pass) -> None:
    step = step_of(a_pass)
    assert json.loads(canonical_json(step)) == step, f"{a_pass.name}: options are not plain JSON values: {step}"
    if a_pass.name in PASSES and PASSES[a_pass.name] is type(a_pass):
        assert make_pass(step) == a_pass, f"{a_pass.name}: make_pass({step}) is another pass"
    hash(a_pass)


def _check_answers(a_pass: Pass, before: Model, after: Model, context: Context) -> None:
    batches = probe(before, context)
    sqnr = agreement_db(before, after, batches)
    assert sqnr >= a_pass.tolerance_db, f"{a_pass.name}: {sqnr:.1f} dB, promised {a_pass.tolerance_db:g}"
    with open_session(after, options=EngineOptions(graph_level="all")) as session:
        for batch in batches:
            for name, value in session.infer(batch).items():
                assert value.dtype.kind != "f" or not np.isnan(value).any(), f"{a_pass.name}: NaN in {name}"


def _foreign(model: Model) -> bool:
    """Whether operators of other domains stop strict shape inference."""
    return any(o.domain not in ("", "ai.onnx") for o in onnx.load_model_from_string(model.data).opset_import)


def dead_weight(proto: onnx.ModelProto) -> Iterator[str]:
    """Everything in ``proto`` that no output needs or that tells of something gone, as readable faults."""
    yield from _dead_in_graph(proto.graph, set())
    used = {
        node.domain.replace("ai.onnx", "", 1) if node.domain == "ai.onnx" else node.domain for node in _nodes(proto)
    }
    for opset in proto.opset_import:
        domain = "" if opset.domain == "ai.onnx" else opset.domain
        if domain not in used and (domain or len(proto.opset_import) > 1):
            yield f"opset of {opset.domain or 'ai.onnx'!r} is imported for nothing"
    called = {(node.domain, node.op_type) for node in _nodes(proto)}
    for function in proto.functions:
        if (function.domain, function.name) not in called:
            yield f"function {function.name} is never called"
    yield from _stale_shapes(proto)


def _nodes(proto: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    def walk(nodes: list[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
        for node in nodes:
            yield node
            for graph in _subgraphs(node):
                yield from walk(list(graph.node))

    yield from walk(list(proto.graph.node))
    for function in proto.functions:
        yield from walk(list(function.node))


def _subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _read_by(node: onnx.NodeProto) -> set[str]:
    names = set(node.input)
    for graph in _subgraphs(node):
        for inner in graph.node:
            names |= _read_by(inner)
        names |= {value.name for value in graph.output}
    return names


def _dead_in_graph(graph: onnx.GraphProto, outer: set[str]) -> Iterator[str]:
    needed = {value.name for value in graph.output}
    for node in reversed(graph.node):
        if not needed.intersection(node.output):
            yield f"node {node.name or node.op_type} is dead"
        needed |= _read_by(node)
        for inner in _subgraphs(node):
            yield from _dead_in_graph(inner, needed)
    listed = {value.name for value in graph.input}
    seen: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    for tensor in graph.initializer:
        if tensor.name not in needed:
            yield f"initialiser {tensor.name} is dead"
        if tensor.name in listed:
            yield f"initialiser {tensor.name} is listed as an input"
        if tensor.name in {value.name for value in graph.output}:
            continue
        key = (tensor.data_type, tuple(tensor.dims), numpy_helper.to_array(tensor).tobytes())
        if key in seen:
            yield f"initialisers {seen[key]} and {tensor.name} are the same"
        seen.setdefault(key, tensor.name)
    made = {name for node in graph.node for name in node.output} | {t.name for t in graph.initializer} | listed
    for value in graph.value_info:
        if value.name not in made:
            yield f"value_info of {value.name}, which is gone"


def _stale_shapes(proto: onnx.ModelProto) -> Iterator[str]:
    """Shapes and types in value_info that shape inference without them contradicts."""
    bare = onnx.ModelProto()
    bare.CopyFrom(proto)
    del bare.graph.value_info[:]
    found = {v.name: v for v in onnx.shape_inference.infer_shapes(bare, data_prop=True).graph.value_info}
    for told in proto.graph.value_info:
        if told.name not in found:
            continue
        mine, true = told.type.tensor_type, found[told.name].type.tensor_type
        if mine.elem_type != true.elem_type:
            yield f"value_info of {told.name} has type {mine.elem_type}, it is {true.elem_type}"
        if mine.HasField("shape") and true.HasField("shape"):
            pairs = list(zip(mine.shape.dim, true.shape.dim, strict=False))
            wrong = [1 for a, b in pairs if a.HasField("dim_value") and b.HasField("dim_value") and a != b]
            if wrong or len(mine.shape.dim) != len(true.shape.dim):
                yield f"value_info of {told.name} has a stale shape"
