"""Inference over HTTP: from a request's bytes to a reply's. What came before in the same shape is looked up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import cycle
from typing import Any, TypeVar, cast

from numpy.typing import NDArray

from edgewright.core.errors import EdgewrightError
from edgewright.runtime.aside import Aside, Steps
from edgewright.runtime.company import CROWD, SHORT_S, Company
from edgewright.runtime.desk import Desk
from edgewright.runtime.faults import BadRequest, Fault, Gone, fault_of
from edgewright.runtime.lanes.http import Answer, Handler, Head, Reply
from edgewright.runtime.lanes.limits import Limits
from edgewright.runtime.lanes.loop import Loop
from edgewright.runtime.lanes.outbox import Buffer
from edgewright.runtime.lanes.stream import Body, GiveUp
from edgewright.runtime.oip.encodings import chosen, packing
from edgewright.runtime.oip.messages import LONG, Plan, reading_plan
from edgewright.runtime.oip.packed import Packed
from edgewright.runtime.oip.plans import FLAT, find_plan
from edgewright.runtime.oip.raw import raw_plan
from edgewright.runtime.oip.regions import Regions
from edgewright.runtime.oip.types import datatype
from edgewright.runtime.oip.wires import FRAMES, HTTP, Wire, Writing
from edgewright.runtime.repository import Repository
from edgewright.runtime.scheduling.batches import key, rows
from edgewright.runtime.scheduling.scheduler import Job
from edgewright.runtime.served import Served
from edgewright.runtime.stats import SAMPLED

Arrays = Mapping[str, NDArray[Any]]
T = TypeVar("T")
_FORGET, _MOST_LAG, _BOTH_WAYS = 0.999, 0.25, 1.5
"""The last: where answers wait for a core, requests did, too, before they were seen; nobody can tell how long."""
_MEMO = 256
_LARGE = 2**20
"""Bytes of an output from which on it is written aside."""
_now = time.perf_counter


class Inference:
    """``loop``: whose thread answers; ``regions``: the shared memory that clients may use; ``limits``: what one
    request, and all together, may hold. ``aside``: where what takes long is done."""

    def __init__(
        self, repository: Repository, desk: Desk, loop: Loop, regions: Regions | None = None,
        limits: Limits | None = None,
    ) -> None:  # fmt: skip
        self._find, self._desk, self._loop, self._regions = repository.find, desk, loop, regions
        self._later, self.aside, self._limits = loop.call, Aside(loop.call), limits or Limits()
        self._company = Company(desk, loop.call) if desk.plain else None
        self._plans: dict[bytes, Plan] = {}
        self._known: dict[int, dict[str, str]] = {}
        self._lag = 0.0
        """How long answers have lately waited to be sent, at the worst, in s."""
        self._no_regions = Regions()
        self._packed = Packed(self._errand, self._limits)
        self._turn = cycle(range(SAMPLED)).__next__

    def close(self) -> None:
        """Leave undone what is being read or written aside."""
        self.aside.close()

    def handler(self, head: Head, name: str, version: str) -> Handler:
        """What answers HTTP requests that have this very head. Raises BadRequest."""
        told = head.headers.get("inference-header-content-length")
        if told is not None and not (told.isascii() and told.isdigit() and len(told) < 16):
            raise BadRequest("Inference-Header-Content-Length is no number")
        length = None if told is None else int(told)
        encoding = head.headers.get("content-encoding", "identity").lower()
        back = chosen(head.headers.get("accept-encoding", ""), near=self._regions is not None)

        turn = self._turn

        def answer_one(head: Head, body: Body, answer: Answer) -> GiveUp | None:
            begin = 0.0 if turn() else _now()
            size = len(body) if length is None else length
            if size > len(body):
                raise BadRequest(f"Inference-Header-Content-Length is {size}, the body has {len(body)} bytes")
            if back:
                answer = packing(answer, back, self.aside)
            if size or length is None:
                found = None
                if size <= FLAT:
                    told = body[:size]
                    told = told if type(told) is bytes else bytes(told)
                    found = find_plan(told, self._regions, self._plans, length is None)
                if found is None:
                    return self._long(body, 0, size, self._regions, None, 0, HTTP, answer, (name, version))
                asked, numbers, timeout_s = found
            else:
                asked, numbers, timeout_s = raw_plan(self._find(name, version), body), b"", None
            return self._ask(
                name, version, asked, (body, size, numbers), timeout_s, asked.request.priority, HTTP, answer, begin
            )

        if encoding == "identity":
            return answer_one
        return lambda head, body, answer: self._packed.answer(encoding, head, body, answer, answer_one)

    def frame(
        self, body: Body, start: int, end: int, priority: int, timeout_s: float | None, regions: Regions | None,
        answer: Answer,
    ) -> GiveUp | None:  # fmt: skip
        """Answer a frame, whose JSON (``start`` to ``end`` of ``body``) also names the model (``model_name``,
        ``model_version``); ``regions``: the memory that this client has handed over, and no other's."""
        own = self._no_regions if regions is None else regions
        try:
            found = find_plan(bytes(body[start:end]), own, own.plans, inline=False) if end - start <= LONG else None
            if found is None:
                return self._long(body, start, end, own, timeout_s, priority, FRAMES, answer)
            asked, numbers, _ = found
            name, version = asked.model
            return self._ask(name, version, asked, (body, end, numbers), timeout_s, priority, FRAMES, answer)
        except EdgewrightError as error:
            self._desk.stray(error)
            raise

    def _long(self, body: Body, start: int, end: int, regions: Regions | None, timeout_s: float | None, priority: int,
              wire: Wire, answer: Answer, model: tuple[str, str] | None = None) -> GiveUp | None:  # fmt: skip
        """Answer a request whose JSON (``start`` to ``end`` of ``body``) is long. ``model``: of HTTP, where the JSON
        tells the rest."""
        begun, served = _now(), self._find(*model) if model else None  # what is not there is told at once

        def then(asked: Plan) -> GiveUp | None:
            left, urgency = (asked.request.timeout_s, asked.request.priority) if model else (timeout_s, priority)
            left = None if left is None else left - (_now() - begun)
            return self._ask(*(model or asked.model), asked, (body, end, b""), left, urgency, wire, answer)

        return self._errand(end - start, reading_plan(body, start, end, regions), then, wire, answer, served)

    def _ask(self, name: str, version: str, asked: Plan, body: tuple[Body, int, bytes], timeout_s: float | None,
             priority: int, wire: Wire, answer: Answer, begin: float = 0.0) -> GiveUp | None:  # fmt: skip
        """Answer what was ``asked``; ``body`` as ``Plan.inputs`` takes it."""
        if not asked.light:
            return self._heavy(name, version, asked, body, timeout_s, priority, wire, answer)
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
            if served.varied:
                quick = quick and served.times.usual_s + served.more_s(inputs) < SHORT_S
            company = self._company
            crowd = quick and served.most_rows > 1 and self._loop.found >= CROWD
            if crowd and company is not None and self._desk.plain and company.pays:
                request = name, version, asked, body, timeout_s, priority, wire, answer
                job = self._joined(company, served, inputs, request, begin)
                if job is not None:
                    return partial(self._desk.scheduler.cancel, job)
            left = timeout_s if timeout_s is None or not quick else timeout_s - (_now() - self._loop.looked)
            outputs = self._desk.at_once(served, inputs, left) if quick else None
            if outputs is None:
                again = partial(self._ask, name, version, asked, body, timeout_s, priority, wire, answer)
                return self._queue(served, asked, inputs, timeout_s, priority, wire, answer, begin, again)
        except Gone:  # replaced just now: its successor answers
            return self._ask(name, version, asked, body, timeout_s, priority, wire, answer)
        made = (self._timed if begin else self._reply)(served, asked, outputs, wire)
        if made is None:
            self._write(served, asked, outputs, wire, answer)
        else:
            answer(made)
        if asked.request.id:
            self._desk.remember(served, asked.request.id, outputs)
        return None

    def _heavy(self, name: str, version: str, asked: Plan, body: tuple[Body, int, bytes], timeout_s: float | None,
               priority: int, wire: Wire, answer: Answer) -> GiveUp:  # fmt: skip
        """As ``_ask``, for what would take long to read, or to run: nothing of it happens on this thread."""
        served, begun = self._find(name, version), self._loop.looked

        def queue(inputs: Arrays) -> GiveUp:
            while True:
                try:
                    found = self._find(name, version)
                    again = partial(queue, inputs)
                    return self._queue(found, asked, inputs, timeout_s, priority, wire, answer, 0.0, again, begun)
                except Gone:  # replaced just now: its successor answers
                    continue

        raw, at, _ = body
        if not asked.quickly_read(at):
            return self._errand(len(raw), asked.reading(raw, at), queue, wire, answer, served)
        try:
            inputs = asked.inputs(*body)
        except Fault as fault:
            raise self._desk.count(served, fault) from fault.__cause__
        return queue(inputs)

    def _errand(self, size: int, steps: Steps[T], then: Callable[[T], GiveUp | None], wire: Wire, answer: Answer,
                served: Served | None = None) -> GiveUp:  # fmt: skip
        """Do the steps aside, then go on with what they came to."""
        held: list[GiveUp] = []

        def done(found: T | None, error: Exception | None) -> None:
            if served is not None and isinstance(error, Fault):
                self._desk.count(served, error)
            try:
                if error is not None:
                    raise error
                given = then(cast(T, found))
            except Exception as wrong:  # noqa: BLE001 - the client must be told
                fault = fault_of(wrong)
                self._desk.stray(fault)
                answer(wire.fault(fault))
            else:
                held[:] = [] if given is None else [given]

        held.append(self.aside.run(size, steps, done).give_up)
        return lambda: [give_up() for give_up in held]

    def _queue(self, served: Served, asked: Plan, inputs: Arrays, timeout_s: float | None, priority: int,
               wire: Wire, answer: Answer, begin: float, again: Callable[[], object],
               came: float = 0.0) -> GiveUp:  # fmt: skip
        """Take a place in line; what gives it up. ``again`` asks the successor of a version that is gone. ``came``:
        when the request did, where that was not in this look."""

        def done(outputs: Any, fault: Fault | None) -> None:
            if isinstance(fault, Gone):
                self._later(partial(self._again, again, wire, answer))
                return
            ready = _now()

            def tell() -> None:
                self._tell(served, asked, outputs, fault, wire, answer, begin)
                self._lag = max(_now() - ready, self._lag * _FORGET)

            self._later(tell)

        if timeout_s is None:
            timeout_s = served.deadline_s
        if timeout_s is not None:  # by its deadline the answer must be sent, not found
            timeout_s -= _now() - (came or self._loop.looked) + min(_BOTH_WAYS * self._lag, _MOST_LAG * timeout_s)
        return self._desk.later(served, inputs, done, timeout_s, priority)

    def _joined(
        self, company: Company, served: Served, inputs: Arrays, request: tuple[Any, ...], begin: float
    ) -> Job | None:
        """Let others that came in this look share the run; None for one that cannot."""
        asked, timeout_s, priority, wire, answer = request[2], *request[4:]
        if asked.batch is None:
            asked.batch = rows(inputs), key(inputs)
        if not asked.batch[0]:
            return None

        def done(outputs: Any, fault: Fault | None) -> None:
            if isinstance(fault, Gone):
                self._later(partial(self._again, partial(self._ask, *request), wire, answer))
                return
            self._tell(served, asked, outputs, fault, wire, answer, begin)

        job = self._desk.job(served, inputs, done, timeout_s, priority)
        job.rows, job.key = asked.batch
        company.join(job)
        return job

    def _again(self, ask: Callable[[], object], wire: Wire, answer: Answer) -> None:
        """Ask the successor of a version that was just replaced."""
        try:
            ask()
        except Fault as fault:
            answer(wire.fault(fault))

    def _tell(self, served: Served, asked: Plan, outputs: Any, fault: Fault | None, wire: Wire, answer: Answer,
              begin: float) -> None:  # fmt: skip
        """Answer with the outputs or the fault; what takes long to write is written aside."""
        if fault is not None:
            answer(wire.fault(fault))
            return
        if asked.request.id:
            self._desk.remember(served, asked.request.id, outputs)
        try:
            large = any(array.nbytes > _LARGE for array in outputs.values())
            made = None if large else (self._timed if begin else self._reply)(served, asked, outputs, wire)
            if made is None:
                self._write(served, asked, outputs, wire, answer)
                return
        except Exception as error:  # noqa: BLE001 - a client must not wait for ever because of a fault of ours
            made = wire.fault(fault_of(error))
        answer(made)

    def _timed(self, served: Served, asked: Plan, outputs: Arrays, wire: Wire) -> Reply | None:
        begin = _now()
        made = self._reply(served, asked, outputs, wire)
        served.stats.write.add(_now() - begin)
        return made

    def _kinds(self, served: Served) -> dict[str, str]:
        """The outputs' datatypes by name."""
        kinds = self._known.get(served.number)
        if kinds is None:
            if len(self._known) >= _MEMO:
                self._known.clear()  # of versions that are gone, most likely
            kinds = {spec.name: datatype(spec.dtype) for spec in served.session.signature.outputs}
            self._known[served.number] = kinds
        return kinds

    def _reply(self, served: Served, asked: Plan, outputs: Arrays, wire: Wire) -> Reply | None:
        """The reply, or None where it takes long to write. Raises BadRequest."""
        known = asked.replies.get((served.number, wire, outputs.__class__))
        if known is not None:
            filled: bytes | None = known.fill(outputs)
            if filled is not None:
                return filled
        made = Writing(served, asked, outputs, self._kinds(served), wire)
        return None if made.bulky else made.whole()

    def _write(self, served: Served, asked: Plan, outputs: Arrays, wire: Wire, answer: Answer) -> None:
        """Answer, when the reply is written aside. Raises BadRequest."""

        def done(parts: list[Buffer] | None, error: Exception | None) -> None:
            answer(wire.fault(fault_of(error)) if parts is None else parts)

        size = sum(array.nbytes for array in outputs.values())
        steps = Writing(served, asked, outputs, self._kinds(served), wire).steps(self._limits.buffered_bytes)
        self.aside.run(size, steps, done)
