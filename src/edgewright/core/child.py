"""Run a function in a child process of its own: isolated, bounded in time, memory and output, answering in JSON.

For work that may crash, hang or execute what it reads (loading formats that carry code, peak memory, cold start).
The function is named ``module:function``, takes and returns JSON values; files travel by path. It must be one of ours:
the name never comes from outside. The child ends when its parent does.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import resource
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgewright.core import sandbox as walls
from edgewright.core.errors import DiskFull, EdgewrightError, EngineError, InputError, StorageError, TrustError
from edgewright.core.files import scratch
from edgewright.core.priority import Priority, lower, turns

_ANSWER_LIMIT = 16 * 2**20
_PATIENCE_S = 0.25
_TAIL = 8192
_FILE_LIMIT = 8 * 2**30
_KEPT = ("PATH", "HOME", "XDG_CONFIG_HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR")
# What the interpreter and its libraries look at, beside themselves; nothing of the user's.
_SYSTEM = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/etc/ld.so.cache",
    "/etc/localtime", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system", "/sys/fs/cgroup",
    "/dev/urandom", "/dev/zero",
)  # fmt: skip


class ChildError(EdgewrightError):
    """The child died, ran past its time or its memory, or answered in no way we can read."""


class ChildStarved(ChildError):  # noqa: N818 - reads as what it says
    """Others left the child, which was to take only what nobody wants, next to no time of a CPU."""


class ChildLost(ChildError):  # noqa: N818 - reads as what it says
    """The child died: of what it did, or because somebody or the kernel ended it, and then it may do better later."""


def run_child(
    function: str,
    argument: Any,
    *,
    timeout_s: float,
    memory_bytes: int | None = None,
    sandbox: bool = False,
    folder: Path | None = None,
    reads: Sequence[Path] = (),
    stop: int | None = None,
    priority: Priority = "",
) -> Any:
    """The JSON value ``function(argument)`` returns in a fresh interpreter whose working folder is ``folder``.

    ``folder`` defaults to an empty one that is gone afterwards. With ``sandbox`` the child has no network, starts no
    program, reads Python's own folders, ``reads`` and ``folder``, and writes to ``folder`` alone (``core.sandbox``);
    what it answers is still whatever a hostile file made it say, so check it. A layer that the kernel lacks is logged
    as a warning.

    ``stop``: a descriptor; the child is ended as soon as something can be read from it. ``priority``: see
    ``core.priority``.

    Raises the EdgewrightError family the function raised, or ChildError when the child ran past ``timeout_s``, went
    over ``memory_bytes`` of address space or was ended by ``stop``, ChildLost when it died, and ChildStarved when it
    was to be "idle" and others leave it no time.
    """
    with contextlib.ExitStack() as stack:
        place = (folder or stack.enter_context(scratch("edgewright-child"))).resolve()
        shut = (place, *(path.resolve() for path in reads)) if sandbox else ()
        lines, status, last = _run(function, argument, timeout_s, memory_bytes or 0, shut, place, stop, priority)
    if sandbox and lines:
        holes = walls.lacking(lines[0].get("layers", ()))
        if holes:
            logging.getLogger("edgewright").warning(
                "this kernel cannot shut a child process off from %s; read only model files you trust here",
                " and ".join(holes),
            )
    answer = lines[-1] if lines else {}
    if "error" in answer:
        families = {kind.__name__: kind for kind in (InputError, DiskFull, StorageError, TrustError, EngineError)}
        raise families.get(str(answer.get("family")), EdgewrightError)(plain(str(answer["error"])))
    if "result" not in answer:
        raise ChildLost(f"{function} died in its child process ({_cause(status)}): {plain(last)}")
    return answer["result"]


def _run(
    function: str,
    argument: Any,
    timeout_s: float,
    memory_bytes: int,
    shut: Sequence[Path],
    place: Path,
    stop: int | None,
    priority: Priority,
) -> tuple[list[dict[str, Any]], int, str]:
    """Start, feed, listen, end: the lines of the answer, the exit status and the last line of standard error."""
    answers, ours = os.pipe()
    # -P: the child's folder holds files named by others, which must never be imported.
    command = [sys.executable, "-P", "-m", "edgewright.core.child", function]
    command += [str(memory_bytes), str(ours), str(os.getpid())]
    command += [str(int(timeout_s) + 1), *map(str, shut[1:])] if shut else []
    with tempfile.TemporaryFile() as given, os.fdopen(answers, "rb", buffering=0) as listening:
        try:
            given.write(json.dumps(argument).encode())
            given.seek(0)
            child = subprocess.Popen(
                command, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=place,
                env=environment(place if shut else None), pass_fds=(ours,), start_new_session=True, bufsize=0,
            )  # fmt: skip
        finally:
            os.close(ours)
        lower(child.pid, priority)
        patience = _PATIENCE_S if priority == "idle" else None
        try:
            answer, noise = _listen(child, listening, function, timeout_s, stop, patience)
        finally:
            _end(child)
    last = (noise.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
    try:
        lines = [json.loads(line) for line in answer.splitlines()]
    except (ValueError, RecursionError) as error:
        raise ChildError(f"{function} gave an answer that cannot be read: {plain(last)}") from error
    return [line for line in lines if isinstance(line, dict)], child.returncode, last


def _listen(
    child: subprocess.Popen[bytes], answers: Any, function: str, timeout_s: float, stop: int | None,
    patience_s: float | None,
) -> tuple[bytes, bytes]:  # fmt: skip
    """All of the answer and the tail of the noise, until both ends close. Raises ChildError past a bound.

    ``patience_s``: how often to look whether it is starved (None: it may be)."""
    deadline = time.monotonic() + timeout_s
    answer, noise = bytearray(), bytearray()
    assert child.stdout is not None  # noqa: S101 - narrowing for the type checker; it was opened as a pipe
    with selectors.DefaultSelector() as waiting:
        for stream in (answers, child.stdout):
            waiting.register(stream, selectors.EVENT_READ)
        if stop is not None:
            waiting.register(stop, selectors.EVENT_READ)
        while len(waiting.get_map()) > (stop is not None):
            left = deadline - time.monotonic()
            ready = waiting.select(min(left, patience_s or left)) if left > 0 else []
            if not ready and time.monotonic() >= deadline:
                raise ChildError(f"{function} was stopped after {timeout_s:g} s in its child process")
            if not ready and patience_s and turns(child.pid).starved:
                raise ChildStarved(f"{function} was given no time of a CPU in its child process")
            for key, _ in ready:
                if key.fd == stop:
                    raise ChildError(f"{function} was given up in its child process: nobody needs it any more")
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    waiting.unregister(key.fileobj)
                elif key.fileobj is answers:
                    answer += chunk
                else:
                    noise = (noise + chunk)[-_TAIL:]
            if len(answer) > _ANSWER_LIMIT:
                raise ChildError(f"{function} answered with more than {_ANSWER_LIMIT:,} bytes and was stopped")
    return bytes(answer), bytes(noise)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child's whole group and reap it. One that ended by itself keeps its own status."""
    if child.stdout is not None:
        child.stdout.close()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def environment(shut: Path | None) -> dict[str, str]:
    """Of a child of ours: little of the user's, and what lets it import us; ``shut``: the one folder it may touch."""
    chosen = {k: v for k, v in os.environ.items() if k in _KEPT}
    chosen |= {"PYTHONPATH": os.pathsep.join(_library_folders(shut is not None)), "OMP_NUM_THREADS": "1"}
    if shut:
        chosen |= {"HOME": str(shut), "TMPDIR": str(shut), "PYTHONDONTWRITEBYTECODE": "1"}
        chosen["MALLOC_ARENA_MAX"] = "2"  # address space is bounded; on many cores the default reserves it all
    return chosen


