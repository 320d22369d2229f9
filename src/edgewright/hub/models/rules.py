"""Stages of a version's life, and which files are taken: from values to values."""

from __future__ import annotations

from pathlib import PurePosixPath

from edgewright.core.errors import InputError
from edgewright.hub.errors import Conflict

STAGES = ("registered", "validated", "optimized", "deployed", "monitored", "retired")
"""In the order in which they come. *Validated*: it was read and holds; *optimized*: a bundle was made of it;
*deployed*: a device runs that, or did; *monitored*: they tell of it; *retired*: nobody is to begin anything with it."""
MOVING = STAGES[1:4]
"""From which a version goes further by itself."""
KINDS = {"model": (".onnx", ".zip", ".pt2", ".skops"), "dataset": (".npz", ".zip")}
"""What is uploaded, and the names that files of it end with."""
MOST_BYTES = 8 * 2**30
_HINTS = {
    ".pt": "save the exported program: torch.export.save(torch.export.export(model.eval(), (example,)), 'model.pt2')",
    ".pth": "save the exported program: torch.export.save(torch.export.export(model.eval(), (example,)), 'model.pt2')",
    ".pkl": "save a scikit-learn model with skops.io.dump(model, 'model.skops')",
    ".joblib": "save a scikit-learn model with skops.io.dump(model, 'model.skops')",
    ".npy": "save all arrays in one file: np.savez('data.npz', x=x, labels=labels)",
    ".csv": "save all arrays in one file: np.savez('data.npz', x=x, labels=labels)",
}


def check_file(kind: str, name: str, length: int) -> str:
    """The name an uploaded file is kept under. Raises InputError for what is not taken, before a byte of it comes."""
    if kind not in KINDS:
        raise InputError(f"{kind[:40]!r} is nothing that is uploaded; there are: {', '.join(KINDS)}")
    plain = PurePosixPath(name.replace("\\", "/")).name
    if not plain or not plain.isprintable() or len(plain.encode()) > 200:
        raise InputError("the file needs a name that can be read, of at most 200 bytes")
    suffix = PurePosixPath(plain).suffix.lower()
    if suffix not in KINDS[kind]:
        hint = f"; {_HINTS[suffix]}" if suffix in _HINTS else ""
        what = "ONNX alone or zipped with its data" if kind == "model" else "arrays, or a folder of images zipped"
        raise InputError(f"a {kind} comes as {', '.join(KINDS[kind])} ({what}), not as {plain!r}{hint}")
    if not 0 < length <= MOST_BYTES:
        raise InputError("the file is empty" if not length else f"a file has at most {MOST_BYTES:,} bytes here")
    return plain


def stage_after(now: str, wanted: str) -> str:
    """The stage when ``wanted`` has happened: life goes on in one direction, and what is retired stays so."""
    return wanted if STAGES.index(wanted) > STAGES.index(now) else now


def check_stage(now: str, wanted: str, state: str) -> str:
    """The stage that a person chose: retired, or taken back from there. Raises InputError, Conflict."""
    if wanted not in STAGES:
        raise InputError(f"{wanted[:40]!r} is no stage; there are: {', '.join(STAGES)}")
    if state != "ready" and wanted != "retired":
        raise Conflict(f"the version is {state}; only one that was read and holds goes on")
    if wanted == now or wanted == "retired" or now == "retired":
        return wanted
    if STAGES.index(wanted) < STAGES.index(now):
        raise Conflict(f"the version is {now} already, and does not become {wanted} again; retire it instead")
    return wanted
