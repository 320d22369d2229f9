"""A small vision transformer, pre-norm (Dosovitskiy et al., ICLR 2021): 4 layers of width 128, 805k parameters."""

from __future__ import annotations

import torch
from torch import nn

WIDTH, HEADS, LAYERS = 128, 4, 4


class Attention(nn.Module):
    """Multi-head self-attention written out: x (N, T, D) -> (N, T, D)."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, t, d = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, HEADS, d // HEADS).permute(2, 0, 3, 1, 4).unbind(0)  # (N, H, T, D/H)
        weights = torch.softmax(q @ k.transpose(-2, -1) * (d // HEADS) ** -0.5, dim=-1)  # (N, H, T, T)
        return self.out((weights @ v).transpose(1, 2).reshape(n, t, d))


class Layer(nn.Module):
    """Attention, then a two-layer perceptron four times as wide, each beside its shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = Attention()
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    """Patches of ``size / 8`` pixels make 64 tokens; their mean is classified."""

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, WIDTH, size // 8, size // 8)
        self.position = nn.Parameter(torch.randn(1, 64, WIDTH) * 0.02)
        self.layers = nn.Sequential(*(Layer() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2) + self.position  # (N, 64, D)
        return self.head(self.norm(self.layers(x)).mean(1))


def build(classes: int, size: int) -> nn.Module:
    """Takes grey images (N, 1, size, size), answers logits (N, classes)."""
    return Transformer(classes, size)
