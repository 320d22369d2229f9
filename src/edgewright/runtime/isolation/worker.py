"""The worker process: ``python -m edgewright.runtime.isolation.worker HANDLE PARENT``.

It is sent an order (engine, options, model), opens the model, and answers headers with headers until its parent ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewright.core import sandbox
from edgewright.core.child import readable_folders
from edgewright.core.errors import EdgewrightError, InputError, MissingExtra
from edgewright.core.model import Model, Signature
from edgewright.core.session import EngineOptions, Session
from edgewright.runtime.isolation.channel import Channel, ClosedError
from edgewright.runtime.isolation.regions import take_region
from edgewright.runtime.isolation.tensors import Reader, TooSmallError, Writer

_CHOSEN_FIRST = "500"
"""To the kernel's out-of-memory killer (-1000 to 1000): a worker can be replaced, the server cannot."""
_FILE_BYTES = 8 * 2**30


def main(handle: int, parent: int) -> None:
    """Serve until the parent ends."""
    sandbox.die_with_parent(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_CHOSEN_FIRST)
    channel = Channel(socket.socket(fileno=handle))
    with contextlib.suppress(ClosedError, KeyboardInterrupt):
        order = json.loads(channel.receive())
        model = _model(order, channel.receive_handle())
        layers: list[str] = []
        if order["confined"]:
            resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
            layers = sandbox.confine(readable_folders(), [Path.cwd(), Path("/dev/null")])
            sandbox.die_with_parent(parent)  # new credentials reset it
        session = _open(channel, model, order, layers)
        if session is not None:
            del model
            _serve(channel, session)


def _model(order: Mapping[str, Any], handle: int) -> Model:
    files = {}
    with os.fdopen(handle, "rb") as stream:
        stream.seek(0)
        for name, size in order["files"]:
            files[name] = stream.read(size)
    return Model(order["format"], order["main"], files, Signature.from_json(order["signature"]))


def _open(channel: Channel, model: Model, order: Mapping[str, Any], layers: list[str]) -> Session | None:
    from edgewright.engines import engine, open_session

    try:
        if order["memory_bytes"]:
            engine(
                order["engine"]
            ).providers()  # loads the library: the limit is for the model, not for what every worker maps
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            limit = pages * resource.getpagesize() + order["memory_bytes"]
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        session = open_session(model, order["engine"], EngineOptions(**order["options"]), order["run_bytes"])
    except EdgewrightError as error:
        channel.send(_failed(error))
        return None
    except MemoryError:
        channel.send(_told(error="the model needs more memory than it is allowed"))
        return None
    note = getattr(session, "note", "")
    facts = {"requested": session.requested, "provider": session.provider, "note": note, "layers": layers}
    channel.send(_told(ready=facts | {"signature": session.signature.to_json()}))
    return session


def _serve(channel: Channel, session: Session) -> None:
    reader, writer = Reader(), Writer()
    while True:
        message = channel.receive()
        if message == b"in":
            reader.attach(take_region(channel.receive_handle()))
        elif message == b"out":
            writer.attach(take_region(channel.receive_handle()))
        else:
            channel.send(_answer(channel, session, reader, writer, message))


def _answer(channel: Channel, session: Session, reader: Reader, writer: Writer, header: bytes) -> bytes:
    try:
        outputs = session.infer(reader.read(header))
        try:
            return writer.write(outputs)
        except TooSmallError as small:
            channel.send(_told(need=small.need))
            channel.receive()  # "out"
            writer.attach(take_region(channel.receive_handle()))
            return writer.write(outputs)
    except MemoryError:
        return _told(error="a run needs more memory than the model is allowed")
    except (EdgewrightError, ValueError) as error:
        return _failed(error)


def _failed(error: Exception) -> bytes:
    family = InputError if isinstance(error, MissingExtra) else type(error)
    return _told(error=str(error)[:2000], family=family.__name__)


def _told(**facts: Any) -> bytes:
    return json.dumps(facts).encode()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
