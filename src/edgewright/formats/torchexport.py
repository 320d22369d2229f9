"""The PyTorch side of ``exported``: trace, export with the dynamo exporter, tidy, and compare with the module.

Runs in the caller's process for live modules, in a shut-in child for files. PyTorch is imported here and only here.
"""

from __future__ import annotations

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch.utils import _pytree as pytree

from edgewright.core.digests import digest_array, digest_json
from edgewright.core.errors import InputError
from edgewright.formats.hostile import reason
from edgewright.formats.libraries import library
from edgewright.formats.onnxnames import name_outputs

WRITTEN = "exported.onnx"
_INLINE_LIMIT = 2**30
_RELATIVE = {torch.float64: 1e-3, torch.float32: 1e-3, torch.float16: 3e-2, torch.bfloat16: 3e-2}


def write_in_child(name: str) -> dict[str, bool]:
    """Export the ``.pt2`` file ``name``. Runs in a child process."""
    with _quiet():
        try:
            program = torch.export.load(name)
        except Exception as error:  # unpickling and the archive's reader raise whatever they please
            raise InputError(f"PyTorch {torch.__version__} cannot read it: {reason(error)}") from error
    return write_program(program, Path.cwd())


def write_module(module: Any, example: Any, dynamic_batch: bool, folder: Path) -> dict[str, bool]:
    """Export a live module in evaluation mode, any batch size where it allows that; its modes are put back."""
    args, kwargs = _arguments(example)
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        tries: list[tuple[Any, Any]] = []
        if dynamic_batch:
            # A size of 1 is taken for a constant when a module is traced: show it two samples.
            doubled = _map((args, kwargs), lambda t: torch.cat([t, t]) if t.ndim and t.shape[0] == 1 else t)
            tries.append((doubled, _map(doubled, lambda t: {0: torch.export.Dim.AUTO} if t.ndim else None)))
        tries.append(((args, kwargs), None))
        first: InputError | None = None
        for (some, named), sizes in tries:
            try:
                program = _trace(module, some, named, sizes)
                facts = write_program(program, folder, module, (args, kwargs))
            except InputError as error:
                first = first or error
                continue
            return {**facts, "dynamic_batch": sizes is not None}
        raise first or InputError("the module was not exported")
    finally:
        for part, mode in modes:
            part.training = mode


def write_program(program: Any, folder: Path, module: Any = None, example: Any = None) -> dict[str, bool]:
    """Write an exported program as ONNX into ``folder`` and compare it with ``module`` on ``example``."""
    path = folder / WRITTEN
    held = sum(t.numel() * t.element_size() for t in program.state_dict.values())
    with _quiet():
        try:
            found = torch.onnx.export(program, (), dynamo=True, verbose=False)
            found.save(path, external_data=held > _INLINE_LIMIT)
        except Exception as error:  # the exporter raises types of its own, and what its operators' code raises
            raise InputError(f"PyTorch cannot export it to ONNX: {reason(error)}") from error
    proto = onnx.load(path, load_external_data=False)
    _tidy(proto)
    names = _output_names(program)
    if len(names) == len(proto.graph.output):
        name_outputs(proto, names)
    path.write_bytes(proto.SerializeToString(deterministic=True))
    example = example if example is not None else program.example_inputs
    if example is not None:
        _compare(module or program.module(), example, path)
    batch = next((d for v in proto.graph.input for d in v.type.tensor_type.shape.dim[:1]), None)
    return {"dynamic_batch": batch is not None and bool(batch.dim_param), "compared": example is not None}


def digest_weights(module: Any) -> str:
    """One digest over the module's weights by name, whatever their types: what its lineage begins with."""
    held = {name: tensor for name, tensor in module.state_dict().items() if isinstance(tensor, torch.Tensor)}
    parts = {
        name: [
            str(tensor.dtype),
            list(tensor.shape),
            digest_array(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()),
        ]
        for name, tensor in held.items()
    }
    return digest_json(parts)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's talk: what goes wrong comes as an error."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _map(tree: Any, change: Any) -> Any:
    return pytree.tree_map(lambda leaf: change(leaf) if isinstance(leaf, torch.Tensor) else None, tree)


