"""gRPC's calls in the access log: unary ones, and each request of a stream."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from edgewright.core.errors import EdgewrightError
from edgewright.runtime.accesslog import tell
from edgewright.runtime.faults import Fault, status_of
from edgewright.runtime.lanes.rpc.statuses import status
from edgewright.runtime.lanes.rpc.tensors import texts

Told = Callable[[str, str, float, EdgewrightError | None, int], None]
"""Writes the line of one request: model, version, when it began, what went wrong, bytes of the reply."""
_NAME = {"RepositoryModelLoad": (2, 0), "RepositoryModelUnload": (2, 0), "TraceSetting": (2, 0)}
"""The fields in which calls name a model and a version, where these are not the first two."""


def logged_call(name: str, work: Callable[[bytes, Any], bytes]) -> Callable[[bytes, Any], bytes]:
    """``work``, its calls in the log."""
    fields = _NAME.get(name, (1, 2) if name.startswith("Model") else (0, 0))

    def answer(raw: bytes, context: Any) -> bytes:
        begin, size = time.perf_counter(), 0
        wrong: EdgewrightError | None = Fault()  # what nobody thought of
        try:
            made = work(raw, context)
            wrong, size = None, len(made)
            return made
        except EdgewrightError as error:
            wrong = error
            raise
        finally:
            model, version = texts(raw, fields)
            _tell(context, name, model, version, begin, wrong, size)

    return answer


def logged_stream(context: Any) -> Told:
    """What a stream calls for each of its requests."""

    def told(model: str, version: str, begin: float, error: EdgewrightError | None, size: int) -> None:
        _tell(context, "ModelStreamInfer", model, version, begin, error, size)

    return told


def _tell(
    context: Any, call: str, model: str, version: str, begin: float, error: EdgewrightError | None, size: int
) -> None:
    # "ipv4:127.0.0.1:5000", "ipv6:%5B::1%5D:5000": as HTTP's peers, without the port.
    peer = unquote(context.peer().partition(":")[2]).rpartition(":")[0].strip("[]")
    code = "OK" if error is None else status(error).name
    tell("grpc", peer or "unix", call, begin, 200 if error is None else status_of(error), size,
         model=model, version=version, code=code)  # fmt: skip
