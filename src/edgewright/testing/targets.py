"""The contract a target file keeps: run it over a file of your own in one test."""

from __future__ import annotations

import tomllib
from pathlib import Path

from edgewright.core.workload import OperatorCost, Workload
from edgewright.targets import Target, estimate_energy, fits, predict_latency
from edgewright.targets.schema import load, parse
from edgewright.targets.toml import dump

_CONV = OperatorCost("conv", "Conv", 1_000_000, 0, 10_000, 20_000, 20_000, 32)
_SAMPLE = Workload((_CONV,), 2_500, 10_000, 40_000)


def check_target(path: Path) -> Target:
    """The target in the file at ``path``, once it has kept the contract. Raises InputError or AssertionError.

    The schema holds; the file is named after the target; every number has a unit and a source, and a derived one says
    how; the types worth trying can be computed; what is written is read back the same; a prediction comes out finite,
    more threads never make it slower, and energy can be estimated where power is stated.
    """
    target = load(path)
    assert target.name == path.stem, f"{path}: the target {target.name!r} must be in {target.name}.toml"
    _check_numbers(tomllib.loads(path.read_text("utf-8")), str(path))
    for key, figure in target.figures().items():
        said = figure.source.partition(":")[2].strip() if figure.kind != "stated" else figure.source
        assert len(said) > 3, f"{path}: {key} says {figure.source!r}, which is no source"
    assert parse(dump(target).encode(), "again") == target, f"{path}: writing and reading changes the target"
    for number_type in target.number_types:
        one = predict_latency(_SAMPLE, target, number_type, 1)
        most = predict_latency(_SAMPLE, target, number_type, target.usable_cores)
        assert one.kind == "predicted" and one.low is not None and one.high is not None
        assert 0 < one.low <= one.value <= one.high, f"{path}: {number_type} gives {one}"
        assert most.value <= one.value * (1 + 1e-9), f"{path}: more threads are slower in {number_type}"
        if target.power_busy is not None:
            assert estimate_energy(one, target, 1).value > 0
    assert isinstance(fits(_SAMPLE, 10_000, target), list)
    return target


def _check_numbers(value: object, where: str) -> None:
    """Every number but the schema's stands beside a unit and a source."""
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, int | float) and not isinstance(item, bool) and key != "schema":
                assert key == "value" and value.get("unit") and value.get("source"), f"{where}: {key} is a bare number"
            _check_numbers(item, f"{where}: {key}")
    elif isinstance(value, list):
        for item in value:
            assert not isinstance(item, int | float), f"{where} lists bare numbers"
            _check_numbers(item, where)
