"""Space: what may be tried for a model on a target, with the engines that are here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import onnx_ir as ir

from edgewright.compression.search import Runner, Space
from edgewright.core.errors import InputError, MissingExtra
from edgewright.core.model import Model
from edgewright.core.session import EngineOptions
from edgewright.engines import ENGINES, engine
from edgewright.flows.settings import Settings
from edgewright.graphs.graph import open_graph
from edgewright.targets import Target


def space_for(source: Model, machine: Target, settings: Settings) -> tuple[Space, list[str]]:
    """The space, and what a reader must know of it. Raises InputError where an engine asked for does not run there."""
    notes = []
    runners = list(_runners(machine, settings))
    if not runners and settings.engines:
        wanted, there = ", ".join(settings.engines), ", ".join(machine.engines)
        raise InputError(f"{machine.name} does not run {wanted}; it runs: {there}")
    if not runners:
        runners = [Runner("onnxruntime", EngineOptions(threads=settings.threads))]
        notes.append(
            f"none of {machine.name}'s engines ({', '.join(machine.engines)}) can be run here: "
            "accuracy is that of ONNX Runtime on this machine, and the conversion is still to be made"
        )
    if settings.only is not None:
        runners = [_its_own(settings.only.runner, runners, machine)]
    graph = open_graph(source).graph
    kinds = {node.op_type for node in graph}
    space = Space(
        tuple(runners),
        structure=not settings.keep_structure,
        products=bool(kinds & {"MatMul", "Gemm"}),
        attention="Attention" in kinds or _attends(graph),
        vnni=machine.has("avx512_vnni") or machine.has("avx_vnni") or not machine.has("avx2"),
    )
    return space, notes


def _its_own(runner: Runner, runners: list[Runner], machine: Target) -> Runner:
    """The one candidate's. Raises InputError where it cannot be measured for the target here."""
    if runner.engine not in {one.engine for one in runners}:
        there = ", ".join(dict.fromkeys(one.engine for one in runners))
        raise InputError(
            f"the candidate runs on {runner.engine}, which is not here or which {machine.name} does not run; "
            f"here are: {there}"
        )
    return runner


def _attends(graph: ir.Graph) -> bool:
    """Whether a product takes what a softmax gives, perhaps through a cast or a dropout."""
    for node in graph:
        if node.op_type == "Softmax":
            readers = list(node.outputs[0].consumers())
            readers += [
                after for r in readers if r.op_type in ("Cast", "Dropout") for after in r.outputs[0].consumers()
            ]
            if any(reader.op_type == "MatMul" for reader in readers):
                return True
    return False


def _runners(machine: Target, settings: Settings) -> Iterator[Runner]:
    """Engines installed here that the target runs; on this machine with every provider and number type it has."""
    plain = EngineOptions(threads=settings.threads)
    here = machine.name == "host"
    for name in settings.engines or tuple(ENGINES):
        if not here and name not in machine.engines:
            continue
        try:
            providers = engine(name).providers()
        except MissingExtra:
            if settings.engines:
                raise
            continue
        yield Runner(name, plain)
        if name == "openvino" and machine.has("avx512_bf16"):
            yield Runner(name, replace(plain, precision="bf16"))
        if here:
            yield from (Runner(name, replace(plain, provider=provider)) for provider in providers[1:])
