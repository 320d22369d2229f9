"""The stack on which signals are handled (sigaltstack(2)), kept as it was.

OpenVINO's CPU plugin (2026.4) gives the thread that compiles a model one of its own on machines with AMX, and takes its
memory back with the model, on whichever thread that is closed: the next signal, SIGTERM say, then ends the process.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator

_DISABLED = 2  # SS_DISABLE


class _Stack(ctypes.Structure):
    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Whatever the block does, this thread handles signals afterwards where it did before."""
    change = getattr(ctypes.CDLL(None), "sigaltstack", None)
    before = _Stack(None, _DISABLED, 0)
    if change is not None:
        change(None, ctypes.byref(before))
    try:
        yield
    finally:
        if change is not None:
            change(ctypes.byref(before), None)
