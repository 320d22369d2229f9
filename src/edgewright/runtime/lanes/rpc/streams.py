"""Streams: many requests on one call, answered in their order; what goes wrong with one is told in its reply."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import grpc

from edgewright.core.errors import EdgewrightError
from edgewright.runtime.desk import Desk, GiveUp
from edgewright.runtime.faults import Fault, Gone, NotReady
from edgewright.runtime.lanes.outbox import Buffer
from edgewright.runtime.lanes.rpc.bulk import joined
from edgewright.runtime.lanes.rpc.calls import Call
from edgewright.runtime.lanes.rpc.inference import Find, timeout
from edgewright.runtime.lanes.rpc.logged import Told
from edgewright.runtime.lanes.rpc.schema import MESSAGES
from edgewright.runtime.lanes.rpc.statuses import KIND, kind, sentence
from edgewright.runtime.lanes.rpc.tensors import Asked, fill, read
from edgewright.runtime.oip.regions import Regions
from edgewright.runtime.scheduling.line import NEVER
from edgewright.runtime.served import Served

_IN_FLIGHT = 32
"""Requests of one stream that are not answered yet; the next is read when the first of them is."""
_SHORT_S = 0.0003
"""Runs below this happen in the thread that reads the stream; longer ones overlap, and can share a batch."""
_StreamReply = MESSAGES["ModelStreamInferResponse"]


class _Pending:
    """One request on its way."""

    def __init__(self) -> None:
        self.size = 0
        """Bytes of the request that are held."""
        self.asked: Asked | None = None
        self.served: Served | None = None
        self.give_up: GiveUp | None = None
        self.outputs: Any = None
        self.error: EdgewrightError | None = None
        self.over = False
        self.begin = 0.0
        """When it came, by ``time.perf_counter``; 0.0 where nobody asks."""


class Replies:
    """A stream's replies, each a serialised ModelStreamInferResponse, in the order of ``requests``.

    A thread of its own reads these, so that they overlap. Iterating raises what the stream was ended with, once all is
    answered that came before. What is held for the ``call`` of each reply is to be given back when it was read.
    ``told`` is called with each reply, where there is a log for it.
    """

    def __init__(
        self, find: Find, desk: Desk, requests: Iterator[bytes], call: Call, told: Told | None = None,
        regions: Regions | None = None,
    ) -> None:  # fmt: skip
        self._find, self._desk, self._requests, self.call = find, desk, requests, call
        self._told, self._regions = told, regions
        self._changed = threading.Condition()
        self._line: deque[_Pending] = deque()
        self._last = self._closed = False
        self._fault: Fault | None = None
        self._since = time.monotonic()
        if not call.context.add_callback(self._close):
            self._close()
        threading.Thread(target=self._read, name="edgewright-grpc-stream", daemon=True).start()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            with self._changed:
                while not (self._line[0].over if self._line else self._last or self._fault):
                    self._changed.wait()
                if not self._line:
                    if self._fault is None or self._last:
                        return
                    raise self._fault
                first = self._line.popleft()
                if not self._line:
                    self._since = time.monotonic()
                self._changed.notify_all()
            made = _told(first)
            self.call.free(first.size)
            try:
                self.call.answered(len(made))
            except Fault as fault:
                first.error = fault
                made = _told(first)
                self.call.answered(len(made))
            if self._told is not None:
                model, version = (first.asked.model, first.asked.version) if first.asked else ("", "")
                self._told(model, version, first.begin, first.error, len(made))
            yield made

    @property
    def silent_since(self) -> float:
        """When nothing of it was left to be answered, by ``time.monotonic``; infinity while there is."""
        return self._since

    def drain(self) -> None:
        """Take no further request: the server ends."""
        self.end(NotReady("the server is shutting down"))

    def end(self, fault: Fault) -> None:
        """Take no further request, for this reason."""
        with self._changed:
            self._fault = self._fault or fault
            self._changed.notify_all()

    def _read(self) -> None:
        last = True
        try:
            for raw in self._requests:
                pending = _Pending()
                if self._told is not None:
                    pending.begin = time.perf_counter()
                with self._changed:
                    while len(self._line) >= _IN_FLIGHT and not self._closed:
                        self._changed.wait()
                    if self._closed or self._fault is not None:
                        last = False  # there is one more, and it is not answered
                        return
                    self._line.append(pending)
                    self._since = NEVER
                self._begin(raw, pending)
        except grpc.RpcError:
            pass  # the call has ended; ``_close`` knows
        finally:
            with self._changed:
                self._last |= last
                self._changed.notify_all()

    def _begin(self, raw: bytes, pending: _Pending) -> None:
        try:
            self.call.asked(len(raw))
            pending.size = len(raw)
            pending.asked = read(raw, self._regions)
            self._ask(pending, pending.asked)
        except EdgewrightError as error:
            self._desk.stray(error)
            self._done(pending, None, error)
        except BaseException:
            self._done(pending, None, Fault("the request could not be answered; the server's log says why"))
            raise
        if self._closed:  # it ended meanwhile, and may not have seen the job
            self._give_up(pending)

    def _ask(self, pending: _Pending, asked: Asked) -> None:
        def done(outputs: Any, fault: Fault | None) -> None:
            if isinstance(fault, Gone):
                self._again(pending, asked)
            else:
                self._done(pending, outputs, fault)

        left = timeout(asked, self.call.context)
        while True:
            served = pending.served = self._find(asked)
            try:
                short = served.times.usual() < _SHORT_S
                outputs = self._desk.at_once(served, asked.inputs, left) if short else None
                if outputs is not None:
                    done(outputs, None)
                else:
                    pending.give_up = self._desk.later(served, asked.inputs, done, left, asked.priority)
                return
            except Gone:  # replaced just now: its successor answers
                continue

    def _again(self, pending: _Pending, asked: Asked) -> None:
        """Ask the successor of a version that was just replaced."""
        try:
            self._ask(pending, asked)
        except EdgewrightError as error:
            self._done(pending, None, error)

    def _done(self, pending: _Pending, outputs: Any, error: EdgewrightError | None) -> None:
        if error is None and pending.asked is not None and pending.asked.id and pending.served is not None:
            self._desk.remember(pending.served, pending.asked.id, outputs)
        with self._changed:
            pending.outputs, pending.error, pending.over = outputs, error, True
            self._changed.notify_all()

    def _close(self) -> None:
        with self._changed:
            self._closed = self._last = True
            waiting = list(self._line)
            self._changed.notify_all()
        for pending in waiting:
            self._give_up(pending)

    def _give_up(self, pending: _Pending) -> None:
        if pending.give_up is not None:
            pending.give_up()


def _told(pending: _Pending) -> bytes:
    made, raws = _StreamReply(), list[Buffer]()
    error, asked = pending.error, pending.asked
    if error is None and asked is not None and pending.served is not None:
        try:
            raws = fill(made.infer_response, pending.served, asked, pending.outputs)
        except Fault as fault:
            made.Clear()
            error = pending.error = fault
    if error is not None:
        made.error_message = sentence(error)
        made.infer_response.parameters[KIND].string_param = kind(error)
        if asked is not None:  # so that the caller knows which of its requests it was
            made.infer_response.model_name, made.infer_response.id = asked.model, asked.id
    made.infer_response.parameters["triton_final_response"].bool_param = True  # one reply a request, always
    return joined(made.SerializeToString(), raws, streamed=True)
