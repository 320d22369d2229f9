"""What Olive reads its calibration samples with; loaded by Olive itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from olive.data.registry import Registry


class Samples:
    """Pairs of ({input name: (1, ...)}, 0)."""

    def __init__(self, path: str, input_name: str, count: int) -> None:
        with np.load(path) as arrays:
            self._rows = arrays[input_name][:count]
        self._name = input_name

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, i: int) -> tuple[dict[str, np.ndarray], int]:
        return {self._name: self._rows[i][None]}, 0


@Registry.register_dataset("samples")
def samples(path: str, input_name: str, count: int, **_: Any) -> Samples:
    return Samples(path, input_name, count)
