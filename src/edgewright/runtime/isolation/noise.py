"""Noise: what a worker process prints, of which the last line may tell why it died."""

from __future__ import annotations

import fcntl
import os
import re

from edgewright.core.child import plain

_BYTES = 64 * 1024
_COLOURS = re.compile("\x1b\\[[0-9;]*m")


class Noise:
    """Memory of a fixed size, for a process's standard output and error: what it prints cannot fill the memory.

    Close it when the process has ended.
    """

    def __init__(self) -> None:
        self.handle = os.memfd_create("edgewright", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.handle, _BYTES)
        fcntl.fcntl(self.handle, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        self._old = 0

    def forget(self) -> None:
        """What was printed until now is not why it will die."""
        self._old = self._end()

    def last(self) -> str:
        """The last line since, "" if there is none."""
        raw = os.pread(self.handle, self._end() - self._old, self._old)
        lines = _COLOURS.sub("", raw.decode(errors="replace")).strip().splitlines()
        return plain(lines[-1]) if lines else ""

    def close(self) -> None:
        """Give the memory back."""
        os.close(self.handle)

    def _end(self) -> int:
        return os.lseek(self.handle, 0, os.SEEK_CUR)
