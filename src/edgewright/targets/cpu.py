"""The processor as Linux tells it: model, instruction sets, clock, caches, topology. Elsewhere, what Python knows."""

from __future__ import annotations

import platform
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgewright.targets.description import Figure

_X86 = (
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "avx_vnni",
    "avx512_bf16", "avx512_fp16", "avx_vnni_int8", "amx_tile", "amx_int8", "amx_bf16", "amx_fp16",
)  # fmt: skip
# Linux hwcaps (kernel documentation, ARM64 ELF hwcaps) -> our names.
_ARM: Mapping[str, str] = {
    "asimd": "neon", "asimdhp": "neon_fp16", "asimddp": "neon_dotprod", "bf16": "neon_bf16", "i8mm": "i8mm",
    "sve": "sve", "sve2": "sve2", "svei8mm": "sve_i8mm", "sme": "sme",
}  # fmt: skip
_MOST_CPUS = 8192
"""Linux's own limit (CONFIG_NR_CPUS)."""
_MACHINES = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "aarch64", "aarch64": "aarch64"}


@dataclass(frozen=True)
class Cpu:
    """``siblings`` maps a logical CPU to the set of logical CPUs on its physical core."""

    model: str
    architecture: str
    isa: frozenset[str]
    isa_source: str
    clock: Figure
    caches: Mapping[str, Figure]
    siblings: Mapping[int, frozenset[int]]

    def physical(self, logical: Collection[int]) -> int:
        """How many physical cores the ``logical`` ones lie on; at least one."""
        return max(len({self.siblings.get(cpu, frozenset({cpu})) for cpu in logical}), 1)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def read_cpu(root: Path = Path("/")) -> Cpu:
    """The processor described below ``root``."""
    fields: dict[str, str] = {}
    for line in _text(root / "proc/cpuinfo").splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), value.strip())
    machine = _MACHINES.get(platform.machine().lower(), re.sub(r"[^a-z0-9_.-]", "-", platform.machine().lower()))
    if "flags" in fields:
        flags = set(fields["flags"].split())
        architecture, isa, source = (
            "x86_64",
            {name for name in _X86 if name in flags},
            "detected: flags in /proc/cpuinfo",
        )
    elif "Features" in fields:
        flags = set(fields["Features"].split())
        isa = {ours for theirs, ours in _ARM.items() if theirs in flags} | ({"neon"} if "neon" in flags else set())
        architecture, source = "aarch64" if "asimd" in flags else "armv7-a", "detected: Features in /proc/cpuinfo"
    elif machine == "aarch64":
        architecture, isa, source = machine, {"neon"}, "assumed: every 64-bit Arm processor has it"
    else:
        architecture, isa, source = machine or "unknown", set(), "assumed: the system does not tell"
    return Cpu(
        model=_model(root, fields),
        architecture=architecture,
        isa=frozenset(isa),
        isa_source=source,
        clock=_clock(root, fields),
        caches=_caches(root),
        siblings=_siblings(root),
    )


def _model(root: Path, fields: Mapping[str, str]) -> str:
    board = _text(root / "proc/device-tree/model").strip("\0")
    name = fields.get("model name") or fields.get("Model") or board or platform.processor() or "unknown processor"
    return " ".join("".join(c for c in name if c.isprintable()).split())[:200] or "unknown processor"


def _clock(root: Path, fields: Mapping[str, str]) -> Figure:
    highest = [
        int(text)
        for path in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/cpuinfo_max_freq")
        if (text := _text(path)).isdigit()
    ]
    if highest and max(highest) > 0:
        return Figure(max(highest) * 1e3, "Hz", "detected: cpuinfo_max_freq of the fastest core")
    try:
        now = float(fields.get("cpu MHz", "0")) * 1e6
    except ValueError:
        now = 0.0
    if now > 0:
        return Figure(now, "Hz", "detected: cpu MHz in /proc/cpuinfo, the clock of the moment")
    return Figure(2e9, "Hz", "assumed: the system does not tell")


def _caches(root: Path) -> dict[str, Figure]:
    """Sizes of the caches a core sees, by level; ``l1d`` is the data side of the first."""
    found: dict[str, Figure] = {}
    scale = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    for folder in sorted((root / "sys/devices/system/cpu/cpu0/cache").glob("index[0-9]*")):
        level, kind = _text(folder / "level"), _text(folder / "type")
        size = re.fullmatch(r"(\d+)([KMG]?)", _text(folder / "size"))
        suffix = {"Data": "d", "Instruction": "i", "Unified": ""}.get(kind)
        name = f"l{level}{suffix}"
        if size and suffix is not None and name in ("l1d", "l1i", "l2", "l3"):
            bytes_ = int(size[1]) * scale[size[2]]
            found[name] = Figure(bytes_, "B", f"detected: /sys/devices/system/cpu/cpu0/cache/{folder.name}")
    return found


def _siblings(root: Path) -> dict[int, frozenset[int]]:
    found: dict[int, frozenset[int]] = {}
    for folder in (root / "sys/devices/system/cpu").glob("cpu[0-9]*"):
        listed = _text(folder / "topology/thread_siblings_list")
        if folder.name[3:].isdigit() and re.fullmatch(r"\d+([,-]\d+)*", listed):
            found[int(folder.name[3:])] = frozenset(_expand(listed))
    return found


def _expand(listed: str) -> set[int]:
    """``0-2,8`` -> {0, 1, 2, 8}."""
    numbers: set[int] = set()
    for part in listed.split(","):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), min(int(last or first), _MOST_CPUS) + 1))
    return numbers