def _arguments(example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and named arguments, arrays as tensors. Raises InputError for an example without a tensor."""
    example = pytree.tree_map(lambda leaf: torch.from_numpy(leaf) if isinstance(leaf, np.ndarray) else leaf, example)
    if isinstance(example, Mapping):
        args, kwargs = (), dict(example)
    else:
        args, kwargs = (tuple(example) if isinstance(example, list | tuple) else (example,)), {}
    if not any(isinstance(leaf, torch.Tensor) for leaf in pytree.tree_leaves((args, kwargs))):
        raise InputError("the example holds no tensor; pass what the module is called with, such as (tensor,)")
    return args, kwargs


def _trace(module: Any, args: Any, kwargs: Any, sizes: Any) -> Any:
    with _quiet(), torch.no_grad():
        try:
            shapes = None if sizes is None else (sizes[0] if not kwargs else sizes[1])
            return torch.export.export(module, args, kwargs, dynamic_shapes=shapes)
        except Exception as error:  # tracing runs the module's own code
            raise InputError(f"PyTorch cannot export the module: {reason(error)}") from error


def _output_names(program: Any) -> list[str]:
    """Keys of a dict, fields of a dataclass; ``output``, or ``output_0`` and so on, where there is none."""
    spec = program.call_spec.out_spec
    made = list(program.graph_signature.user_outputs)
    tree = pytree.tree_unflatten(list(range(len(made))), spec)
    names = []
    for path, index in pytree.tree_flatten_with_path(tree)[0]:
        parts = [str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", "")))) for k in path]
        name = "_".join(part for part in parts if part)
        if isinstance(made[index], str):
            names.append(name if name and not name[0].isdigit() else f"output_{name}".rstrip("_"))
    return names


def _tidy(proto: onnx.ModelProto) -> None:
    """Drop what tells of the exporting machine (paths, source lines); call the first, varying size ``batch``."""

    def clean(message: Any) -> None:
        for name in ("metadata_props", "doc_string"):
            if name in message.DESCRIPTOR.fields_by_name:
                message.ClearField(name)

    graphs = [proto.graph]
    for graph in graphs:
        for message in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
            clean(message)
        for node in graph.node:
            for attribute in node.attribute:
                graphs += [attribute.g] if attribute.HasField("g") else list(attribute.graphs)
    clean(proto)
    for function in proto.functions:
        for message in (function, *function.node, *function.value_info):
            clean(message)
    firsts = {d.dim_param for v in proto.graph.input for d in v.type.tensor_type.shape.dim[:1] if d.dim_param}
    if len(firsts) == 1:
        symbol = re.compile(rf"\b{re.escape(firsts.pop())}\b")
        for graph in graphs:
            for value in (*graph.input, *graph.output, *graph.value_info):
                for size in value.type.tensor_type.shape.dim:
                    if size.dim_param:
                        size.dim_param = symbol.sub("batch", size.dim_param)


def _compare(module: Any, example: Any, path: Path) -> None:
    """InputError when ONNX Runtime answers otherwise than the module does."""
    runtime = library("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    args, kwargs = example
    with _quiet(), torch.no_grad():
        expected = [t for t in pytree.tree_leaves(module(*args, **kwargs)) if isinstance(t, torch.Tensor)]
        given = [t for t in pytree.tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
    try:
        session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        names = [value.name for value in session.get_inputs()]
        if len(names) != len(given):
            raise InputError("its graph does not take all the inputs the module takes; drop those it does not use")
        feeds = {name: t.detach().cpu().numpy() for name, t in zip(names, given, strict=True)}
        answers = session.run(None, feeds)
    except InputError:
        raise
    except Exception as error:  # onnxruntime's exception classes share no base but Exception
        raise InputError(f"onnxruntime cannot run what PyTorch exported: {reason(error)}") from error
    if len(expected) != len(answers):
        raise InputError("its graph does not give all the outputs the module gives; return plain tensors")
    for want, have in zip(expected, answers, strict=True):
        far = _distance(want.detach().cpu(), have)
        if far > _RELATIVE.get(want.dtype, 0.01):
            raise InputError(
                f"the exported graph answers otherwise than the module (difference {far:.2g} of its largest value); "
                "check that it is deterministic and in evaluation mode"
            )


def _distance(want: torch.Tensor, have: Any) -> float:
    """Largest difference over the largest value; for whole numbers the share that differs."""
    have = torch.from_numpy(np.array(have))
    if tuple(want.shape) != tuple(have.shape):
        return float("inf")
    if not want.is_floating_point():
        return float((want != have.to(want.dtype)).double().mean()) if want.numel() else 0.0
    a, b = want.double(), have.double()
    finite = torch.isfinite(a)
    if not torch.equal(finite, torch.isfinite(b)) or not finite.any():
        return 0.0 if not a.numel() or torch.equal(finite, torch.isfinite(b)) else float("inf")
    return float((a - b)[finite].abs().max() / a[finite].abs().max().clamp_min(1e-6))
