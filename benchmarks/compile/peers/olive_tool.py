"""Olive's command line, in its own environment: ``olive_tool.py VARIANT --model M --data D --out FOLDER``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from shared import CALIBRATION, Arguments, calibration, parse

# It sends a heartbeat unless it believes itself in a pipeline, whatever the switch says.
QUIET = {"OLIVE_DISABLE_TELEMETRY": "1", "CI": "true"}


def olive(folder: Path, *words: str) -> None:
    command = [str(Path(sys.executable).with_name("olive")), *words]
    subprocess.run(command, cwd=folder, env=os.environ | QUIET, check=True)


def auto_opt(told: Arguments, folder: Path) -> None:
    olive(folder, "auto-opt", "-m", str(told.model), "--device", "cpu", "--precision", "int8", "-o", str(folder / "o"))


def quantize(told: Arguments, folder: Path) -> None:
    olive(folder, "quantize", "-m", str(told.model), "--implementation", "ort", "--precision", "int8",
          "-o", str(folder / "o"))  # fmt: skip


def static(told: Arguments, folder: Path, **more: Any) -> None:
    """``olive run`` with its static INT8 pass; the calibration data through a script, as its examples do."""
    name, _ = calibration(told)
    config = {
        "input_model": {"type": "ONNXModel", "model_path": str(told.model)},
        "data_configs": [{
            "name": "calibration", "user_script": str(Path(__file__).with_name("olive_data.py")),
            "load_dataset_config": {"type": "samples", "path": str(told.data), "input_name": name,
                                    "count": CALIBRATION},
            "dataloader_config": {"type": "no_auto_batch_dataloader"},
        }],
        "passes": {"quantize": {"type": "OnnxStaticQuantization", "data_config": "calibration", **more}},
        "output_dir": str(folder / "o"), "cache_dir": str(folder / "cache"), "log_severity_level": 2,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(config))
    olive(folder, "run", "--config", str(folder / "run.json"))


def static_u8s8(told: Arguments, folder: Path) -> None:
    """The same pass as one who knows x86 would set it."""
    static(told, folder, precision="int8", activation_type="uint8", per_channel=True)


VARIANTS = {"auto-opt": auto_opt, "quantize": quantize, "static": static, "static-u8s8": static_u8s8}

if __name__ == "__main__":
    asked = parse(Path(__file__).stem, tuple(VARIANTS))
    with tempfile.TemporaryDirectory(prefix="olive-") as made:
        VARIANTS[asked.variant](asked, Path(made))
        models = sorted((Path(made) / "o").rglob("*.onnx"))
        if len(models) != 1 or list((Path(made) / "o").rglob("*.onnx.data")):
            raise SystemExit(f"expected one model in one file, olive wrote {[m.name for m in models]}")
        shutil.copy(models[0], asked.out / "model.onnx")
