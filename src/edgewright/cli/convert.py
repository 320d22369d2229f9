"""``edgewright convert``: a model in another format, written only when it answers like its source."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from edgewright.core.errors import EdgewrightError

# Below this the conversion is wrong, not inexact: float graphs agree to 80 dB and more. Engines round quantized
# activations differently, so those agree less.
_FLOOR_DB = 40.0
_QUANTIZED_FLOOR_DB = 15.0
_MISMATCHED = 0.02
_SAMPLES = 8


def add(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("model", help="a model file in any format Edgewright reads, or a candidate's folder")
    parser.add_argument("--to", required=True, help="openvino, ort or onnx")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="a new or empty folder for the files")
    parser.add_argument("--json", action="store_true", help="print the result as JSON, alone on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Load, convert, compare, write, tell."""
    from edgewright.cli._subjects import read_candidate
    from edgewright.engines.agreement import agreement, sample_inputs
    from edgewright.flows.kept import CANDIDATE
    from edgewright.formats import convert, load, save

    place = Path(arguments.model)
    source = read_candidate(place).model if (place / CANDIDATE).is_file() else load(place)
    made = convert(source, arguments.to)
    found = agreement(source, made, sample_inputs(source.signature, _SAMPLES))
    floor = _QUANTIZED_FLOOR_DB if b"QuantizeLinear" in source.data else _FLOOR_DB
    if found.sqnr_db < floor or found.mismatched > _MISMATCHED:
        raise EdgewrightError(
            f"the converted model answers otherwise ({found.sqnr_db:.1f} dB, {found.mismatched:.1%} of whole numbers "
            f"differ); nothing was written, keep the model in {source.format}"
        )
    path = save(made, Path(arguments.output))
    if arguments.json:
        result = {
            "path": str(path),
            "format": made.format,
            "digest": made.digest,
            "size_bytes": made.size_bytes,
            "files": sorted(made.files),
            "source": {"format": source.format, "digest": source.digest, "size_bytes": source.size_bytes},
            "signature": made.signature.to_json(),
            "agreement": found.to_json(),
        }
        print(json.dumps(result, indent=2))
        return 0
    sqnr = "identical" if math.isinf(found.sqnr_db) else f"SQNR {found.sqnr_db:.1f} dB"
    print(f"path       {path}")
    print(f"format     {made.format} (from {source.format})")
    print(f"digest     {made.digest}")
    print(f"size       {made.size_bytes:,} bytes (source {source.size_bytes:,})")
    print(f"agreement  max abs error {found.max_abs_error:.3g}, {sqnr}, over {found.samples} seeded inputs")
    return 0
