"""One worker process, seen from its parent: started, told to run, ended, and how it ended in words."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgewright.core.child import environment, plain
from edgewright.core.errors import EngineError, InputError, NeedsMemory, UnfitInput
from edgewright.core.files import scratch
from edgewright.core.model import Signature
from edgewright.core.strict import parse_json
from edgewright.formats.hostile import checked_signature
from edgewright.runtime.isolation.channel import ClosedError, SilentError, UnreadError, channels
from edgewright.runtime.isolation.noise import Noise
from edgewright.runtime.isolation.order import Order
from edgewright.runtime.isolation.regions import filled, make_region
from edgewright.runtime.isolation.tensors import HEADER_BYTES, Reader, TooSmallError, Writer

Arrays = Mapping[str, NDArray[Any]]
_MOST_BYTES = 4 * 2**30
"""Of one answer: what a worker asks for is no longer ours to trust."""


@dataclass(frozen=True)
class Facts:
    """What a worker told of the session it opened."""

    signature: Signature
    requested: str
    provider: str
    layers: tuple[str, ...]
    note: str = ""


class LostError(Exception):
    """The worker is of no more use; the message says why where the worker itself did not die of it."""


class GoneError(LostError):
    """The worker had ended before it was asked."""


class Worker:
    """``open`` and ``run`` by one thread at a time, ``kill`` by any, ``wait`` and ``close`` by the one that started it.

    The kernel ends the process with the *thread* that started it: that one must live as long.
    """

    def __init__(self, order: Order) -> None:
        self.ended = threading.Event()
        self.how = ""
        """How it ended; set before ``ended``."""
        self._order, self._reader, self._writer = order, Reader(), Writer()
        self._sizes = {"in": 0, "out": 0}
        self._outputs: list[str] = []
        self._last = b""
        with ExitStack() as stack:
            folder = stack.enter_context(scratch("edgewright-worker"))
            self._channel, theirs = channels()
            stack.callback(self._channel.close)
            stack.callback(theirs.close)
            self._noise = Noise()
            stack.callback(self._noise.close)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __package__ + ".worker", str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL, stdout=self._noise.handle, stderr=self._noise.handle, cwd=folder,
                env=_environment(order, folder), pass_fds=(theirs.fileno(),), start_new_session=True,
            )  # fmt: skip
            theirs.close()
            self._given_back = stack.pop_all()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def fileno(self) -> int:
        """A descriptor that hangs up when the worker dies."""
        return self._channel.fileno()

    def open(self, within_s: float) -> Facts:
        """Have it open its model. Raises EngineError with the engine's reason, LostError."""
        files = self._order.read()
        handle = filled(files.values())
        try:
            self._channel.send(json.dumps(self._order.to_json(files)).encode())
            self._channel.send(b"model", handle)
        except ClosedError as error:
            raise LostError from error
        finally:
            os.close(handle)
            del files
        told = self._told(self._hear(within_s))
        ready = told.get("ready")
        if not isinstance(ready, dict):
            raise LostError("it answered in no way that can be read")
        try:
            signature = checked_signature(ready.get("signature"), "the worker's session")
        except InputError as error:
            raise LostError(str(error)) from error
        self._outputs = [spec.name for spec in signature.outputs]
        self._noise.forget()
        layers = ready.get("layers")
        names = tuple(plain(str(layer)) for layer in layers) if isinstance(layers, list) else ()
        requested, provider, note = (plain(str(ready.get(key, ""))) for key in ("requested", "provider", "note"))
        return Facts(signature, requested, provider, names, note)

    def run(self, inputs: Arrays, within_s: float) -> dict[str, NDArray[Any]]:
        """Outputs by name, copies. Raises EngineError for a run that failed, LostError for a worker that did,
        GoneError where that was before it had heard of this run."""
        try:
            header = self._writer.write(inputs)
        except TooSmallError as small:
            self._enlarge("in", small.need)
            header = self._writer.write(inputs)
        except ValueError as error:
            raise InputError(str(error)) from error
        try:
            self._channel.send(header)
        except ClosedError as error:
            raise GoneError from error
        try:
            answer = self._hear(within_s)
        except LostError as lost:
            if isinstance(lost.__cause__, UnreadError):
                raise GoneError from lost
            raise
        if answer[:1] != b"[":
            need = self._told(answer).get("need")
            if type(need) is not int or not self._sizes["out"] < need <= _MOST_BYTES:
                raise LostError("it answered in no way that can be read")
            self._enlarge("out", need)
            answer = self._hear(within_s)
            if answer[:1] != b"[":
                self._told(answer)
                raise LostError("it answered in no way that can be read")
        try:
            views = self._reader.read(answer)
        except ValueError as error:
            raise LostError(f"its answer cannot be read: {error}") from error
        if answer != self._last:
            if list(views) != self._outputs:
                raise LostError("its answer has other outputs than the model")
            self._last = answer
        return {name: view.copy() for name, view in views.items()}

    def kill(self) -> None:
        """End it, whatever it does."""
        with contextlib.suppress(OSError):
            self._process.kill()

    def wait(self) -> None:
        """Wait for its end and note how it came."""
        status = self._process.wait()
        how = "it ended by itself" if status == 0 else f"it ended with status {status}"
        if status < 0:
            how = f"it was killed by {_signal(-status)}"
            if -status == signal.SIGKILL:
                how += " (out of memory, or somebody's kill)"
        last = self._noise.last() if status != -signal.SIGKILL else ""
        self.how = self._hinted(f"{how}: {last}" if last else how)
        self.ended.set()

    def close(self) -> None:
        """Give back what the ended worker held; when no other thread is in ``run``."""
        self._given_back.close()
        self._reader, self._writer = Reader(), Writer()

    def _hear(self, within_s: float) -> bytes:
        try:
            return self._channel.receive(within_s)
        except ClosedError as error:
            raise LostError from error
        except SilentError as error:
            raise LostError(f"it did not answer within {within_s:.3g} s") from error

    def _told(self, message: bytes) -> dict[str, Any]:
        """What a message says that is no answer. Raises EngineError when it tells of one."""
        try:
            told = parse_json(message, HEADER_BYTES)
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise LostError("it answered in no way that can be read")
        if "error" in told:
            families = {one.__name__: one for one in (InputError, NeedsMemory, UnfitInput)}
            family = families.get(str(told.get("family")), EngineError)
            raise family(self._hinted(plain(str(told["error"]))))
        return told

    def _hinted(self, said: str) -> str:
        """``said``, and the limit where it may be the reason."""
        limit = self._order.memory_bytes
        if limit and re.search("memory|alloc", said, re.IGNORECASE):
            said += f" (the model's process may take {limit / 1e6:,.0f} MB)"
        return said

    def _enlarge(self, side: str, need: int) -> None:
        """A larger region: for the largest so far, and half as much again."""
        memory, handle = make_region(max(need, self._sizes[side] * 3 // 2))
        try:
            self._channel.send(side.encode())
            self._channel.send(b"memory", handle)
        except ClosedError as error:
            raise (GoneError if side == "in" else LostError) from error
        finally:
            os.close(handle)
        self._sizes[side] = len(memory)
        (self._writer if side == "in" else self._reader).attach(memory)


def _environment(order: Order, folder: Path) -> dict[str, str]:
    chosen = environment(folder if order.confined else None)
    return chosen | {"TMPDIR": str(folder), "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
