"""What an update costs to download, for pairs of models as they really come, and what it takes to make and apply it.

    python benchmarks/fleet/deltas.py [--json FILE]

Beside: the new file under zstd -19, zstd --patch-from -19 (the whole old file as prefix), and bsdiff4 (``pip install
bsdiff4``; quadratic in bad cases, left out above 10 MB). Photographs: ``shared/data/magnetic-tile`` beside the
checkout; models are trained on first use (two minutes on one core) and kept in ``work/``. Needs the torch, sklearn and
compile extras. One thread.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from edgewright.bundles.deltas import make_delta, needed, read_recipe, reconstruct
from edgewright.bundles.deltas.codec import zstd
from edgewright.core.digests import digest_bytes
from fleet.pairs import NAME, pairs

HERE = Path(__file__).resolve().parent
WORK = HERE / "work"


def timed(make: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    made = make()
    return made, time.perf_counter() - start


def applied(old: bytes, new: bytes, delta: Any, root: Path) -> float:
    """Seconds to make the new file from files on disk, its fsync included. Fails unless it is the very file."""
    sizes = {NAME: (digest_bytes(new), len(new))}
    (root / "chunks").mkdir()
    (root / "old").write_bytes(old)
    for digest, data in delta.chunks.items():
        (root / "chunks" / digest).write_bytes(data)
    have = {digest_bytes(old): root / "old"}

    def apply() -> dict[str, str]:
        recipe = read_recipe(delta.recipe, sizes)
        assert not needed(recipe, have, root / "chunks")
        return reconstruct(recipe, have, root / "chunks", root / "new", sizes)

    wrong, seconds = timed(apply)
    assert not wrong and (root / "new" / NAME).read_bytes() == new
    return seconds


def patch_from(old: bytes, new: bytes) -> bytes:
    level = {
        zstd.CompressionParameter.compression_level: 19,
        zstd.CompressionParameter.window_log: 27,
        zstd.CompressionParameter.enable_long_distance_matching: 1,
    }
    return zstd.compress(new, options=level, zstd_dict=zstd.ZstdDict(old, is_raw=True).as_prefix)


def row(title: str, old: bytes, new: bytes) -> dict[str, Any]:
    delta, make_s = timed(lambda: make_delta({NAME: old}, {NAME: new}))
    with tempfile.TemporaryDirectory() as folder:
        apply_s = applied(old, new, delta, Path(folder))
    whole, whole_s = timed(lambda: zstd.compress(new, 19))
    patched, patched_s = timed(lambda: patch_from(old, new))
    found = {
        "pair": title, "bytes": len(new), "delta": delta.size_bytes, "recipe": len(delta.recipe),
        "chunks": len(delta.chunks), "make_s": make_s, "apply_s": apply_s, "zstd": len(whole), "zstd_s": whole_s,
        "patch_from": len(patched), "patch_from_s": patched_s,
    }  # fmt: skip
    try:
        import bsdiff4
    except ImportError:
        return found
    if len(new) < 10_000_000:
        other, seconds = timed(lambda: bsdiff4.diff(old, new))
        found |= {"bsdiff": len(other), "bsdiff_s": seconds}
    return found


def photographs() -> Path:
    for parent in HERE.parents:
        if (parent / "shared" / "data" / "magnetic-tile").is_dir():
            return parent / "shared" / "data" / "magnetic-tile"
    raise SystemExit("the photographs are not beside the checkout: shared/data/magnetic-tile")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    rows = []
    print("| pair | bytes | delta | zstd -19 | patch-from -19 | bsdiff4 | make | apply | bsdiff4 takes |")
    print("|---|---|---|---|---|---|---|---|---|")
    for title, old, new in pairs(photographs(), WORK, lambda line: print(line, file=sys.stderr)):
        one = row(title, old[NAME], new[NAME])
        rows.append(one)
        share = [
            f"{100 * one[key] / one['bytes']:.1f}%" if key in one else ""
            for key in ("delta", "zstd", "patch_from", "bsdiff")
        ]
        times = [f"{one[key]:.2f} s" if key in one else "" for key in ("make_s", "apply_s", "bsdiff_s")]
        print(f"| {' | '.join([title, format(one['bytes'], ','), *share, *times])} |", flush=True)
    print(f"\nPeak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
