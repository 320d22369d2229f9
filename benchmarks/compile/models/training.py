"""One short, seeded training loop on the CPU for every model, and the export to ONNX."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from models.data import Array, Images
from torch import nn


def distort(x: torch.Tensor, strength: float) -> torch.Tensor:
    """Turn, scale and shift each image of (N, 1, H, W) at random."""
    n = x.shape[0]
    angle = (torch.rand(n) * 2 - 1) * 0.35 * strength
    scale = 1 + (torch.rand(n, 2) * 2 - 1) * 0.15 * strength
    shift = (torch.rand(n, 2) * 2 - 1) * 0.15 * strength
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = angle.cos() * scale[:, 0], -angle.sin() * scale[:, 1]
    theta[:, 1, 0], theta[:, 1, 1] = angle.sin() * scale[:, 0], angle.cos() * scale[:, 1]
    theta[:, :, 2] = shift
    grid = nn.functional.affine_grid(theta, list(x.shape), align_corners=False)
    return nn.functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


def train(
    model: nn.Module,
    data: Images,
    *,
    epochs: int,
    rate: float,
    seed: int,
    strength: float,
    flat: bool,
) -> None:
    """AdamW with one cycle of the learning rate (Smith, 2018), forward in bf16.

    A class is drawn by the root of its size: rare ones more often than they are, not as often as the others.
    """
    torch.manual_seed(seed)
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    share = torch.bincount(labels).float().rsqrt()[labels]
    size = 32
    steps = epochs * (len(labels) // size)
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps, pct_start=0.2)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.train()
    for _ in range(steps):
        rows = torch.multinomial(share, size)
        x = distort(images[rows], strength).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(x.flatten(1) if flat else x)
        loss = nn.functional.cross_entropy(logits.float(), labels[rows], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]


def accuracy(model: nn.Module, x: Array, labels: np.ndarray) -> float:
    """Share of right answers."""
    with torch.no_grad():
        return float((model(torch.from_numpy(x)).argmax(1).numpy() == labels).mean())


def export(model: nn.Module, example: Array, path: Path) -> None:
    """ONNX, opset 18, one file, the batch dynamic and named; without the exporter's stack traces and local paths."""
    import onnx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model, (torch.from_numpy(example[:2]),), dynamo=True, opset_version=18, verbose=False,
            input_names=["input"], output_names=["logits"], dynamic_shapes=({0: torch.export.Dim("batch")},),
        )  # fmt: skip
    proto = program.model_proto
    for holder in (proto, proto.graph, *proto.graph.node, *proto.graph.value_info, *proto.graph.initializer,
                   *proto.graph.input, *proto.graph.output):  # fmt: skip
        del holder.metadata_props[:]
        holder.doc_string = ""
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString(deterministic=True))