def _library_folders(shut: bool) -> list[str]:
    """Where modules come from. A shut-in child is not shown the folders the user works or lives in."""
    ours = Path(__file__).resolve().parents[2]
    found = [Path(p).resolve() for p in sys.path if p]
    if shut:
        script = getattr(sys.modules.get("__main__"), "__file__", None) or sys.argv[0]
        private = [Path(script).resolve().parent]
        with contextlib.suppress(OSError, RuntimeError):  # neither a home nor a working folder need exist
            private += [Path.home().resolve(), Path.cwd().resolve()]
        found = [p for p in found if p == ours or not any(q == p or q.is_relative_to(p) for q in private)]
    return [str(p) for p in dict.fromkeys([*found, ours])]


def readable_folders() -> list[Path]:
    """What the running interpreter and its libraries read, to be left open when it is shut in."""
    return [Path(p) for p in (*sys.path, sys.prefix, sys.base_prefix, sys.exec_prefix, *_SYSTEM)]


def plain(text: str) -> str:
    """One printable line of at most 300 characters: the text may come from a hostile file."""
    return "".join(c if c.isprintable() else " " for c in text).strip()[:300]


def _cause(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"


def _serve(function: str, memory_bytes: int, out: int, parent: int, reads: Sequence[str] | None) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    if reads is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_LIMIT, _FILE_LIMIT))
        layers = walls.confine([*readable_folders(), *map(Path, reads)], [Path.cwd(), Path("/dev/null")])
        walls.die_with_parent(parent)  # new credentials reset it
        os.write(out, json.dumps({"layers": layers}).encode() + b"\n")
    argument = json.loads(sys.stdin.buffer.read())
    module, _, attribute = function.partition(":")
    try:
        answer: dict[str, Any] = {"result": getattr(importlib.import_module(module), attribute)(argument)}
    except EdgewrightError as error:
        answer = {"error": str(error), "family": type(error).__name__}
    except MemoryError:
        answer = {"error": f"needs more than the {memory_bytes:,} bytes of memory allowed", "family": "EdgewrightError"}
    sys.stdout.flush()
    with os.fdopen(out, "wb") as stream:
        stream.write(json.dumps(answer).encode() + b"\n")


def _main() -> None:
    function, memory_bytes, out, parent, *rest = sys.argv[1:]
    walls.die_with_parent(int(parent))
    if rest:
        seconds = int(rest[0]) * (os.cpu_count() or 1)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    _serve(function, int(memory_bytes), int(out), int(parent), rest[1:] if rest else None)


if __name__ == "__main__":
    _main()
