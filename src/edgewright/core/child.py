"""Run a function in a child process of its own: isolated, bounded in time and memory, answering in JSON.

For work that may crash, hang or execute what it reads (loading formats that carry code, peak memory, cold start).
The function is named ``module:function``, takes and returns JSON values; files travel by path. It must be one of ours:
the name never comes from outside.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from edgewright.core.errors import EdgewrightError, InputError

_MARK = "edgewright-child-result:"


def run_child(function: str, argument: Any, *, timeout_s: float, memory_bytes: int | None = None) -> Any:
    """The JSON value ``function(argument)`` returns in a fresh interpreter.

    Raises the EdgewrightError family the function raised, or EdgewrightError when the child died, ran past
    ``timeout_s`` or went over ``memory_bytes`` of address space.
    """
    environment = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR")}
    environment["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    environment["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory(prefix="edgewright-child-") as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "edgewright.core.child", function, str(memory_bytes or 0)],
                input=json.dumps(argument).encode(), capture_output=True, timeout=timeout_s, cwd=folder,
                env=environment, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise EdgewrightError(f"{function} was stopped after {timeout_s:g} s in its child process") from error
    for line in reversed(done.stdout.decode(errors="replace").splitlines()):
        if line.startswith(_MARK):
            answer = json.loads(line[len(_MARK) :])
            if "error" in answer:
                raise (InputError if answer["family"] == "InputError" else EdgewrightError)(answer["error"])
            return answer["result"]
    last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
    raise EdgewrightError(f"{function} died in its child process (status {done.returncode}): {last[:300]}")


def _serve(function: str, memory_bytes: int) -> None:
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    argument = json.loads(sys.stdin.buffer.read())
    module, _, attribute = function.partition(":")
    try:
        answer: dict[str, Any] = {"result": getattr(importlib.import_module(module), attribute)(argument)}
    except EdgewrightError as error:
        answer = {"error": str(error), "family": type(error).__name__}
    except MemoryError:
        answer = {"error": f"needs more than the {memory_bytes:,} bytes of memory allowed", "family": "EdgewrightError"}
    sys.stdout.flush()
    os.write(1, f"\n{_MARK}{json.dumps(answer)}\n".encode())


if __name__ == "__main__":
    sys.path[:] = [p for p in sys.path if p and Path(p) != Path.cwd()]
    _serve(sys.argv[1], int(sys.argv[2]))
