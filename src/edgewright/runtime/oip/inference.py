"""Inference over HTTP: from a request's bytes to a reply's. What came before in the same shape is looked up."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import cycle
from typing import Any, Protocol

from numpy.typing import NDArray

from edgewright.core.errors import EdgewrightError
from edgewright.runtime import logs
from edgewright.runtime.company import CROWD, SHORT_S, Company
from edgewright.runtime.desk import Desk
from edgewright.runtime.failsafe import Safe
from edgewright.runtime.faults import BadRequest, Fault, Gone
from edgewright.runtime.lanes.frames import frame_fault, frame_head
from edgewright.runtime.lanes.http import JSON, Answer, Handler, Head, Reply, fault_reply
from edgewright.runtime.lanes.loop import Loop
from edgewright.runtime.lanes.stream import GiveUp
from edgewright.runtime.oip.encodings import INFLATED, chosen, inflate, packing
from edgewright.runtime.oip.messages import Plan, Wanted, reply
from edgewright.runtime.oip.plans import find_plan
from edgewright.runtime.oip.raw import raw_plan
from edgewright.runtime.oip.regions import Regions
from edgewright.runtime.oip.templates import template
from edgewright.runtime.oip.types import DATATYPES, datatype
from edgewright.runtime.repository import Repository
from edgewright.runtime.scheduling.batches import key, rows
from edgewright.runtime.served import Served
from edgewright.runtime.stats import SAMPLED

Arrays = Mapping[str, NDArray[Any]]
_MIXED = b"Content-Type: application/octet-stream\r\nInference-Header-Content-Length: %d\r\n"
_FORGET, _MOST_LAG = 0.999, 0.25
_MEMO = 256
_MEMO_REPLIES = 16
_now = time.perf_counter


class Wire(Protocol):
    """How a lane spells replies."""

    def head(self, told: bytes, size: int, binary: bool) -> bytes:
        """All that comes before the tensors: ``told`` is the JSON, ``size`` counts it and the tensors."""
        ...

    def fault(self, fault: Fault) -> Reply:
        """An error."""
        ...


class Inference:
    """``loop``: whose thread answers; ``regions``: the shared memory that clients may use."""

    def __init__(self, repository: Repository, desk: Desk, loop: Loop, regions: Regions | None = None) -> None:
        self._find, self._desk, self._loop, self._regions = repository.find, desk, loop, regions
        self._later = loop.call
        self._company = Company(desk, loop.call) if type(desk) is Desk else None  # the others look at each request
        self._plans: dict[bytes, Plan] = {}
        self._known: dict[int, dict[str, str]] = {}
        self._lag = 0.0
        """How long answers have lately waited to be sent, at the worst, in s."""
        self._no_regions = Regions()
        self._inflated = 0
        self._turn = cycle(range(SAMPLED)).__next__

    def handler(self, head: Head, name: str, version: str) -> Handler:
        """What answers HTTP requests that have this very head. Raises BadRequest."""
        told = head.headers.get("inference-header-content-length")
        if told is not None and not (told.isascii() and told.isdigit() and len(told) < 16):
            raise BadRequest("Inference-Header-Content-Length is no number")
        length = None if told is None else int(told)
        encoding = head.headers.get("content-encoding", "identity").lower()
        back = chosen(head.headers.get("accept-encoding", ""), near=self._regions is not None)

        turn = self._turn

        def answer_one(head: Head, body: bytes, answer: Answer) -> GiveUp | None:
            begin = 0.0 if turn() else _now()
            size = len(body) if length is None else length
            if size > len(body):
                raise BadRequest(f"Inference-Header-Content-Length is {size}, the body has {len(body)} bytes")
            if size or length is None:
                told = body if size == len(body) else body[:size]
                asked, numbers = find_plan(told, self._regions, self._plans, length is None)
            else:
                asked, numbers = raw_plan(self._find(name, version), body), b""
            if back:
                answer = packing(answer, back, self._later)
            request = asked.request
            return self._ask(
                name, version, asked, (body, size, numbers), request.timeout_s, request.priority, HTTP, answer, begin
            )

        if encoding == "identity":
            return answer_one
        return lambda head, body, answer: self._unpacked(encoding, head, body, answer, answer_one)

    def _unpacked(self, encoding: str, head: Head, body: bytes, answer: Answer,
                  plain: Handler) -> GiveUp | None:  # fmt: skip
        """A few compressed bytes can become many, and a thousand requests may wait: bounded are all together."""
        body = inflate(body, encoding, max(INFLATED - self._inflated, 1))
        held = [len(body)]
        self._inflated += len(body)

        def give_back(reply: Reply | None = None) -> None:
            if held:
                self._inflated -= held.pop()
            if reply is not None:
                answer(reply)

        try:
            return plain(head, body, give_back)
        except BaseException:
            give_back()
            raise

    def frame(
        self, body: bytes, start: int, end: int, priority: int, timeout_s: float | None, regions: Regions | None,
        answer: Answer,
    ) -> GiveUp | None:  # fmt: skip
        """Answer a frame, whose JSON (``start`` to ``end`` of ``body``) also names the model (``model_name``,
        ``model_version``); ``regions``: the memory that this client has handed over, and no other's."""
        own = self._no_regions if regions is None else regions
        try:
            asked, numbers = find_plan(body[start:end], own, own.plans, inline=False)
            name, version = asked.model
            return self._ask(name, version, asked, (body, end, numbers), timeout_s, priority, FRAMES, answer)
        except EdgewrightError as error:
            self._desk.stray(error)
            raise

    def _ask(self, name: str, version: str, asked: Plan, body: tuple[bytes, int, bytes], timeout_s: float | None,
             priority: int, wire: Wire, answer: Answer, begin: float = 0.0) -> GiveUp | None:  # fmt: skip
        """Answer what was ``asked``; ``body`` as ``Plan.inputs`` takes it."""
        served = self._find(name, version)
        try:
            inputs = asked.inputs(*body)
        except Fault as fault:
            raise self._desk.count(served, fault) from fault.__cause__
        if begin:
            served.stats.parse.add(_now() - begin)
        try:
            quick = served.times.usual_s < SHORT_S and not served.hangs
            quick = quick and (served.pipeline is None or not served.pipeline.takes(inputs))
            if quick and served.most_rows > 1 and self._loop.found >= CROWD and self._company is not None:
                request = name, version, asked, body, timeout_s, priority, wire, answer
                if self._joined(self._company, served, inputs, request, begin):
                    return None
            outputs = self._desk.at_once(served, inputs, timeout_s) if quick else None
            if outputs is None:
                return self._queue(served, asked, inputs, timeout_s, priority, wire, answer, begin)
        except Gone:  # replaced just now: its successor answers
            return self._ask(name, version, asked, body, timeout_s, priority, wire, answer)
        answer((self._timed if begin else self._reply)(served, asked, outputs, wire))
        return None

    def _queue(self, served: Served, asked: Plan, inputs: Arrays, timeout_s: float | None, priority: int,
               wire: Wire, answer: Answer, begin: float) -> GiveUp:  # fmt: skip
        """Take a place in line; what gives it up."""

        def done(outputs: Any, fault: Fault | None) -> None:
            write = self._checked if not begin else self._timed
            ready = _now()

            def tell() -> None:
                answer(wire.fault(fault) if fault else write(served, asked, outputs, wire))
                self._lag = max(_now() - ready, self._lag * _FORGET)

            self._later(tell)

        if timeout_s is not None:  # by its deadline the answer must be sent, not found
            timeout_s -= min(self._lag, _MOST_LAG * timeout_s)
        return self._desk.later(served, inputs, done, timeout_s, priority)

    def _joined(self, company: Company, served: Served, inputs: Arrays, request: tuple[Any, ...], begin: float) -> bool:
        """Let others that came in this look share the run; False for one that cannot."""
        asked, timeout_s, priority, wire, answer = request[2], *request[4:]
        if asked.batch is None:
            asked.batch = rows(inputs), key(inputs)
        if not asked.batch[0]:
            return False

        def done(outputs: Any, fault: Fault | None) -> None:
            if isinstance(fault, Gone):
                self._later(lambda: self._again(request))
                return
            write = self._checked if not begin else self._timed
            answer(wire.fault(fault) if fault else write(served, asked, outputs, wire))

        job = self._desk.job(served, inputs, done, timeout_s, priority)
        job.rows, job.key = asked.batch
        company.join(job)
        return True

    def _again(self, request: tuple[Any, ...]) -> None:
        """Ask the successor of a version that was just replaced."""
        try:
            self._ask(*request)
        except Fault as fault:
            request[-1](request[-2].fault(fault))

    def _timed(self, served: Served, asked: Plan, outputs: Arrays, wire: Wire) -> Reply:
        begin = _now()
        made = self._checked(served, asked, outputs, wire)
        served.stats.write.add(_now() - begin)
        return made

    def _checked(self, served: Served, asked: Plan, outputs: Arrays, wire: Wire) -> Reply:
        try:
            return self._reply(served, asked, outputs, wire)
        except Fault as fault:
            return wire.fault(fault)
        except Exception:  # noqa: BLE001 - a client must not wait for ever because of a fault of ours
            logs.trouble(f"an answer of {served.source.name} could not be written")
            return wire.fault(Fault("the server has a fault; its log says which"))

    def _kinds(self, served: Served) -> dict[str, str]:
        """The outputs' datatypes by name."""
        kinds = self._known.get(served.number)
        if kinds is None:
            if len(self._known) >= _MEMO:
                self._known.clear()  # of versions that are gone, most likely
            kinds = {spec.name: datatype(spec.dtype) for spec in served.session.signature.outputs}
            self._known[served.number] = kinds
        return kinds

    def _reply(self, served: Served, asked: Plan, outputs: Arrays, wire: Wire) -> Reply:
        kind = served.number, wire, outputs.__class__
        known = asked.replies.get(kind)
        if known is not None:
            filled: bytes | None = known.fill(outputs)
            if filled is not None:
                return filled
        request, source = asked.request, served.source
        kinds = self._kinds(served)
        wanted = request.outputs or tuple(Wanted(name, request.binary) for name in outputs)
        for one in wanted:
            if one.name not in outputs:
                raise BadRequest(f"the model has no output {one.name!r}; it has: {', '.join(outputs)}")
        if len(outputs) > len(kinds):  # what a pipeline adds
            kinds = {name: DATATYPES[array.dtype.name] for name, array in outputs.items()} | kinds
        safe = isinstance(outputs, Safe)
        told, tensors = reply(source.name, source.version, request.id, outputs, kinds, wanted, source.labels, safe)
        head = wire.head(told, len(told) + sum(map(len, tensors)), bool(tensors))
        made = template(told, outputs, kinds, wanted, wire.head)
        if made is not None:
            if len(asked.replies) >= _MEMO_REPLIES:
                asked.replies.clear()  # of versions that are gone, most likely
            asked.replies[kind] = made
        return b"".join([head, *tensors])


class _Http:
    def head(self, told: bytes, size: int, binary: bool) -> bytes:
        more = _MIXED % len(told) if binary else JSON
        return b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (more, size, told)

    def fault(self, fault: Fault) -> Reply:
        return fault_reply(fault.status, str(fault), fault.retry_s)


class _Frames:
    def head(self, told: bytes, size: int, binary: bool) -> bytes:
        return frame_head(200, told, size)

    def fault(self, fault: Fault) -> Reply:
        return frame_fault(fault.status, str(fault))


HTTP, FRAMES = _Http(), _Frames()
