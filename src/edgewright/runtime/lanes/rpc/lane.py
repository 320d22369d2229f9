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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from edgewright.core.errors import EdgewrightError, InputError
from edgewright.runtime.desk import Desk
from edgewright.runtime.experiments.splits import Splits
from edgewright.runtime.faults import BadRequest
from edgewright.runtime.lanes.rpc.answers import Answers, Control
from edgewright.runtime.lanes.rpc.health import HEALTH
from edgewright.runtime.lanes.rpc.health import check as health
from edgewright.runtime.lanes.rpc.inference import Inference
from edgewright.runtime.lanes.rpc.logged import logged_call, logged_stream
from edgewright.runtime.lanes.rpc.schema import CALLS
from edgewright.runtime.lanes.rpc.statuses import Crowded, abort
from edgewright.runtime.lanes.rpc.streams import Replies
from edgewright.runtime.lanes.rpc.tensors import Asked, parse
from edgewright.runtime.oip.regions import Regions
from edgewright.runtime.repository import Repository
from edgewright.runtime.scheduling.line import NEVER
from edgewright.runtime.served import Served

_SERVICE = "inference.GRPCInferenceService"
_OPEN = (f"/{_SERVICE}/ServerLive", f"/{_SERVICE}/ServerReady", f"/{HEALTH}/Check")
"""Calls that need no token: they tell nothing, and whoever looks after the machine makes them."""
_BYTES_A_SECOND = 128 * 1024
"""The least pace at which a reply must be read, once ``reply_s`` are over."""


@dataclass(frozen=True)
class RpcLimits:
    """Bytes of a message; calls at a time, streams among them; seconds: for a request to come whole, for a reply to be
    read, of a client's silence until it is asked whether it is still there, for the answer to that, and of a connection
    without calls."""

    message_bytes: int = 64 * 2**20
    calls: int = 128
    streams: int = 32
    request_s: float = 30.0
    reply_s: float = 30.0
    silence_s: float = 60.0
    pong_s: float = 20.0
    idle_s: float = 300.0


def credentials(chain: Path, key: Path) -> Any:
    """For TLS, with a certificate chain and its key in PEM; read once, when the server starts. Raises InputError."""
    try:
        return grpc.ssl_server_credentials([(key.read_bytes(), chain.read_bytes())])
    except OSError as error:
        raise InputError(f"cannot read the certificate {chain} or its key {key}: {error.strerror}") from error


