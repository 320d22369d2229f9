"""Control: the running agent's own small socket, so that nobody needs to stop it to bring a bundle, go back, or look.

    STATE/run/agent.sock    mode 0600: whoever may use it is who may write the state folder, and root

One JSON line each way, then the end: ``{"do": "status"}``, ``{"do": "update", "bundle": "/path"}`` or ``{"do":
"rollback"}``; what comes back has ``error`` and ``exit_status``, or what was asked for. An order that changes something
is answered when it is over, and goes on when nobody waits for it any more.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgewright.agent.runtime import LONGEST, room, rooms
from edgewright.core.closing import Closing
from edgewright.core.errors import EdgewrightError, InputError, StorageError
from edgewright.core.files import storage
from edgewright.core.strict import parse_json

SOCKET = "agent.sock"
ASKED_BYTES, TOLD_BYTES = 8 * 2**10, 256 * 2**10
_PATIENCE_S, _MOST = 10.0, 8
_log = logging.getLogger("edgewright.agent")


class Busy(EdgewrightError):  # noqa: N818 - reads as what it says
    """Somebody else's order is being carried out."""


class Told(EdgewrightError):  # noqa: N818 - reads as what it says
    """What the running agent answered instead; ``exit_status`` is its own."""

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class Control(Closing):
    """Of an agent on ``state``, which it holds. ``answer(asked)`` gives what is told; it is called on a thread of its
    own for each caller, a few at a time, and may take long. Raises StorageError."""

    def __init__(self, state: Path, answer: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
        self._answer, self._path = answer, room(state) / SOCKET
        self._callers = threading.BoundedSemaphore(_MOST)
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            with storage(self._path):
                self._path.unlink(missing_ok=True)  # of an agent that was killed: who holds the folder is alone
                self._listening.bind(str(self._path))  # nobody else can come in before it is 0600: the folder is 0700
                self._path.chmod(0o600)
                self._listening.listen(_MOST)
        except BaseException:
            self._listening.close()
            raise
        self._thread = threading.Thread(target=self._run, daemon=True, name="control")
        self._thread.start()

    def close(self) -> None:
        """Listen no more. Those that wait for their answer are not waited for."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        while True:
            try:
                caller, _ = self._listening.accept()
            except OSError:
                return
            if not self._callers.acquire(blocking=False):
                caller.close()
                continue
            threading.Thread(target=self._hear, args=(caller,), daemon=True, name="control-caller").start()

    def _hear(self, caller: socket.socket) -> None:
        try:
            with caller:
                told = self._told(_line(caller, ASKED_BYTES))
                caller.settimeout(_PATIENCE_S)
                caller.sendall(json.dumps(told).encode() + b"\n")
        except OSError as error:
            _log.info("whoever asked the agent went away: %s", error)
        finally:
            self._callers.release()

    def _told(self, line: bytes) -> Mapping[str, Any]:
        try:
            asked = parse_json(line, ASKED_BYTES)
            if not isinstance(asked, dict):
                raise ValueError("it is no object")
            return self._answer(asked)
        except ValueError as error:
            return {"error": f"the agent cannot read that: {error}", "exit_status": 2}
        except EdgewrightError as error:
            return {"error": str(error), "exit_status": error.exit_status}
        except Exception:  # noqa: BLE001 - whoever asks must hear something, and the agent goes on
            _log.exception("an order has a fault")
            return {"error": "the agent has a fault; its log tells more", "exit_status": 1}


def ask(state: Path, **asked: Any) -> dict[str, Any] | None:
    """What the agent that runs on ``state`` answers; None where none runs. Raises Told, StorageError."""
    try:
        line = None
        for folder in rooms(state, state.stat().st_uid):
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
                line = line or _asked(folder / SOCKET, asked)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise StorageError(f"{state} is another user's; run this as root, or as the user that the agent is") from error
    except OSError as error:
        raise StorageError(f"the agent on {state} does not answer: {error}; look into its log") from error
    if line is None:
        return None
    try:
        told = parse_json(line, TOLD_BYTES)
    except ValueError as error:
        raise StorageError("the agent ended before it answered; ask again for its status") from error
    if not isinstance(told, dict) or "error" in told:
        told = told if isinstance(told, dict) else {}
        raise Told(str(told.get("error", "the agent's answer cannot be read")), int(told.get("exit_status", 1)))
    return told


def _asked(path: Path, asked: Mapping[str, Any]) -> bytes:
    """The answer's line. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as one:
        if len(os.fsencode(path)) > LONGEST:
            raise FileNotFoundError(path)
        one.settimeout(_PATIENCE_S)
        one.connect(str(path))
        one.sendall(json.dumps(asked).encode() + b"\n")
        one.settimeout(None)  # a trial takes minutes; who does not want to wait ends us
        return _line(one, TOLD_BYTES)


def _line(one: socket.socket, most: int) -> bytes:
    """What came before the first line's end, or the connection's. Raises OSError, ValueError for more than ``most``."""
    data = bytearray()
    while b"\n" not in data and len(data) <= most:
        part = one.recv(65536)
        if not part:
            break
        data += part
    return bytes(data).partition(b"\n")[0]


class _Order:
    """One that waits, or is carried out."""

    def __init__(self, asked: Mapping[str, Any]) -> None:
        self.asked, self.over = asked, threading.Event()
        self.ended: Mapping[str, Any] | EdgewrightError = {}


class Orders:
    """What callers want done, one at a time: ``order`` on their threads, ``end`` on the one that steps the machine.
    ``wake`` is called when there is one."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake, self._lock = wake, threading.Lock()
        self._now: _Order | None = None
        self._closed = False

    @property
    def waiting(self) -> Mapping[str, Any] | None:
        """The order that is to be carried out, or is."""
        now = self._now
        return None if now is None else now.asked

    def order(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have it carried out; how it ended. Raises Busy, and what carrying it out raised."""
        mine = _Order(dict(asked))
        with self._lock:
            if self._now is not None or self._closed:
                raise Busy("the agent carries out another order, or is stopping; edgewright agent status tells more")
            self._now = mine
        self._wake()
        mine.over.wait()
        if isinstance(mine.ended, EdgewrightError):
            raise mine.ended
        return mine.ended

    def end(self, told: Mapping[str, Any] | EdgewrightError) -> None:
        """It is over."""
        with self._lock:
            now, self._now = self._now, None
        if now is not None:
            now.ended = told
            now.over.set()

    def close(self) -> None:
        """Nothing is carried out any more."""
        with self._lock:
            self._closed = True
        self.end(StorageError("the agent was stopped meanwhile; give the order again when it runs"))


def path_of(asked: Mapping[str, Any]) -> Path:
    """The bundle that an order names. Raises InputError: the agent may see less of the disk than who asks."""
    path = Path(str(asked.get("bundle", "")))
    if not path.is_absolute():
        raise InputError("name the bundle by its whole path")
    try:
        path.stat()
        if not os.access(path, os.R_OK):
            raise PermissionError
    except OSError as error:
        raise InputError(
            f"the running agent cannot read {path} (its service sees neither /home nor this user's /tmp); "
            "copy it below /srv or /media, where all may read it"
        ) from error
    return path
