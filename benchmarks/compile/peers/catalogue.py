"""Who is measured beside Edgewright, and how each is run."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from peers import environments

LIMIT_S = 900


@dataclass(frozen=True)
class Peer:
    """One way to use one tool. ``quick``: whether the short run has it, too."""

    name: str
    environment: str
    script: str
    variant: str
    engine: str = "onnxruntime"
    quick: bool = False


PEERS = (
    Peer("ONNX Runtime static U8S8 per channel", "onnxruntime", "ort_quantizer.py", "u8s8", quick=True),
    Peer("ONNX Runtime static, its defaults (S8S8)", "onnxruntime", "ort_quantizer.py", "s8s8"),
    Peer("ONNX Runtime dynamic", "onnxruntime", "ort_quantizer.py", "dynamic"),
    Peer("OpenVINO, not compressed", "nncf", "nncf_tool.py", "as-is", "openvino"),
    Peer("NNCF on OpenVINO", "nncf", "nncf_tool.py", "quantize", "openvino", quick=True),
    Peer("NNCF on OpenVINO, accuracy control", "nncf", "nncf_tool.py", "accuracy-control", "openvino"),
    Peer("NNCF on ONNX", "nncf", "nncf_tool.py", "onnx"),
    Peer("Olive auto-opt --precision int8", "olive", "olive_tool.py", "auto-opt"),
    Peer("Olive quantize --implementation ort", "olive", "olive_tool.py", "quantize"),
    Peer("Olive run, static INT8", "olive", "olive_tool.py", "static"),
    Peer("Olive run, static U8S8 per channel", "olive", "olive_tool.py", "static-u8s8", quick=True),
)


@dataclass(frozen=True)
class Made:
    """What a tool left: the model's file and the seconds of its process, or why there is none."""

    path: Path | None
    seconds: float
    failure: str = ""


def call(peer: Peer, model: Path, data: Path, out: Path, family: str, drop: float) -> Made:
    """Run ``peer`` in a process of its own, from start to end as a user would wait for it."""
    out.mkdir(parents=True, exist_ok=True)
    python = environments.python_of(peer.environment)
    command = [str(python), str(environments.HERE / peer.script), peer.variant, "--model", str(model),
               "--data", str(data), "--out", str(out), "--family", family, "--drop", str(drop)]  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    began = time.perf_counter()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, env=environment, check=False)
    except subprocess.TimeoutExpired:
        return Made(None, time.perf_counter() - began, f"stopped after {LIMIT_S} s")
    seconds = time.perf_counter() - began
    (out / "log.txt").write_text(done.stdout + done.stderr)
    found = [path for path in (out / "model.onnx", out / "model.xml") if path.is_file()]
    if done.returncode != 0 or len(found) != 1:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Made(None, seconds, f"status {done.returncode}: {last[:200]}")
    return Made(found[0], seconds)
