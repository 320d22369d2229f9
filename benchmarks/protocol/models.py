"""Models that answer with what they were asked, one for each kind of tensor; as ONNX files, and for Triton."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from edgewright.formats import save
from edgewright.testing.build import Build

_DTYPES = {"FP32": "float32", "FP64": "float64", "FP16": "float16", "INT64": "int64", "UINT8": "uint8", "BOOL": "bool",
           "BYTES": "str"}  # fmt: skip


@dataclass(frozen=True)
class Echo:
    """``tensors`` inputs x0, x1... and outputs y0, y1...; -1 in ``shape`` is open. ``batch``: Triton's max_batch_size,
    whose axis is the shape's first."""

    datatype: str
    shape: tuple[int, ...]
    tensors: int = 1
    batch: int = 0


ECHOES = {
    "one": Echo("FP32", (-1, 4), batch=8), "two": Echo("FP32", (-1, 4), tensors=2, batch=8),
    "text": Echo("BYTES", (-1, 4)), "whole": Echo("INT64", (-1,)), "half": Echo("FP16", (-1, 4)),
    "bytes": Echo("UINT8", (2, 3)), "scalar": Echo("FP64", (1,)), "flags": Echo("BOOL", (1, -1)),
}  # fmt: skip


def write(folder: Path) -> None:
    """``models.json`` for programs, ``onnx/NAME.onnx`` and ``triton/NAME`` for servers."""
    (folder / "onnx").mkdir(parents=True)
    (folder / "models.json").write_text(json.dumps({name: asdict(echo) for name, echo in ECHOES.items()}))
    code = (Path(__file__).parent / "servers" / "triton_model.py").read_text()
    for name, echo in ECHOES.items():
        build, dtype = Build(), _DTYPES[echo.datatype]
        sizes = ["n" if size < 0 else size for size in echo.shape]
        for number in range(echo.tensors):
            build.output(build.node("Identity", build.input(f"x{number}", sizes, dtype)), sizes, dtype=dtype)
        save(build.model(), folder / "made" / name)
        (folder / "made" / name / "model.onnx").rename(folder / "onnx" / f"{name}.onnx")
        place = folder / "triton" / name
        (place / "1").mkdir(parents=True)
        (place / "1" / "model.py").write_text(code)
        (place / "config.pbtxt").write_text(_config(name, echo))


def _config(name: str, echo: Echo) -> str:
    kind = "STRING" if echo.datatype == "BYTES" else echo.datatype
    dims = ", ".join(map(str, echo.shape[1:] if echo.batch else echo.shape))

    def tensors(side: str, letter: str) -> str:
        told = [f'{{ name: "{letter}{n}" data_type: TYPE_{kind} dims: [ {dims} ] }}' for n in range(echo.tensors)]
        return f"{side} [ {', '.join(told)} ]\n"

    head = f'name: "{name}"\nbackend: "python"\nmax_batch_size: {echo.batch}\n'
    return f"{head}{tensors('input', 'x')}{tensors('output', 'y')}instance_group [{{ kind: KIND_CPU }}]\n"
