"""Peak arithmetic of one core, derived from its instruction sets and clock.

Each row is multiply-accumulates per cycle: vector instructions issued per cycle x lanes. x86 rows hold for cores with
two vector multiply ports (Intel 64 and IA-32 Architectures Optimization Reference Manual; AMD Software Optimization
Guide for the family); Arm rows for cores with two 128-bit pipes (Arm Software Optimization Guides, Cortex-A76 on).
A core with fewer or narrower pipes reaches less, one that boosts above the clock the system tells reaches more;
measuring settles it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgewright.targets.description import Figure

_Row = tuple[str, float, str]

# Best first; the first row whose instruction set is there counts.
_ROWS: Mapping[str, tuple[_Row, ...]] = {
    "fp32": (
        ("avx512f", 32, "2 x 512-bit FMA x 16 lanes"),
        ("avx2", 16, "2 x 256-bit FMA x 8 lanes"),
        ("avx", 8, "256-bit multiply and add x 8 lanes"),
        ("sse4_2", 4, "128-bit multiply and add x 4 lanes"),
        ("neon", 8, "2 x 128-bit FMLA x 4 lanes"),
    ),
    "fp16": (
        ("amx_fp16", 512, "TDPFP16PS: 8192 MACs in 16 cycles"),
        ("avx512_fp16", 64, "2 x 512-bit FMA x 32 lanes"),
        ("neon_fp16", 16, "2 x 128-bit FMLA x 8 lanes"),
    ),
    "bf16": (
        ("amx_bf16", 512, "TDPBF16PS: 8192 MACs in 16 cycles"),
        ("avx512_bf16", 64, "2 x 512-bit VDPBF16PS x 32 MACs"),
        ("neon_bf16", 32, "2 x 128-bit BFMMLA x 16 MACs"),
    ),
    "int8": (
        ("amx_int8", 1024, "TDPBUSD: 16384 MACs in 16 cycles"),
        ("avx512_vnni", 128, "2 x 512-bit VPDPBUSD x 64 MACs"),
        ("avx_vnni", 64, "2 x 256-bit VPDPBUSD x 32 MACs"),
        ("avx512bw", 64, "VPMADDUBSW + VPMADDWD + VPADDD, 512-bit, on two multiply ports"),
        ("avx2", 32, "VPMADDUBSW + VPMADDWD + VPADDD, 256-bit, on two multiply ports"),
        ("sse4_2", 16, "PMADDUBSW + PMADDWD + PADDD, 128-bit, on two multiply ports"),
        ("i8mm", 64, "2 x 128-bit SMMLA x 32 MACs"),
        ("neon_dotprod", 32, "2 x 128-bit SDOT x 16 MACs"),
        ("neon", 10.7, "SMULL + SMLAL + SADALP: 16 MACs in 3 instructions on two pipes"),
    ),
}


def derive_peaks(isa: Iterable[str], clock_hz: float) -> dict[str, Figure]:
    """MAC/s of one core by number type, for the types that ``isa`` has instructions for; fp32 always."""
    have = frozenset(isa)
    found: dict[str, Figure] = {}
    for number_type, rows in _ROWS.items():
        for name, per_cycle, how in rows:
            if name in have:
                source = f"derived: {how} = {per_cycle:g} MACs a cycle ({name}) x {clock_hz / 1e9:.4g} GHz"
                found[number_type] = Figure(per_cycle * clock_hz, "MAC/s", source)
                break
    found.setdefault("fp32", Figure(clock_hz, "MAC/s", f"assumed: one scalar MAC a cycle x {clock_hz / 1e9:.4g} GHz"))
    found.setdefault("int8", Figure(found["fp32"].value, "MAC/s", "assumed: as many as in fp32"))
    return found
