"""Beside: a Python file that is in no package, as a module: what test modules share, and scripts under test."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def beside(path: Path, name: str = "") -> ModuleType:
    """The file as a module, run once in a process however many ask. ``name``: as others import it ("": one made of its
    path). Raises what it raises."""
    name = name or "beside_" + "_".join(filter(str.isidentifier, path.resolve().with_suffix("").parts))
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]
