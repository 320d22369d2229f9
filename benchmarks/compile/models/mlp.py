"""A perceptron 768 -> 3072 -> 768 -> classes: the feed-forward half of a transformer layer, with a head."""

from __future__ import annotations

from torch import nn


def build(classes: int, size: int) -> nn.Module:
    """Takes rows (N, 768) of pixels, whatever ``size``; answers logits (N, classes)."""
    return nn.Sequential(
        nn.Linear(768, 3072), nn.ReLU(), nn.Dropout(0.2), nn.Linear(3072, 768), nn.ReLU(), nn.Linear(768, classes)
    )
