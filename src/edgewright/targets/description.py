"""Target: a machine class as data. Every number is a Figure: value, unit, and where it comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

DeviceClass = Literal["ultra-low", "low", "medium", "high"]
"""From microcontrollers without an operating system (ultra-low) to servers (high)."""

NumberType = Literal["fp32", "fp16", "bf16", "int8", "int4"]
"""What the multiplications of a model are done in. ``int4`` is weight-only: arithmetic stays in a wider type."""

NUMBER_TYPES: tuple[NumberType, ...] = get_args(NumberType)
BITS: Mapping[NumberType, int] = MappingProxyType({"fp32": 32, "fp16": 16, "bf16": 16, "int8": 8, "int4": 4})

FigureKind = Literal["stated", "derived", "assumed", "measured", "detected"]
"""stated: in a document, which ``source`` names. derived: a formula over stated figures. assumed: a working value.
measured: by the micro-benchmark. detected: told by the operating system."""

FIGURE_KINDS: tuple[FigureKind, ...] = get_args(FigureKind)


@dataclass(frozen=True)
class Figure:
    """One number with its unit and source. A source that begins with ``derived:``, ``assumed:``, ``measured:`` or
    ``detected:`` says so; any other names the document that states the figure."""

    value: float
    unit: str
    source: str

    def __post_init__(self) -> None:
        if not math.isfinite(self.value) or self.value < 0:
            raise ValueError(f"a figure is finite and not negative, got {self.value}")

    @property
    def kind(self) -> FigureKind:
        """How the figure came about."""
        head = self.source.partition(":")[0]
        return next((kind for kind in FIGURE_KINDS[1:] if kind == head), "stated")

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __str__(self) -> str:
        return scaled(self.value, self.unit)


@dataclass(frozen=True)
class Accelerator:
    """A GPU, NPU or DSP beside the cores. ``compute`` is MAC/s of the whole accelerator, by number type."""

    name: str
    kind: Literal["gpu", "npu", "dsp"]
    engines: tuple[str, ...]
    compute: Mapping[str, Figure]
    source: str


@dataclass(frozen=True)
class Target:
    """A machine class.

    ``compute`` is the peak of one (fast) core in MAC/s by number type (one multiply-accumulate = two operations); a
    type that is missing runs in a wider one. ``number_types`` are those worth trying: the engines have kernels for
    them. ``memory_bandwidth`` is the whole device's, B/s; ``cache_bandwidth`` one core's from its nearest large cache.
    ``ram`` is what is built in, ``ram_model`` what a model may use of it (weights and activations where both lie in
    RAM), ``storage`` what a model file may use; all in bytes. ``download`` is the usual link's rate, B/s. Power is the
    board's or the package's, in W, as its source says. ``energy`` holds J per multiply-accumulate (``int8_mac``,
    ``fp32_mac``...) and per byte (``dram_byte``, ``sram_byte``). ``sustained`` is the share of the peak that lasts
    under continuous load in its usual housing. ``operator_overhead`` is what an engine spends on starting one operator,
    in s. ``fast_cores`` is given where cores differ; only these are counted upon.
    """

    name: str
    title: str
    device_class: DeviceClass
    architecture: str
    isa: frozenset[str]
    isa_source: str
    engines: tuple[str, ...]
    engines_source: str
    number_types: tuple[NumberType, ...]
    number_types_source: str
    cores: Figure
    threads: Figure
    clock: Figure
    compute: Mapping[str, Figure]
    memory_bandwidth: Figure
    ram: Figure
    ram_model: Figure
    storage: Figure
    fast_cores: Figure | None = None
    cache_bandwidth: Figure | None = None
    caches: Mapping[str, Figure] = field(default_factory=dict)
    download: Figure | None = None
    power_idle: Figure | None = None
    power_busy: Figure | None = None
    sustained: Figure | None = None
    max_model: Figure | None = None
    operator_overhead: Figure | None = None
    energy: Mapping[str, Figure] = field(default_factory=dict)
    accelerators: tuple[Accelerator, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("compute", "caches", "energy"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def has(self, *instructions: str) -> bool:
        """Whether every named instruction set is there."""
        return self.isa.issuperset(instructions)

    @property
    def usable_cores(self) -> int:
        """Cores of full speed, at least one."""
        return max(int(self.fast_cores or self.cores), 1)

    @property
    def microcontroller(self) -> bool:
        """No operating system: code is generated, weights stay in flash, activations in static RAM."""
        return self.device_class == "ultra-low" and self.engines == ("c",)

    def arithmetic(self, number_type: NumberType) -> NumberType:
        """The type the multiplications are really done in: ``number_type`` itself, else the next wider one."""
        if number_type == "int4":
            return "fp32"
        return number_type if number_type in self.compute else "fp32"

    def peak(self, number_type: NumberType, threads: int | None = None) -> Figure:
        """MAC/s in ``number_type`` (or the type it really runs in) on ``threads`` cores, all usable ones if None."""
        one = self.compute[self.arithmetic(number_type)]
        cores = self.usable_cores if threads is None else max(1, min(threads, self.usable_cores))
        if cores == 1:
            return one
        return Figure(one.value * cores, one.unit, f"derived: {cores} cores x {one.value:g} MAC/s")

    def figures(self) -> dict[str, Figure]:
        """Every figure by its dotted key, in reading order."""
        found: dict[str, Figure] = {}
        for name in SCALARS:
            figure = getattr(self, name)
            if figure is not None:
                found[name] = figure
        for table in ("compute", "caches", "energy"):
            found |= {f"{table}.{key}": figure for key, figure in getattr(self, table).items()}
        for accelerator in self.accelerators:
            found |= {f"{accelerator.name}.{key}": figure for key, figure in accelerator.compute.items()}
        return found

    def to_json(self) -> dict[str, Any]:
        """A JSON value: the same tables and keys as the TOML file."""
        from edgewright.targets.schema import to_document

        return to_document(self)


SCALARS: tuple[str, ...] = (
    "cores", "fast_cores", "threads", "clock", "memory_bandwidth", "cache_bandwidth", "ram", "ram_model", "storage",
    "download", "power_idle", "power_busy", "sustained", "max_model",
    "operator_overhead",
)  # fmt: skip
"""The figures that stand alone, in reading order."""

_DECIMAL = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"))
_BINARY = ((1 << 40, "Ti"), (1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki"))


def scaled(value: float, unit: str) -> str:
    """``value`` with a prefix: binary for bytes, decimal for rates and the rest; counts and ratios as they are."""
    if unit == "ratio":
        return f"{value:g}"
    if unit in ("cores", "threads"):
        return f"{value:g} {unit[:-1] if value == 1 else unit}"
    prefixes = _BINARY if unit == "B" else _DECIMAL
    for size, prefix in prefixes:
        if value >= size:
            return f"{value / size:.4g} {prefix}{unit}"
    return f"{value:g} {unit}" if unit == "B" or not value else f"{value / 1e-12:.4g} p{unit}"
