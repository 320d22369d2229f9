"""Power cuts and kills to order, for tests of what must survive them.

``life`` runs a function in a forked process whose calls of the operating system that change files are counted. At the
point asked for the process is killed by a real SIGKILL; or the power is cut: then the folder is left as a disk may have
it that keeps only what was synced (fsync(2): a file's content by its own, a name by its folder's), or, drawn by chance
for each folder and each sector of a file, what was not synced as well.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import stat
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

CALLS = ("write", "pwrite", "ftruncate", "posix_fallocate", "fsync", "fdatasync", "rename", "replace", "symlink",
         "unlink", "mkdir", "rmdir", "link")  # fmt: skip
"""What is counted, before and after each: two points a call."""
Mode = Literal["kill", "synced", "drawn"]
_AFTER = ".after-the-cut"


@dataclass
class Life:
    """How a process ended. ``points``: how many it passed; ``killed``: at the point asked for; ``wrong``: what it
    raised, "" when it came to its end; ``last``: the call at which it was killed."""

    points: int
    killed: bool
    wrong: str = ""
    last: str = ""


def life(folder: Path, deed: Callable[[], None], cut: int = 0, mode: Mode = "kill", seed: int = 0) -> Life:
    """Run ``deed`` in a forked process, which is cut off at its ``cut``-th point (0: never); ``folder`` is then as a
    disk would be. The caller must have no threads."""
    ours, theirs = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if not child:
        os.close(ours)
        _live(folder, deed, _Cutter(folder, cut, mode, random.Random(seed), theirs))  # noqa: S311 - no secret
    os.close(theirs)
    with os.fdopen(ours, "r") as stream:
        told = stream.read().splitlines()
    _, status = os.waitpid(child, 0)
    after = folder.with_name(folder.name + _AFTER)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    if killed and mode != "kill":
        shutil.rmtree(folder)
        after.rename(folder)
    last = told[-1].partition(" ")[2] if told else ""
    points = int(told[-1].partition(" ")[0]) if told else 0
    wrong = "" if killed or os.waitstatus_to_exitcode(status) == 0 else f"status {status}: {last}"
    return Life(points, killed, wrong, last)


def _live(folder: Path, deed: Callable[[], None], cutter: _Cutter) -> None:
    code = 1
    try:
        cutter.install()
        deed()
        cutter.tell("end")
        code = 0
    except BaseException as error:  # noqa: BLE001 - told to the parent, and nothing of it may run the parent's code
        traceback.print_exc()
        cutter.tell(f"{type(error).__name__}: {error}".replace("\n", " "))
    finally:
        os._exit(code)


@dataclass
class _Cutter:
    """Counts, and cuts. Holds what is on the disk for sure: content by inode, names by folder's inode."""

    folder: Path
    cut: int
    mode: Mode
    rng: random.Random
    pipe: int
    points: int = 0
    files: dict[int, bytes] = field(default_factory=dict)
    folders: dict[int, dict[str, Any]] = field(default_factory=dict)
    real: dict[str, Callable[..., Any]] = field(default_factory=dict)
    kept: list[int] = field(default_factory=list)

    def install(self) -> None:
        """Stand before the calls of ``os``, what lies in the folder being on the disk."""
        self.real = {name: getattr(os, name) for name in CALLS}
        if self.mode != "kill":
            for place, _, names in os.walk(self.folder):
                for path in (Path(place), *(Path(place, name) for name in names)):
                    if not path.is_symlink():
                        self._synced(os.open(path, os.O_RDONLY))
        for name in CALLS:
            setattr(os, name, self._watched(name))

    def tell(self, what: str) -> None:
        """To the parent."""
        self.real.get("write", os.write)(self.pipe, f"{self.points} {what}\n".encode())

    def _watched(self, name: str) -> Callable[..., Any]:
        def call(*given: Any, **more: Any) -> Any:
            self._point(f"before {name}")
            answer = self.real[name](*given, **more)
            if name in {"fsync", "fdatasync"} and self.mode != "kill":
                self._synced(os.open(f"/proc/self/fd/{given[0]}", os.O_RDONLY))
            self._point(f"after {name}")
            return answer

        return call

    def _point(self, what: str) -> None:
        self.points += 1
        if self.points == self.cut:
            self.tell(what)
            if self.mode != "kill":
                self._leave(self.folder, self.folder.with_name(self.folder.name + _AFTER))
            os.kill(os.getpid(), signal.SIGKILL)

    def _synced(self, handle: int) -> None:
        """What the open file or folder holds now is on the disk. It stays open, so that its inode means it alone."""
        facts = os.fstat(handle)
        self.kept.append(handle)
        if stat.S_ISDIR(facts.st_mode):
            self.folders[facts.st_ino] = _names(Path(f"/proc/self/fd/{handle}"))
        else:
            self.files[facts.st_ino] = Path(f"/proc/self/fd/{handle}").read_bytes()

    def _leave(self, live: Path, after: Path) -> None:
        """What a disk has after the cut, at ``after``."""
        now: dict[int, Path] = {}
        for place, _, names in os.walk(live):
            for path in (Path(place), *(Path(place, name) for name in names)):
                now[path.lstat().st_ino] = path
        self.real["mkdir"](after)
        self._leave_folder(live.stat().st_ino, live, after, now)

    def _leave_folder(self, inode: int, live: Path | None, after: Path, now: dict[int, Path]) -> None:
        names = self.folders.get(inode, {})
        if self.mode == "drawn" and live is not None and self.rng.random() < 0.5:
            names = _names(live)
        for name, told in names.items():
            kind, what = told
            path = now.get(what) if kind != "link" else None
            if kind == "link":
                self.real["symlink"](what, after / name)
            elif kind == "folder":
                self.real["mkdir"](after / name)
                self._leave_folder(what, path, after / name, now)
                (after / name).chmod(_mode(path, 0o700))
            else:
                with (after / name).open("wb") as stream:
                    stream.write(self._content(what, path))
                (after / name).chmod(_mode(path, 0o600))

    def _content(self, inode: int, live: Path | None) -> bytes:
        synced = self.files.get(inode, b"")
        if self.mode == "synced" or live is None:
            return synced
        whole = live.read_bytes()
        before, size = synced.ljust(len(whole), b"\0"), self.rng.choice([512, 37])
        parts = [self.rng.choice([before, whole])[at : at + size] for at in range(0, len(before), size)]
        return b"".join(parts)


def _mode(live: Path | None, gone: int) -> int:
    """Who may read it: as it was, or ``gone`` where it is not there any more."""
    return gone if live is None else stat.S_IMODE(live.lstat().st_mode)


def _names(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in os.listdir(folder):  # noqa: PTH208 - of an open folder
        path = folder / name
        facts = path.lstat()
        if stat.S_ISLNK(facts.st_mode):
            found[name] = "link", str(path.readlink())
        elif stat.S_ISDIR(facts.st_mode):
            found[name] = "folder", facts.st_ino
        elif stat.S_ISREG(facts.st_mode):
            found[name] = "file", facts.st_ino
    return found
