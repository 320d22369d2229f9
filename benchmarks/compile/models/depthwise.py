"""A depthwise CNN of inverted residuals (Sandler et al., MobileNetV2, CVPR 2018), 221k parameters."""

from __future__ import annotations

import torch
from torch import nn


def _conv(before: int, after: int, size: int, stride: int = 1, groups: int = 1, act: bool = True) -> nn.Sequential:
    layers = [nn.Conv2d(before, after, size, stride, size // 2, groups=groups, bias=False), nn.BatchNorm2d(after)]
    return nn.Sequential(*layers, nn.ReLU6()) if act else nn.Sequential(*layers)


class InvertedResidual(nn.Module):
    """Widen by ``expand`` with 1x1, filter each channel by 3x3, narrow again without activation."""

    def __init__(self, before: int, after: int, stride: int, expand: int) -> None:
        super().__init__()
        wide = before * expand
        self.body = nn.Sequential(
            _conv(before, wide, 1), _conv(wide, wide, 3, stride, wide), _conv(wide, after, 1, act=False)
        )
        self.adds = stride == 1 and before == after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x) if self.adds else self.body(x)


def build(classes: int, size: int) -> nn.Module:
    """Takes grey images (N, 1, size, size), answers logits (N, classes). The stem brings them to 32 x 32."""
    return nn.Sequential(
        _conv(1, 16, 3, size // 32),
        InvertedResidual(16, 24, 1, 6), InvertedResidual(24, 24, 1, 6),
        InvertedResidual(24, 40, 2, 6), InvertedResidual(40, 40, 1, 6), InvertedResidual(40, 40, 1, 6),
        InvertedResidual(40, 64, 2, 6), InvertedResidual(64, 64, 1, 6), InvertedResidual(64, 64, 1, 6),
        _conv(64, 192, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(192, classes),
    )  # fmt: skip
