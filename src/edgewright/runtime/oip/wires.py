"""Wires: how replies to inference requests are spelled over HTTP and in frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from edgewright.runtime.aside import Steps
from edgewright.runtime.failsafe import Safe
from edgewright.runtime.faults import BadRequest, Fault
from edgewright.runtime.lanes.frames import frame_fault, frame_head
from edgewright.runtime.lanes.http import JSON, Reply, fault_reply
from edgewright.runtime.lanes.outbox import Buffer
from edgewright.runtime.oip.messages import Plan, Wanted
from edgewright.runtime.oip.replies import bulky, reply, replying
from edgewright.runtime.oip.templates import template
from edgewright.runtime.oip.types import DATATYPES
from edgewright.runtime.served import Served

Arrays = Mapping[str, NDArray[Any]]
_MIXED = b"Content-Type: application/octet-stream\r\nInference-Header-Content-Length: %d\r\n"
_MEMO_REPLIES = 16


class Wire(Protocol):
    """How a lane spells replies."""

    def head(self, told: int, size: int, binary: bool) -> bytes:
        """What a reply begins with; ``told`` bytes of JSON follow, ``size`` bytes with the tensors."""
        ...

    def fault(self, fault: Fault) -> Reply:
        """An error."""
        ...


class Writing:
    """One reply to be written; ``kinds``: the outputs' datatypes by name. Raises BadRequest for an output that there is
    not."""

    def __init__(self, served: Served, asked: Plan, outputs: Arrays, kinds: dict[str, str], wire: Wire) -> None:
        self._served, self._asked, self._outputs, self._wire = served, asked, outputs, wire
        request = asked.request
        self._wanted = request.outputs or tuple(Wanted(name, request.binary) for name in outputs)
        for one in self._wanted:
            if one.name not in outputs:
                raise BadRequest(f"the model has no output {one.name!r}; it has: {', '.join(outputs)}")
        if len(outputs) > len(kinds):  # what a pipeline adds
            kinds = {name: DATATYPES[array.dtype.name] for name, array in outputs.items()} | kinds
        self._kinds = kinds

    @property
    def bulky(self) -> bool:
        """Whether it would keep the loop for more than a millisecond."""
        return any(bulky(self._outputs[one.name], self._kinds[one.name], one) for one in self._wanted)

    def whole(self) -> bytes:
        """The reply, which the next of its kind is made after. Raises BadRequest."""
        told, tensors = reply(*self._told)
        made = template(told, self._outputs, self._kinds, self._wanted, self._wire.head)
        if made is not None:
            replies = self._asked.replies
            if len(replies) >= _MEMO_REPLIES:
                replies.clear()  # of versions that are gone, most likely
            replies[self._served.number, self._wire, self._outputs.__class__] = made
        head = self._wire.head(len(told), len(told) + sum(map(len, tensors)), bool(tensors))
        return b"".join([head, told, *tensors])

    def steps(self, most: int) -> Steps[list[Buffer]]:
        """The reply in its parts. Raises BadRequest, also for an output that is more than ``most`` bytes of JSON."""
        told, tensors = yield from replying(*self._told, most)
        size = sum(map(len, told))
        return [self._wire.head(size, size + sum(map(len, tensors)), bool(tensors)), *told, *tensors]

    @property
    def _told(self) -> tuple[Any, Any, Any, Any, Any, Any, Any, Any]:
        source, safe = self._served.source, isinstance(self._outputs, Safe)
        identity = self._asked.request.id
        return (
            source.name, source.version, identity, self._outputs, self._kinds, self._wanted, source.labels, safe
        )  # fmt: skip


class _Http:
    def head(self, told: int, size: int, binary: bool) -> bytes:
        more = _MIXED % told if binary else JSON
        return b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n" % (more, size)

    def fault(self, fault: Fault) -> Reply:
        return fault_reply(fault.status, str(fault), fault.retry_s)


class _Frames:
    def head(self, told: int, size: int, binary: bool) -> bytes:
        return frame_head(200, told, size)

    def fault(self, fault: Fault) -> Reply:
        return frame_fault(fault.status, str(fault))


HTTP, FRAMES = _Http(), _Frames()
