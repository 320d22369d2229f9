"""The protocol's repository and shared-memory calls: what they are asked, checked, and whom it is handed to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from edgewright.core.errors import EdgewrightError
from edgewright.core.strict import parse_json
from edgewright.runtime.faults import BadRequest, Fault, NotFound, Unsupported, status_of
from edgewright.runtime.lanes.http import Answer, Reply, fault_reply
from edgewright.runtime.lanes.stream import Body
from edgewright.runtime.oip.regions import Regions
from edgewright.runtime.repository import Entry, Repository

Done = Callable[[EdgewrightError | None], None]
Later = Callable[[Callable[[], None]], None]
_MOST = 16 * 1024
"""Bytes of what these calls are told. It is read on the loop, strictly: 10 ms for 64 KiB."""


class Control(Protocol):
    """Loads and unloads models by name. ``done`` is called once, from any thread, with what went wrong or None."""

    def load(self, name: str, done: Done) -> None:
        """Load the model, or load it again."""
        ...

    def unload(self, name: str, done: Done) -> None:
        """Let the model answer what it was asked, and no more."""
        ...

    def shadow(self, name: str, path: Path, share: float, done: Done) -> None:
        """Run the bundle in that folder beside the model."""
        ...

    def unshadow(self, name: str, done: Done) -> None:
        """End the model's shadow, if it has one."""
        ...


def read_object(body: Body) -> dict[str, Any]:
    """A request's JSON object; no body is an empty one. Raises BadRequest."""
    raw = bytes(body[: _MOST + 1])
    if not raw.strip():
        return {}
    try:
        told = parse_json(raw, _MOST)
    except ValueError as error:
        raise BadRequest(f"the request is no JSON that can be read: {error}") from error
    if not isinstance(told, dict):
        raise BadRequest("the request is not a JSON object")
    return told


def index(repository: Repository, body: Body) -> list[dict[str, Any]]:
    """All that is known, or what is ready only; the digest as a parameter, which is where the protocol has room for
    what is a server's own. Raises BadRequest."""
    ready = read_object(body).get("ready", False)
    if not isinstance(ready, bool):
        raise BadRequest("'ready' is true or false")
    return [_told(entry) for entry in repository.index() if not ready or entry.state == "READY"]


def _told(entry: Entry) -> dict[str, Any]:
    told = dict(vars(entry))
    digest = told.pop("digest")
    return {**told, "parameters": {"digest": digest}} if digest else told


def change(
    control: Control, name: str, verb: str, body: Body, answer: Answer, later: Later
) -> None:  # fmt: skip
    """Load or unload (``verb``), and answer when it is done. Raises BadRequest, Unsupported."""
    parameters = read_object(body).get("parameters", {})
    if not isinstance(parameters, dict):
        raise BadRequest("'parameters' is not an object")
    odd = [key for key in parameters if key == "config" or key.startswith("file:")]
    if odd:
        raise Unsupported(f"{odd[0][:60]!r} is not taken: a model is served as it lies in the folder")
    work = control.load if verb == "load" else control.unload
    work(name, told_when_done(answer, later))


def told_when_done(answer: Answer, later: Later) -> Done:
    """Answers on the loop's thread with what went wrong, or that it is done."""
    return lambda error: later(lambda: answer(_done(error)))


def _done(error: EdgewrightError | None) -> Reply:
    if error is None:
        return 200, b"", b""
    return fault_reply(status_of(error), str(error), error.retry_s if isinstance(error, Fault) else 0)


def register(regions: Regions | None, name: str, body: Body) -> None:
    """Register a region of system shared memory. Raises BadRequest, Unsupported."""
    told = read_object(body)
    key, offset, size = told.get("key"), told.get("offset", 0), told.get("byte_size")
    if not isinstance(key, str) or type(offset) is not int or type(size) is not int:
        raise BadRequest("a region takes 'key' (a name), 'byte_size' and 'offset' (whole numbers)")
    offered(regions).register(name, key, offset, size)


def offered(regions: Regions | None) -> Regions:
    """The regions, where clients may register any. Raises Unsupported."""
    if regions is None:
        raise Unsupported("shared memory is for clients on this machine, and this server listens beyond it")
    return regions


def status(regions: Regions | None, name: str = "") -> list[dict[str, Any]]:
    """What is registered. Raises NotFound."""
    if regions is None:
        if name:
            raise NotFound(f"no shared memory region is named {name[:100]!r}")
        return []
    return [
        {"name": one.name, "key": one.key, "offset": one.offset, "byte_size": one.size} for one in regions.status(name)
    ]
