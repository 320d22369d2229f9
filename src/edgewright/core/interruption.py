"""Ending a call into native code that would go on for longer than anybody wants to wait."""

from __future__ import annotations

import select
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Watch:
    """``late``: the time was over and the call was told to end."""

    late: bool = False


@contextmanager
def interrupting(stop: Callable[[], None], seconds: float) -> Iterator[Watch]:
    """Call ``stop``, from another thread, when the block takes longer than ``seconds`` or a signal comes meanwhile.

    Python runs its signal handlers between two of its own instructions, so Ctrl-C waits for a native call to come back.
    The operating system's wake-up descriptor does not wait; it is used where nobody else uses it, in the main thread.
    """
    watch, over = Watch(), threading.Event()
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    main = threading.current_thread() is threading.main_thread()
    before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False) if main else -1
    if before != -1:  # an event loop's: it is left to it
        signal.set_wakeup_fd(before)

    def wait() -> None:
        called = select.select([ours], [], [], seconds)[0]
        if not over.is_set():
            watch.late = not called
            stop()

    thread = threading.Thread(target=wait, name="edgewright-watch", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        if main and before == -1:
            signal.set_wakeup_fd(-1)
        theirs.send(b"\0")
        thread.join()
        ours.close()
        theirs.close()
