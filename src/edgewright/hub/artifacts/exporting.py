"""One export of a bundle, in a child process that is shut off: the bundle is a stranger's until it is verified there,
and what is in it stays one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgewright import exports
from edgewright.bundles import verify
from edgewright.core.child import ChildError, run_child
from edgewright.core.errors import EngineError, InputError
from edgewright.exports.making import zipped
from edgewright.trust import PublicKey

BUNDLE, OUT = "bundle.ewb", "export.zip"
_CHILD = "edgewright.hub.artifacts.exporting:make"
_TIMEOUT_S = 300.0
_SPARE_BYTES, _TIMES = 2 * 2**30, 6  # address space: the bundle, its files, the archive, and copies on the way
_MOST_FILES = 100_000


def exported(folder: Path, kind: str, signer: PublicKey) -> dict[str, Any]:
    """Make the export of ``folder / BUNDLE`` at ``folder / OUT``; its ``files`` (how many) and ``size_bytes`` unpacked.
    Raises InputError for a bundle that it cannot be made of, TrustError, StorageError."""
    argument = {"kind": kind, "signer": signer.raw.hex()}
    memory = _SPARE_BYTES + _TIMES * (folder / BUNDLE).stat().st_size
    try:
        told = run_child(
            _CHILD, argument, timeout_s=_TIMEOUT_S, memory_bytes=memory, sandbox=True, folder=folder, priority="low"
        )
    except (ChildError, EngineError) as error:
        raise InputError(f"the export cannot be made here ({error}); make it with: edgewright export") from error
    return _checked(told, folder / OUT)


def make(argument: dict[str, str]) -> dict[str, int]:
    """In the child, where no mode can be changed: the bytes that ``exports.export`` writes."""
    bundle = verify(BUNDLE, (PublicKey(bytes.fromhex(argument["signer"])),))
    made = exports.make(bundle, argument["kind"])
    Path(OUT).write_bytes(zipped(made.files))
    return {"files": len(made.files), "size_bytes": made.size_bytes}


def _checked(told: Any, path: Path) -> dict[str, Any]:
    """The child's answer, which may be the bundle's own words. Raises InputError."""
    if path.is_symlink() or not path.is_file():
        raise InputError("the export left no file; make it with: edgewright export")
    try:
        files, size = told["files"], told["size_bytes"]
        if type(files) is not int or type(size) is not int:
            raise ValueError("no numbers")
        if not 0 < files <= _MOST_FILES or not 0 < size <= path.stat().st_size:
            raise ValueError("no such numbers")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("the export's answer makes no sense; make it with: edgewright export") from error
    return {"files": files, "size_bytes": size}
