"""Workload: what running a model once costs, operator by operator, before any machine is named."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OperatorCost:
    """One node's cost at the batch size the workload was made for.

    ``macs``: multiply-accumulates (0 for data movement; element-wise arithmetic counts in ``flops``). ``flops``: other
    arithmetic operations. Bytes are those of the tensors as stored: weights, activations read, activations written.
    ``bits``: width of the multiplied numbers (32, 16, 8, 4).
    """

    name: str
    op_type: str
    macs: int
    flops: int
    weight_bytes: int
    read_bytes: int
    written_bytes: int
    bits: int = 32


@dataclass(frozen=True)
class Workload:
    """The whole model. ``peak_activation_bytes`` is the largest sum of tensors alive at once, in execution order."""

    operators: tuple[OperatorCost, ...]
    parameters: int
    weight_bytes: int
    peak_activation_bytes: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one run."""
        return sum(operator.macs for operator in self.operators)
