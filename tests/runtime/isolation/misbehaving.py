"""An engine of somebody else's that does whatever its model says, when it opens it and when it runs it."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np

from edgewright.core.errors import EngineError
from edgewright.engines.session import BaseSession


def abort():
    sys.stderr.write("much noise\nthe plugin is not amused\n")
    sys.stderr.flush()
    os.abort()


def crash():
    ctypes.string_at(0)


def leave():
    os._exit(7)


def hang():
    while True:
        signal.pause()


def scribble():
    """Answer with what is no answer, over the very socket."""
    for place in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(place.name))) as sock:
            sock.send(b'[["y","float32",[1000000],0,4000000]]')
    hang()


def shout():
    with contextlib.suppress(OSError):
        for _ in range(1000):
            os.write(2, b"x" * 1024)


def escape():
    """What a worker that is shut in must not be able to do."""
    done = []
    for name, attempt in {
        "network": lambda: socket.create_connection(("127.0.0.1", 9), 1),
        "programs": lambda: subprocess.run(["/bin/true"], check=True),
        "files": lambda: Path("/etc/passwd").read_bytes(),
        "parent": lambda: os.kill(os.getppid(), 0),
    }.items():
        try:
            attempt()
        except PermissionError:
            continue
        except OSError:
            pass
        done.append(name)
    raise EngineError(f"escaped: {done}, descriptors: {len(list(Path('/proc/self/fd').iterdir()))}")


DEEDS = {f.__name__: f for f in (abort, crash, leave, hang, scribble, shout, escape)}


class Session(BaseSession):
    def __init__(self, signature, deed):
        super().__init__(signature, "cpu", "cpu")
        self.deed = deed

    def _run(self, inputs):
        x = inputs["x"]
        if x.flat[0] < 0:
            DEEDS[self.deed]()
        return {"y": np.array(2 * x)}

    def _release(self):
        pass


class Misbehaving:
    """The model's bytes: ``open abort``, ``run crash``: when, and what."""

    name = "misbehaving"

    def version(self):
        return "1.0"

    def providers(self):
        return ("cpu",)

    def open(self, model, options):
        when, deed = model.data.decode().split()
        if when == "open":
            DEEDS[deed]()
        return Session(model.signature, deed)
