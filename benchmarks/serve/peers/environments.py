"""An environment of its own for every peer, made from PyPI on first use and kept under ``.envs``."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLACE = HERE.parent / ".envs"
SYSTEM = {"pytriton": "/usr/bin/python3.11"}
"""PyTriton embeds the interpreter's shared library, which Debian's own Python has and others may not."""


def python_of(name: str) -> Path:
    """The interpreter of the environment that ``name``.txt describes. Raises CalledProcessError, OSError."""
    wanted = HERE / f"{name}.txt"
    folder, stamp = PLACE / name, PLACE / f"{name}.stamp"
    base = SYSTEM.get(name, sys.executable)
    digest = hashlib.sha256(wanted.read_bytes() + f"{sys.version_info[:2]}{base if name in SYSTEM else ''}".encode())
    python = folder / "bin" / "python"
    if stamp.is_file() and stamp.read_text() == digest.hexdigest() and python.exists():
        return python
    print(f"making the environment of {name} in {folder}", file=sys.stderr)
    if folder.exists():
        shutil.rmtree(folder)
    PLACE.mkdir(exist_ok=True)
    subprocess.run([base, "-m", "venv", folder], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", wanted], check=True)
    stamp.write_text(digest.hexdigest())
    return python


def versions_of(name: str) -> dict[str, str]:
    """Release of each package that ``name``.txt names, as installed."""
    names = [line.split("=")[0].split(">")[0].strip() for line in (HERE / f"{name}.txt").read_text().splitlines()]
    wanted = [n for n in names if n and not n.startswith("#")]
    code = "import importlib.metadata as m, sys; print(*(m.version(n) for n in sys.argv[1:]))"
    told = subprocess.run([python_of(name), "-c", code, *wanted], capture_output=True, text=True, check=True)
    return dict(zip(wanted, told.stdout.split(), strict=True))
