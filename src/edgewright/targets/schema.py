"""The target file: one TOML document, read strictly. Every error names the key it is about.

Units are fixed per key and in base SI units, so that no reader ever converts: B, B/s, Hz, MAC/s, W, J, cores,
threads, ratio.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from edgewright.core.errors import InputError
from edgewright.core.files import read_file
from edgewright.targets.description import NUMBER_TYPES, SCALARS, Accelerator, DeviceClass, Figure, Target

SCHEMA = 1
_LARGEST = 1e30
"""No figure here comes near it; keeps sums and products finite."""
LIMIT_BYTES = 256 * 1024
"""A target file is a page or two of text."""

UNITS: Mapping[str, str] = {
    "cores": "cores", "fast_cores": "cores", "threads": "threads", "clock": "Hz", "memory_bandwidth": "B/s",
    "cache_bandwidth": "B/s", "ram": "B", "ram_model": "B", "storage": "B", "download": "B/s", "power_idle": "W",
    "power_busy": "W", "sustained": "ratio", "max_model": "B", "operator_overhead": "s",
}  # fmt: skip
REQUIRED = ("cores", "threads", "clock", "memory_bandwidth", "ram", "ram_model", "storage")
_COUNTS = ("cores", "fast_cores", "threads")
_COMPUTE = ("fp32", "fp16", "bf16", "int8")
_CACHES = ("l1d", "l1i", "l2", "l3", "tcm")
_ENERGY = ("fp32_mac", "fp16_mac", "bf16_mac", "int8_mac", "sram_byte", "dram_byte", "flash_byte")
ENGINES = ("onnxruntime", "openvino", "tensorrt", "coreml", "litert", "ncnn", "c")
_TABLES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "compute": (_COMPUTE, "MAC/s"), "caches": (_CACHES, "B"), "energy": (_ENERGY, "J"),
}  # fmt: skip
_LISTS = ("isa", "engines", "number_types")
_TOP = {"schema", "name", "title", "class", "architecture", "notes", "figures", "accelerators", *_LISTS, *_TABLES}
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_WORD = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


class _Reader:
    """Looks things up in one document and words its errors: ``<file>: <key> ...``."""

    def __init__(self, place: str) -> None:
        self._place = place

    def fail(self, key: str, what: str) -> InputError:
        return InputError(f"{self._place}: {key} {what}")

    def table(self, value: Any, key: str, allowed: Mapping[str, bool]) -> Mapping[str, Any]:
        """A TOML table whose keys are all in ``allowed``, those that are True present."""
        if not isinstance(value, dict):
            raise self.fail(key, "must be a table")
        dot = f"{key}." if key else ""
        for name in value:
            if name not in allowed:
                raise self.fail(f"{dot}{name[:60]}", f"is not a known key; known: {', '.join(sorted(allowed))}")
        for name, needed in allowed.items():
            if needed and name not in value:
                raise self.fail(f"{dot}{name}", "is missing")
        return value

    def text(self, value: Any, key: str, check: Callable[[str], object] = bool) -> str:
        if not isinstance(value, str) or not value.strip() or not check(value) or len(value) > 2000:
            raise self.fail(key, f"is not usable text: {str(value)[:60]!r}")
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
            raise self.fail(key, "has a control character or a line break; write it on one line")
        return value

    def choice(self, value: Any, key: str, choices: tuple[str, ...]) -> Any:
        if value not in choices:
            raise self.fail(key, f"must be one of {', '.join(choices)}, got {str(value)[:60]!r}")
        return value

    def words(self, value: Any, key: str, choices: tuple[str, ...] = ()) -> tuple[str, ...]:
        if not isinstance(value, list) or len(value) > 200:
            raise self.fail(key, "must be a list of names")
        found = tuple(self.text(word, key, _WORD.fullmatch) for word in value)
        if len(set(found)) != len(found):
            raise self.fail(key, "names something twice")
        return tuple(self.choice(word, key, choices) for word in found) if choices else found

    def figure(self, value: Any, key: str, unit: str) -> Figure:
        self.table(value, key, {"value": True, "unit": True, "source": True})
        number = value["value"]
        usable = isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number < _LARGEST
        if not usable:
            raise self.fail(f"{key}.value", f"must be a finite number, not negative, got {str(number)[:60]}")
        if value["unit"] != unit:
            raise self.fail(f"{key}.unit", f"must be {unit!r}, got {str(value['unit'])[:60]!r}")
        return Figure(float(number), unit, self.text(value["source"], f"{key}.source"))

    def figures(self, value: Any, key: str, allowed: tuple[str, ...], unit: str) -> dict[str, Figure]:
        self.table(value, key, dict.fromkeys(allowed, False))
        return {name: self.figure(value[name], f"{key}.{name}", unit) for name in allowed if name in value}


def parse(data: bytes, place: str) -> Target:
    """The target a document describes; ``place`` is what errors call it. Raises InputError naming the key."""
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, an integer of thousands of digits
        raise InputError(f"{place}: not a TOML document: {str(error)[:200]}") from error
    return read_document(document, place)


def read_document(document: Any, place: str) -> Target:
    """The target of a document that was parsed already, such as ``to_document`` gives. Raises InputError."""
    read = _Reader(place)
    needed = {"schema", "name", "title", "class", "architecture", *_LISTS, "figures", "compute"}
    read.table(document, "", {key: key in needed for key in sorted(_TOP)})
    if document["schema"] != SCHEMA or isinstance(document["schema"], bool):
        raise read.fail("schema", f"must be {SCHEMA}, got {str(document['schema'])[:60]!r}")
    lists = {key: read.table(document[key], key, {"names": True, "source": True}) for key in _LISTS}
    scalars = read.table(document["figures"], "figures", {name: name in REQUIRED for name in SCALARS})
    given: dict[str, Any] = {
        name: read.figure(scalars[name], f"figures.{name}", UNITS[name]) for name in SCALARS if name in scalars
    }
    given |= {key: read.figures(document.get(key, {}), key, names, unit) for key, (names, unit) in _TABLES.items()}
    target = Target(
        name=read.text(document["name"], "name", _NAME.fullmatch),
        title=read.text(document["title"], "title"),
        device_class=read.choice(document["class"], "class", get_args(DeviceClass)),
        architecture=read.text(document["architecture"], "architecture", _WORD.fullmatch),
        isa=frozenset(read.words(lists["isa"]["names"], "isa.names")),
        isa_source=read.text(lists["isa"]["source"], "isa.source"),
        engines=read.words(lists["engines"]["names"], "engines.names", ENGINES),
        engines_source=read.text(lists["engines"]["source"], "engines.source"),
        number_types=read.words(lists["number_types"]["names"], "number_types.names", NUMBER_TYPES),  # type: ignore[arg-type]
        number_types_source=read.text(lists["number_types"]["source"], "number_types.source"),
        accelerators=_accelerators(read, document.get("accelerators", [])),
        notes=_notes(read, document.get("notes", [])),
        **given,
    )
    _check(read, target)
    return target


def _accelerators(read: _Reader, value: Any) -> tuple[Accelerator, ...]:
    if not isinstance(value, list) or len(value) > 16:
        raise read.fail("accelerators", "must be a list of tables")
    found = []
    for i, entry in enumerate(value):
        key = f"accelerators[{i}]"
        read.table(entry, key, {"name": True, "kind": True, "engines": True, "source": True, "compute": False})
        found.append(
            Accelerator(
                name=read.text(entry["name"], f"{key}.name", _NAME.fullmatch),
                kind=read.choice(entry["kind"], f"{key}.kind", ("gpu", "npu", "dsp")),
                engines=read.words(entry["engines"], f"{key}.engines", ENGINES),
                compute=read.figures(entry.get("compute", {}), f"{key}.compute", _COMPUTE, "MAC/s"),
                source=read.text(entry["source"], f"{key}.source"),
            )
        )
    if len({accelerator.name for accelerator in found}) != len(found):
        raise read.fail("accelerators", "has two of the same name")
    return tuple(found)


def _notes(read: _Reader, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > 50:
        raise read.fail("notes", "must be a list of sentences")
    return tuple(read.text(note, "notes") for note in value)


def _check(read: _Reader, target: Target) -> None:
    """What holds between the fields."""
    for name in _COUNTS:
        figure = getattr(target, name)
        if figure is not None and (figure.value < 1 or figure.value != int(figure.value)):
            raise read.fail(f"figures.{name}.value", f"must be a whole number of at least 1, got {figure.value:g}")
    for name in ("clock", "memory_bandwidth", "cache_bandwidth", "ram", "ram_model", "storage"):
        figure = getattr(target, name)
        if figure is not None and figure.value < 1:
            raise read.fail(f"figures.{name}.value", "must be at least 1")
    if target.operator_overhead is not None and not 1e-12 <= target.operator_overhead.value <= 1:
        raise read.fail("figures.operator_overhead.value", "must lie between 1e-12 and 1")
    if "fp32" not in target.compute:
        raise read.fail("compute.fp32", "is missing; every other type falls back to it")
    rates = [("compute", target.compute), *((f"accelerators.{a.name}.compute", a.compute) for a in target.accelerators)]
    for table, figures in rates:
        for key, figure in figures.items():
            if figure.value < 1:
                raise read.fail(f"{table}.{key}.value", "must be at least 1")
    if target.fast_cores is not None and target.fast_cores.value > target.cores.value:
        raise read.fail("figures.fast_cores.value", "is more than figures.cores")
    if target.ram_model.value > target.ram.value:
        raise read.fail("figures.ram_model.value", "is more than figures.ram")
    if target.sustained is not None and not 0 < target.sustained.value <= 1:
        raise read.fail("figures.sustained.value", "must lie in (0, 1]")
    idle, busy = target.power_idle, target.power_busy
    if idle is not None and busy is not None and idle.value > busy.value:
        raise read.fail("figures.power_idle.value", "is more than figures.power_busy")
    for key, names in (("engines", target.engines), ("number_types", target.number_types)):
        if not names:
            raise read.fail(f"{key}.names", "is empty")


def load(path: Path) -> Target:
    """The target in the file at ``path``. Raises InputError naming the key that is wrong."""
    return parse(read_file(path, LIMIT_BYTES), str(path))


def to_document(target: Target) -> dict[str, Any]:
    """The target as the tables and keys of its file; a JSON value as well."""

    def entry(figure: Figure) -> dict[str, Any]:
        return {"value": figure.value, "unit": figure.unit, "source": figure.source}

    def entries(figures: Mapping[str, Figure]) -> dict[str, Any]:
        return {key: entry(figure) for key, figure in figures.items()}

    document: dict[str, Any] = {
        "schema": SCHEMA, "name": target.name, "title": target.title, "class": target.device_class,
        "architecture": target.architecture,
    }  # fmt: skip
    if target.notes:
        document["notes"] = list(target.notes)
    document["isa"] = {"names": sorted(target.isa), "source": target.isa_source}
    document["engines"] = {"names": list(target.engines), "source": target.engines_source}
    document["number_types"] = {"names": list(target.number_types), "source": target.number_types_source}
    alone = {name: getattr(target, name) for name in SCALARS}
    document["figures"] = entries({name: figure for name, figure in alone.items() if figure is not None})
    for table in _TABLES:
        if getattr(target, table):
            document[table] = entries(getattr(target, table))
    if target.accelerators:
        document["accelerators"] = [
            {
                "name": a.name, "kind": a.kind, "engines": list(a.engines), "source": a.source,
                "compute": entries(a.compute),
            }
            for a in target.accelerators
        ]  # fmt: skip
    return document
