"""The gRPC lane: a server of grpcio's, bounded, that hands its calls to ``Answers``, ``Inference`` and ``Replies``.

The blocking server was chosen over ``grpc.aio`` by measurement (grpcio 1.85, Python 3.11, a model of 6 us, server and
h2load on a core each, three runs, p50 and CPU per request of the server): one connection 219-269 against 238-262 us,
240-290 against 255-305 us of CPU; eight connections 1.26-1.42 against 1.91-2.04 ms, 165-188 against 240-257 us. All of
it but 13 us (the run included) is grpcio: whoever wants less asks over HTTP or the Unix socket. The machine was shared;
a stream of one instead of a unary call, and a pool of 8 threads instead of 32, made no difference that could be seen.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import grpc

from edgewright.core.errors import EdgewrightError, InputError
from edgewright.runtime.addresses import Address
from edgewright.runtime.faults import BadRequest, Crowded, Fault
from edgewright.runtime.lanes.limits import Budget, Limits
from edgewright.runtime.lanes.rpc.answers import Answers
from edgewright.runtime.lanes.rpc.calls import Call
from edgewright.runtime.lanes.rpc.ending import Ending
from edgewright.runtime.lanes.rpc.guard import SERVICE, TAKES, Guard, credentials
from edgewright.runtime.lanes.rpc.health import HEALTH
from edgewright.runtime.lanes.rpc.health import check as health
from edgewright.runtime.lanes.rpc.inference import Inference
from edgewright.runtime.lanes.rpc.logged import logged_call, logged_stream
from edgewright.runtime.lanes.rpc.schema import CALLS
from edgewright.runtime.lanes.rpc.statuses import abort
from edgewright.runtime.lanes.rpc.streams import Replies
from edgewright.runtime.lanes.rpc.tensors import Asked, parse_small
from edgewright.runtime.safety import Safety
from edgewright.runtime.scheduling.line import NEVER
from edgewright.runtime.served import Served
from edgewright.runtime.service import Service

_CALLS, _STREAMS = 128, 32
"""Calls at a time, and streams among them."""
_SILENCE_S, _PONG_S = 60.0, 20.0
"""Of a client's silence until it is asked whether it is still there, and for the answer to that."""


