"""What every peer serves: the folder's models, opened alike. Runs in the peers' environments, without Edgewright."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime as ort


def open_model(path: Path) -> ort.InferenceSession:
    """One thread, no spinning: what Edgewright uses, too."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def open_all(folder: Path) -> dict[str, ort.InferenceSession]:
    """Sessions by name."""
    return {path.stem: open_model(path) for path in sorted(folder.glob("*.onnx"))}


def one_row(value: Any) -> tuple[int, ...]:
    """The shape of an input or output for a single row."""
    return (1, *value.shape[1:])