class GrpcLane:
    """Listens at ``host:port`` (0: a free one) as soon as it is made; ``port`` holds which. Calls are taken from
    ``start`` on; ``drain`` takes no more, ``close`` ends those that go on.

    ``control`` loads and unloads models; ``strict``: ready only while all models are; ``credentials``, from
    ``grpc.ssl_server_credentials``, encrypt; ``check`` says whether a bearer token is known, which then every call
    needs but those that ask whether the server is there; ``splits`` choose among versions; ``access_log``: a line per
    request; ``regions``: the shared memory that clients may use.
    Raises InputError where nobody can listen.
    """

    def __init__(
        self, repository: Repository, desk: Desk, host: str, port: int, *, limits: RpcLimits | None = None,
        control: Control | None = None, strict: bool = False, credentials: Any = None,
        check: Callable[[str], bool] | None = None, splits: Splits | None = None, access_log: bool = False,
        regions: Regions | None = None,
    ) -> None:  # fmt: skip
        self._limits = limits or RpcLimits()
        self._desk, self._regions = desk, regions

        def find(asked: Asked) -> Served:
            if splits is not None:
                return splits.find(asked.model, asked.version, asked.key)
            return repository.find(asked.model, asked.version)

        self._find = find
        self._streams: set[Replies] = set()
        self._room = threading.Lock()
        self._calls: set[_Call] = set()
        self._over: threading.Event | None = None
        self._started = False
        self._pool = ThreadPoolExecutor(self._limits.calls + 4, "edgewright-grpc")
        answers = Answers(repository, control, strict, regions)
        works = {name: _plain(call, CALLS[name][0]) for name, call in answers.calls().items()}
        works["ModelInfer"] = Inference(find, desk, regions).infer
        if access_log:
            works = {name: logged_call(name, work) for name, work in works.items()}
        self._access_log = access_log
        handlers = {name: self._unary(work) for name, work in works.items()}
        handlers["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(self._stream)
        self._server = grpc.server(
            self._pool,
            handlers=[
                grpc.method_handlers_generic_handler(_SERVICE, handlers),
                grpc.method_handlers_generic_handler(HEALTH, {"Check": self._unary(health(answers.ready, _SERVICE))}),
            ],
            interceptors=[] if check is None else [_Guard(check)],
            options=_options(self._limits),
            maximum_concurrent_rpcs=self._limits.calls,
        )
        self.host = host
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if credentials is None:
                self.port = self._server.add_insecure_port(address)
            else:
                self.port = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            self._pool.shutdown()
            raise InputError(f"cannot listen on {address}: it is in use, or none of this machine's") from error

    def __str__(self) -> str:
        return f"grpc://[{self.host}]:{self.port}" if ":" in self.host else f"grpc://{self.host}:{self.port}"

    def start(self) -> None:
        """Take calls."""
        self._started = True
        self._server.start()

    def drain(self, grace_s: float) -> None:
        """Take no more calls, and end those that go on after so many seconds; returns at once."""
        if self._over is None:
            self._over = self._server.stop(grace_s)
            for stream in list(self._streams):
                stream.drain()

    @property
    def busy(self) -> bool:
        """Whether a call goes on."""
        return self._over is None or not self._over.is_set()

    def sweep(self) -> None:
        """Hang up on clients that do not send their request or read their reply in time; to be called now and then."""
        now = time.monotonic()
        for call in list(self._calls):
            if call.until < now:
                call.context.cancel()

    def close(self) -> None:
        """End everything."""
        if not self._started:
            self._server.start()  # what never started does not give its port back
        self.drain(0.0)
        self._server.stop(None)
        self._pool.shutdown()

    def _begin(self, context: Any) -> _Call:
        call = _Call(context, time.monotonic() + self._limits.request_s)
        self._calls.add(call)
        if not context.add_callback(lambda: self._calls.discard(call)):
            self._calls.discard(call)  # it has ended already
        return call

    def _unary(self, work: Callable[[bytes, Any], bytes]) -> Any:
        """A unary call, taken as a stream of one: so it is known before its request has come, and can be given up."""

        def answer(requests: Iterator[bytes], context: Any) -> bytes:
            call = self._begin(context)
            try:
                raw = next(requests, None)
                call.until = NEVER
                if raw is None:
                    raise BadRequest("the call ended without a request")
                made = work(raw, context)
            except EdgewrightError as error:
                self._desk.stray(error)
                call.until = self._reply_until(0)
                abort(context, error)
            call.until = self._reply_until(len(made))
            return made

        return grpc.stream_unary_rpc_method_handler(answer)

    def _stream(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        call = self._begin(context)
        call.until = NEVER  # between two requests a client may be silent: it is asked whether it is still there
        try:
            with self._room:
                if len(self._streams) >= self._limits.streams:
                    raise Crowded(f"{self._limits.streams} streams are open already; close one, or ask call by call")
                told = logged_stream(context) if self._access_log else None
                stream = Replies(self._find, self._desk, requests, context, told, self._regions)
                self._streams.add(stream)
            try:
                if self._over is not None:
                    stream.drain()
                for made in stream:
                    call.until = self._reply_until(len(made))
                    yield made
                    call.until = NEVER
            finally:
                self._streams.discard(stream)
        except EdgewrightError as error:
            call.until = self._reply_until(0)
            abort(context, error)

    def _reply_until(self, size: int) -> float:
        return time.monotonic() + self._limits.reply_s + size / _BYTES_A_SECOND


class _Call:
    """A call that goes on, and the time until which its client has something to do (``NEVER``: it is our turn)."""

    __slots__ = ("context", "until")

    def __init__(self, context: Any, until: float) -> None:
        self.context, self.until = context, until


def _plain(call: Callable[[Any], Any], kind: Any) -> Callable[[bytes, Any], bytes]:
    """``call`` from bytes to bytes."""

    def work(raw: bytes, context: Any) -> bytes:
        made: bytes = call(parse(kind, raw)).SerializeToString()
        return made

    return work


class _Guard(grpc.ServerInterceptor):  # type: ignore[misc]
    """Lets calls pass whose bearer token is known."""

    def __init__(self, check: Callable[[str], bool]) -> None:
        self._check = check
        self._refuse = _refusing("this server asks for a token; send the metadata 'authorization: Bearer TOKEN'")
        self._unknown = _refusing("this token is not known here: it was revoked, or is another server's")

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """What answers the call: its own handler, or a refusal."""
        if details.method in _OPEN:
            return continuation(details)
        told = [value for key, value in details.invocation_metadata or () if key == "authorization"]
        scheme, _, token = told[0].partition(" ") if len(told) == 1 else ("", "", "")
        if scheme.lower() != "bearer" or not token.strip():
            return self._refuse
        return continuation(details) if self._check(token.strip()) else self._unknown


def _refusing(why: str) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        lambda request, context: context.abort(grpc.StatusCode.UNAUTHENTICATED, why)
    )


def _options(limits: RpcLimits) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", limits.message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_concurrent_streams", limits.calls),
        ("grpc.keepalive_time_ms", int(limits.silence_s * 1e3)),
        ("grpc.keepalive_timeout_ms", int(limits.pong_s * 1e3)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.max_connection_idle_ms", int(limits.idle_s * 1e3)),
        ("grpc.so_reuseport", 0),
    ]
