"""What the peers' scripts share: their arguments and the calibration samples. Imports numpy and nothing else."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CALIBRATION = 300  # what NNCF takes unless told otherwise; the same samples for every peer


@dataclass(frozen=True)
class Arguments:
    variant: str
    model: Path
    data: Path
    out: Path
    family: str
    drop: float


def parse(name: str, variants: tuple[str, ...]) -> Arguments:
    parser = argparse.ArgumentParser(prog=name)
    parser.add_argument("variant", choices=variants)
    for path in ("model", "data", "out"):
        parser.add_argument(f"--{path}", type=Path, required=True)
    parser.add_argument("--family", default="", help="'transformer' where a tool wants to be told")
    parser.add_argument("--drop", type=float, default=0.5, help="points of accuracy that may be lost")
    return Arguments(**vars(parser.parse_args()))


def calibration(told: Arguments) -> tuple[str, np.ndarray]:
    """The input's name and the samples (n, ...) to calibrate on."""
    name, samples, _ = labelled(told)
    return name, samples[:CALIBRATION]


def labelled(told: Arguments) -> tuple[str, np.ndarray, np.ndarray]:
    """The input's name, all samples a tool may see, and their labels."""
    with np.load(told.data) as arrays:
        name = next(key for key in arrays.files if key != "labels")
        return name, arrays[name], arrays["labels"]