class GrpcLane:
    """A Lane at ``address``. ``calls`` at a time and ``streams`` among them; all other limits are those of the
    ``budget``. Raises InputError where nobody can listen."""

    def __init__(
        self, service: Service, address: Address, budget: Budget, safety: Safety | None = None,
        calls: int = _CALLS, streams: int = _STREAMS,
    ) -> None:  # fmt: skip
        self._budget, self._desk, self._most_streams = budget, service.desk, streams
        guarded = safety or Safety()
        certificate = guarded.secured(address)
        self._guard = None if guarded.tokens is None else Guard(guarded.tokens)
        repository, splits = service.repository, service.splits

        def find(asked: Asked) -> Served:
            if splits is not None:
                return splits.find(asked.model, asked.version, asked.key)
            return repository.find(asked.model, asked.version)

        self._find = find
        self._streams: set[Replies] = set()
        self._room = threading.Lock()
        self._calls: set[Call] = set()
        self._started = False
        self._pool = ThreadPoolExecutor(calls + 4, "edgewright-grpc")
        self._regions = regions = service.regions if address.local else None
        answers = Answers(service, regions)
        works = {name: _plain(call, CALLS[name][0]) for name, call in answers.calls().items()}
        works["ModelInfer"] = Inference(find, self._desk, regions).infer
        self._logs = service.table.access_log
        if self._logs:
            works = {name: logged_call(name, work) for name, work in works.items()}
        handlers = {name: self._unary(work) for name, work in works.items()}
        handlers["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(self._stream)
        self._server = grpc.server(
            self._pool,
            handlers=[
                grpc.method_handlers_generic_handler(SERVICE, handlers),
                grpc.method_handlers_generic_handler(HEALTH, {"Check": self._unary(health(answers.ready, SERVICE))}),
            ],
            interceptors=[] if self._guard is None else [self._guard],
            options=_options(budget.limits, calls),
            maximum_concurrent_rpcs=calls,
        )
        self._ending = Ending(self._server.stop, lambda: bool(self._calls))
        try:
            if certificate is None:
                port = self._server.add_insecure_port(address.place)
            else:
                port = self._server.add_secure_port(address.place, credentials(certificate))
        except RuntimeError as error:
            self._pool.shutdown()
            why = "it is in use, or none of this machine's"
            raise InputError(f"cannot listen on {address.place}: {why}") from error
        self.addresses = [replace(address, port=port)]

    def start(self) -> None:
        """Take calls."""
        self._started = True
        self._server.start()

    def drain(self, grace_s: float) -> None:
        """Take no more calls, and end those that go on after so many seconds; returns at once."""
        self._ending.begin(grace_s)
        for stream in list(self._streams):
            stream.drain()

    @property
    def busy(self) -> bool:
        """Whether a call goes on."""
        return not self._ending.over

    def sweep(self) -> None:
        """Hang up on clients that do not send their request or read their reply in time, and end the streams of those
        whose tokens were taken from them; to be called now and then."""
        now = time.monotonic()
        for call in list(self._calls):
            if call.until < now:
                call.context.cancel()
        if self._guard is not None:
            for stream in list(self._streams):
                try:
                    self._guard.check(stream.call.context.invocation_metadata(), TAKES["ModelStreamInfer"])
                except Fault as fault:
                    stream.end(fault)

    def close(self) -> None:
        """End everything. May be called twice, and without ``start``."""
        if not self._started:
            self.start()  # what never started does not give its port back
        self.drain(0.0)
        self._ending.close()
        self._pool.shutdown()

    def _begin(self, context: Any) -> Call:
        call = Call(context, self._budget)
        try:
            self._ending.check()
        except Fault as fault:
            self._desk.stray(fault)
            abort(context, fault)
        self._calls.add(call)

        def ended() -> None:
            self._calls.discard(call)
            call.end()

        if not context.add_callback(ended):
            ended()  # already
        return call

    def _unary(self, work: Callable[[bytes, Any], bytes]) -> Any:
        """A unary call, taken as a stream of one: so it is known before its request has come, and can be given up."""

        def answer(requests: Iterator[bytes], context: Any) -> bytes:
            call = self._begin(context)
            call.until = time.monotonic() + self._budget.limits.request_s
            try:
                raw = next(requests, None)
                call.until = NEVER
                if raw is None:
                    raise BadRequest("the call ended without a request")
                size = len(raw)
                call.asked(size)
                made = work(raw, context)
                call.free(size)
                call.answered(len(made))
            except EdgewrightError as error:
                self._desk.stray(error)
                call.hurry()
                abort(context, error)
            return made

        return grpc.stream_unary_rpc_method_handler(answer)

    def _stream(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        call = self._begin(context)  # between two requests a client may be silent: it is asked whether it is there
        try:
            with self._room:
                if len(self._streams) >= self._most_streams:
                    self._make_room()
                told = logged_stream(context) if self._logs else None
                stream = Replies(self._find, self._desk, requests, call, told, self._regions)
                self._streams.add(stream)
            try:
                if self._ending.begun:
                    stream.drain()
                for made in stream:
                    yield made
                    call.until = NEVER
                    call.free(len(made))
            finally:
                self._streams.discard(stream)
        except EdgewrightError as error:
            call.hurry()
            abort(context, error)

    def _make_room(self) -> None:
        """End the stream that has been silent for longest, if that is too long. Raises Crowded."""
        silent = min(self._streams, key=lambda stream: stream.silent_since)
        if silent.silent_since > time.monotonic() - self._budget.limits.idle_s:
            raise Crowded(f"{self._most_streams} streams are open already; close one, or ask call by call")
        silent.end(Crowded("others wait for a stream, and this one has asked nothing for long; open another"))
        self._streams.discard(silent)


def _plain(call: Callable[[Any], Any], kind: Any) -> Callable[[bytes, Any], bytes]:
    """``call`` from bytes to bytes."""

    def work(raw: bytes, context: Any) -> bytes:
        made: bytes = call(parse_small(kind, raw)).SerializeToString()
        return made

    return work


def _options(limits: Limits, calls: int) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", limits.body_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_concurrent_streams", calls),
        ("grpc.keepalive_time_ms", int(_SILENCE_S * 1e3)),
        ("grpc.keepalive_timeout_ms", int(_PONG_S * 1e3)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.max_connection_idle_ms", int(limits.idle_s * 1e3)),
        ("grpc.so_reuseport", 0),
    ]
