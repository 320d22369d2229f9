"""A residual CNN: 3x3 convolutions, batch normalisation, two widths (He et al., CVPR 2016), 225k parameters."""

from __future__ import annotations

import torch
from torch import nn


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after),
        )  # fmt: skip
        same = before == after and stride == 1
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def build(classes: int, size: int) -> nn.Module:
    """Takes grey images (N, 1, size, size), answers logits (N, classes). The stem brings them to 32 x 32."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, size // 32, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        *(Block(32, 32, 1) for _ in range(3)), Block(32, 64, 2), Block(64, 64, 1),
        nn.Conv2d(64, 64, 3, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes),
    )  # fmt: skip
