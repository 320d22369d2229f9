"""The servers, and how each is started."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from serve.peers import environments

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1] / "src"
REGIONS = "edgewright-triton"
"""What the names of Triton's own shared memory begin with: one that a check ended leaves some behind."""
Command = tuple[list[str | Path], dict[str, str]]
"""What is run, and with which environment variables."""


@dataclass(frozen=True)
class Subject:
    """``start``: for a folder of models (see ``models.write``) and the first of three free ports: HTTP, gRPC, metrics.
    ``extensions``: to be checked besides those that it announces."""

    name: str
    start: Callable[[Path, int], Command]
    version: Callable[[], str]
    extensions: tuple[str, ...] = ()


def _ours(folder: Path, port: int) -> Command:
    listen = [word for kind, number in (("http", port), ("grpc", port + 1))
              for word in (f"--{kind}", f"127.0.0.1:{number}")]  # fmt: skip
    command = [sys.executable, "-m", "edgewright.runtime", "--models-dir", folder / "onnx", *listen]
    return command, {"PYTHONPATH": str(SOURCE)}


def _triton(folder: Path, port: int) -> Command:
    """The server in PyTriton's wheel, started as Triton itself is: its Python backend, models loaded by name."""
    python = environments.python_of("pytriton")
    packages = next((python.parent.parent / "lib").glob("python3.*")) / "site-packages"
    triton = packages / "pytriton" / "tritonserver"
    backends = folder / "backends"
    if not backends.exists():
        shutil.copytree(triton / "backends", backends)
        stub = triton / "python_backend_stubs" / packages.parent.name.removeprefix("python")
        shutil.copytree(stub, backends / "python", dirs_exist_ok=True)
    flags = [f"--{kind}-{what}={value}" for kind, number in (("http", port), ("grpc", port + 1), ("metrics", port + 2))
             for what, value in (("address", "127.0.0.1"), ("port", number))]  # fmt: skip
    command = [
        triton / "bin" / "tritonserver", f"--model-repository={folder / 'triton'}", f"--backend-directory={backends}",
        f"--backend-config=python,shm-region-prefix-name={REGIONS}", "--model-control-mode=explicit",
        "--load-model=*", *flags,
    ]  # fmt: skip
    return command, {
        "PYTHONPATH": str(packages), "LD_LIBRARY_PATH": str(packages / "nvidia_pytriton.libs"),
        "PATH": f"{python.parent}:{os.environ['PATH']}",
    }  # fmt: skip


def _triton_version() -> str:
    wheel = environments.versions_of("pytriton")["nvidia-pytriton"]
    return f"2.51.0 (24.10; nvidia-pytriton {wheel})"


def _app(name: str) -> Callable[[Path, int], Command]:
    def start(folder: Path, port: int) -> Command:
        return [environments.python_of(name), HERE / "servers" / f"{name}_app.py", folder, str(port)], {}

    return start


def _package(name: str) -> Callable[[], str]:
    return lambda: environments.versions_of(name)[name]


SUBJECTS = (
    Subject("Edgewright", _ours, lambda: version("edgewright"), ("trace", "logging")),
    Subject("Triton", _triton, _triton_version),
    Subject("KServe", _app("kserve"), _package("kserve")),
    Subject("KServe, binary", _app("kserve"), _package("kserve"), ("binary_tensor_data",)),
    Subject("MLServer", _app("mlserver"), _package("mlserver")),
)
