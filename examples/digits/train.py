"""Train the demo's classifier and write ``digits.onnx`` and ``digits.npz`` beside this file.

    pip install 'edgewright[torch,sklearn,compile]'
    python examples/digits/train.py

A residual CNN of some 58,000 parameters on scikit-learn's 1,797 handwritten digits. Half of them train it; the other
half, which it never sees, goes into ``digits.npz``. Both results are committed, so that the demo needs neither PyTorch
nor scikit-learn. A minute or two on one core; the same seed, versions and kind of machine give the same weights.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
SEED, EPOCHS, BATCH, RATE = 0, 40, 32, 4e-3


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al., CVPR 2016)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after),
        )  # fmt: skip
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def classifier() -> nn.Module:
    """Images (N, 1, 32, 32) in [0, 1] -> logits (N, 10)."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        Block(32, 32, 1), Block(32, 32, 2), Block(32, 32, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip


def distort(x: Tensor) -> Tensor:
    """Turn, scale and shift each image a little, at random."""
    n = len(x)
    angle, scale = (torch.rand(n) - 0.5) * 0.5, 1 + (torch.rand(n) - 0.5) * 0.2
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = angle.cos() * scale
    theta[:, 0, 1], theta[:, 1, 0] = -angle.sin() * scale, angle.sin() * scale
    theta[:, :, 2] = (torch.rand(n, 2) - 0.5) * 0.25
    grid = nn.functional.affine_grid(theta, list(x.shape), align_corners=False)
    return nn.functional.grid_sample(x, grid, align_corners=False)


def train(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    """AdamW, one cycle of the learning rate."""
    steps = len(labels) // BATCH
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, EPOCHS * steps, pct_start=0.2)
    model.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(labels))[: steps * BATCH].split(BATCH):
            batch = distort(images[rows]).contiguous(memory_format=torch.channels_last)
            loss = nn.functional.cross_entropy(model(batch), labels[rows], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]


def export(model: nn.Module, example: Tensor, path: Path) -> None:
    """ONNX with a dynamic batch, without the exporter's stack traces (they hold local paths)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        proto = torch.onnx.export(
            model, (example,), dynamo=True, opset_version=18, verbose=False,
            input_names=["image"], output_names=["logits"], dynamic_shapes=({0: torch.export.Dim("batch")},),
        ).model_proto  # fmt: skip
    graph = proto.graph
    for entry in (proto, graph, *graph.node, *graph.value_info, *graph.initializer, *graph.input, *graph.output):
        del entry.metadata_props[:]
        entry.doc_string = ""
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString(deterministic=True))


def main() -> None:
    """Train, keep the unseen half apart, write both files."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # the order of sums, and so the weights, must not hang on the number of cores
    digits = load_digits()
    enlarged = (digits.images / 16).astype(np.float32).repeat(4, axis=1).repeat(4, axis=2)[:, None]
    seen, unseen = train_test_split(np.arange(len(enlarged)), test_size=0.5, stratify=digits.target, random_state=SEED)
    model = classifier()
    train(model, torch.from_numpy(enlarged[seen]), torch.from_numpy(digits.target[seen]))
    with torch.no_grad():
        right = model(torch.from_numpy(enlarged[unseen])).argmax(1).numpy() == digits.target[unseen]
    print(
        f"{sum(p.numel() for p in model.parameters()):,} parameters, {right.mean():.2%} of {len(unseen)} unseen right"
    )
    np.savez_compressed(HERE / "digits.npz", image=enlarged[unseen], labels=digits.target[unseen].astype(np.int64))
    export(model, torch.from_numpy(enlarged[:2]), HERE / "digits.onnx")


if __name__ == "__main__":
    main()
