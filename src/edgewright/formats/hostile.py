"""Files whose reader is native code or may execute them: read in a child process that is shut in.

The file is copied into a folder of its own, the one place the child may touch. What comes back is checked like any
other input: a hostile file may have taken the child over.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgewright.core.child import ChildError, run_child
from edgewright.core.errors import InputError
from edgewright.core.files import read_file, safe_name
from edgewright.core.model import Signature

_BASE_BYTES = 6 * 2**30  # address space: libraries map far more than they use
_PER_BYTE = 12
_MAX_RANK = 64


@contextlib.contextmanager
def folder_of(files: Mapping[str, bytes]) -> Iterator[Path]:
    """A temporary folder that holds ``files``, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="edgewright-") as name:
        for where, data in files.items():
            path = Path(name) / safe_name(where)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        yield Path(name).resolve()


def collect(folder: Path, name: str, limit_bytes: int) -> bytes:
    """A file a child left in its folder. Raises InputError unless it is a plain one of at most ``limit_bytes``."""
    path = folder / name
    if path.is_symlink() or not path.is_file():
        raise InputError("the child process that read the model left no result; export the model again")
    return read_file(path, limit_bytes)


def ask(function: str, argument: Any, folder: Path, source: str, timeout_s: float = 300) -> Any:
    """What ``function(argument)`` answers in a child that sees ``folder`` and no more.

    Raises InputError that begins with ``source`` where the child died, ran too long or took too much memory.
    """
    held = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    limit = _BASE_BYTES + _PER_BYTE * held
    try:
        return run_child(function, argument, timeout_s=timeout_s, memory_bytes=limit, sandbox=True, folder=folder)
    except ChildError as error:
        raise InputError(f"{source} cannot be read safely ({error}); export the model again") from error
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


def checked_signature(value: Any, source: str) -> Signature:
    """A signature a child sent, every part of it of the type it must have. Raises InputError."""
    try:
        found = Signature.from_json(value)
        specs = (*found.inputs, *found.outputs)
        names = [spec.name for spec in specs]
        sizes = [size for spec in specs for size in spec.shape]
        ok = bool(found.inputs) and bool(found.outputs) and all(len(spec.shape) <= _MAX_RANK for spec in specs)
        ok &= all(name and name.isprintable() for name in names) and all(s.dtype.isidentifier() for s in specs)
        ok &= all(size is None or isinstance(size, str) or (type(size) is int and size >= 0) for size in sizes)
        ok &= len({s.name for s in found.inputs}) == len(found.inputs)
        ok &= len({s.name for s in found.outputs}) == len(found.outputs)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{source} has no signature that can be read; export the model again") from error
    if not ok:
        raise InputError(f"{source} takes no named input or gives no named output; export the model again")
    return found


def reason(error: BaseException) -> str:
    """A library's message in one line of at most 200 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]
