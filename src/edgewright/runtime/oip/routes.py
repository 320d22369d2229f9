"""The protocol over HTTP: paths and verbs to answers."""

from __future__ import annotations

import json
import re
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from edgewright import __version__
from edgewright.core.errors import EdgewrightError
from edgewright.runtime.faults import BadRequest, Fault, Infeasible, NotFound
from edgewright.runtime.lanes.http import Answer, Head, Reply
from edgewright.runtime.oip.messages import Plan, Wanted, metadata, plan, reply
from edgewright.runtime.oip.types import datatype
from edgewright.runtime.repository import Repository
from edgewright.runtime.scheduling.batches import key, rows
from edgewright.runtime.scheduling.line import NEVER
from edgewright.runtime.scheduling.scheduler import Job, Scheduler
from edgewright.runtime.served import Served

Arrays = Mapping[str, NDArray[Any]]
_JSON = b"Content-Type: application/json\r\n"
_MIXED = b"Content-Type: application/octet-stream\r\nInference-Header-Content-Length: %d\r\n"
_SHORT_S = 0.0003
"""Runs below this happen on the loop's own thread: handing them over would take longer (facts: a hop costs 65 us)."""
_MEMO = 256
_EXTENSIONS = ("binary_tensor_data", "statistics", "model_configuration")
_MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/(ready|infer|stats|config))?")
_now = time.perf_counter


class Routes:
    """Answers requests. ``later`` runs a function on the thread that answers (the loop's ``call``)."""

    def __init__(
        self, repository: Repository, scheduler: Scheduler, later: Callable[[Callable[[], None]], None]
    ) -> None:
        self._repository, self._scheduler, self._later = repository, scheduler, later
        self._plans: OrderedDict[bytes, Plan] = OrderedDict()
        self._heads: OrderedDict[Any, bytes] = OrderedDict()

    def __call__(self, head: Head, body: bytes, answer: Answer) -> None:
        """Answer one request, at once or later."""
        call = head.memo.get("call")
        try:
            if call is None:
                call = head.memo["call"] = self._route(head)
            call(head, body, answer)
        except Fault as fault:
            answer(_fault(fault.status, str(fault)))
        except EdgewrightError as error:
            answer(_fault(500, str(error)))

    def _route(self, head: Head) -> Callable[[Head, bytes, Answer], None]:
        path = head.target.partition("?")[0].rstrip("/")
        fixed: dict[str, Callable[[], Any]] = {
            "/v2": self._server, "/v2/health/live": dict, "/v2/health/ready": dict, "/v2/models/stats": self._stats,
        }  # fmt: skip
        if path in fixed:
            _only(head, "GET")
            return lambda head, body, answer: answer(_json(fixed[path]()))
        if path == "/v2/repository/index":
            _only(head, "POST")
            return lambda head, body, answer: answer(_json([vars(e) for e in self._repository.index()]))
        found = _MODEL.fullmatch(path)
        if found is None:
            raise NotFound(f"there is nothing at {path[:100]}")
        name, version, what = found[1], found[2] or "", found[3]
        if what == "infer":
            _only(head, "POST")
            told = head.headers.get("inference-header-content-length")
            if told is not None and not (told.isascii() and told.isdigit() and len(told) < 16):
                raise BadRequest("Inference-Header-Content-Length is no number")
            length = None if told is None else int(told)
            encoding = head.headers.get("content-encoding", "identity").lower()
            return lambda head, body, answer: self._infer(name, version, length, _plain(body, encoding), answer)
        _only(head, "GET")
        answers = {None: self._metadata, "ready": self._ready, "stats": self._stats, "config": self._config}[what]
        return lambda head, body, answer: answer(_json(answers(name, version)))

    def _server(self) -> dict[str, Any]:
        return {"name": "edgewright", "version": __version__, "extensions": list(_EXTENSIONS)}

    def _ready(self, name: str, version: str) -> dict[str, Any]:
        served = self._repository.find(name, version)
        return {"name": name, "ready": True, "version": served.source.version}

    def _metadata(self, name: str, version: str) -> dict[str, Any]:
        served = self._repository.find(name, version)
        platform = f"{served.source.engine}_{served.source.model.format}"
        return metadata(name, self._repository.versions(name), platform, served.session.signature)

    def _config(self, name: str, version: str) -> dict[str, Any]:
        served = self._repository.find(name, version)
        told = metadata(name, self._repository.versions(name), served.source.engine, served.session.signature)
        tensors = [
            [{"name": t["name"], "data_type": f"TYPE_{t['datatype']}", "dims": t["shape"][1:]} for t in told[side]]
            for side in ("inputs", "outputs")
        ]
        return {"name": name, "platform": told["platform"], "max_batch_size": served.most_rows, "input": tensors[0],
                "output": tensors[1]}  # fmt: skip

    def _stats(self, name: str = "", version: str = "") -> dict[str, Any]:
        chosen = [self._repository.find(name, version)] if name else list(self._repository.ready())
        return {"model_stats": [_statistics(served) for served in chosen]}

    def _infer(self, name: str, version: str, length: int | None, body: bytes, answer: Answer) -> None:
        served = self._repository.find(name, version)
        size = len(body) if length is None else length
        if size > len(body):
            raise BadRequest(f"Inference-Header-Content-Length is {size}, the body has {len(body)} bytes")
        raw = body if size == len(body) else body[:size]
        asked = self._plans.get(raw)
        if asked is None:
            asked = self._plans[raw] = plan(raw)
            if len(self._plans) > _MEMO:
                self._plans.popitem(last=False)
        inputs = asked.inputs(memoryview(body)[size:])
        timeout = asked.request.timeout_s
        mean = served.times.mean()
        if timeout is not None and mean > timeout:
            served.stats.faults["infeasible"] += 1
            raise Infeasible(f"a run takes {1e3 * mean:.3g} ms, it has {1e3 * timeout:.3g} ms")
        end = self._scheduler.enter(served) if mean < _SHORT_S else 0.0
        if end:
            try:
                outputs = served.infer(inputs)
            finally:
                self._scheduler.leave(end)
            answer(self._reply(served, asked, outputs))
            return
        self._hand_over(served, asked, inputs, timeout, answer)

    def _hand_over(self, served: Served, asked: Plan, inputs: Arrays, timeout: float | None, answer: Answer) -> None:
        def done(outputs: Any, fault: Fault | None) -> None:
            def tell() -> None:
                if fault is not None:
                    served.stats.faults[fault.kind] += 1
                    answer(_fault(fault.status, str(fault)))
                    return
                try:
                    answer(self._reply(served, asked, outputs))
                except Fault as wrong:
                    answer(_fault(wrong.status, str(wrong)))

            self._later(tell)

        deadline = NEVER if timeout is None else _now() + timeout
        job = Job(served, inputs, done, deadline, asked.request.priority or 2)
        if served.most_rows > 1:
            job.rows, job.key = rows(inputs), key(inputs)
        try:
            self._scheduler.submit(job)
        except Fault as fault:
            served.stats.faults[fault.kind] += 1
            raise

    def _reply(self, served: Served, asked: Plan, outputs: Mapping[str, NDArray[Any]]) -> Reply:
        request, source = asked.request, served.source
        kinds = {spec.name: datatype(spec.dtype) for spec in served.session.signature.outputs}
        wanted = request.outputs or tuple(Wanted(name, request.binary) for name in outputs)
        for one in wanted:
            if one.name not in outputs:
                raise BadRequest(f"the model has no output {one.name!r}; it has: {', '.join(outputs)}")
        told, tensors = reply(source.name, source.version, request.id, outputs, kinds, wanted)
        if not tensors:
            return 200, _JSON, told
        return 200, _MIXED % len(told), b"".join((told, *tensors))


def _statistics(served: Served) -> dict[str, Any]:
    stats = served.stats
    compute, queue = stats.compute.sketch(), stats.queue.sketch()
    failed = sum(stats.faults.values())

    def told(count: int, seconds: float) -> dict[str, int]:
        return {"count": count, "ns": int(seconds * 1e9)}

    return {
        "name": served.source.name, "version": served.source.version, "inference_count": stats.rows,
        "execution_count": compute.count,
        "inference_stats": {
            "success": told(stats.requests, stats.compute.total + stats.queue.total), "fail": told(failed, 0.0),
            "queue": told(queue.count, stats.queue.total), "compute_infer": told(compute.count, stats.compute.total),
        },
        "batch_stats": [
            {"batch_size": size, "compute_infer": {"count": n}} for size, n in sorted(stats.batches.items())
        ],
    }  # fmt: skip


def _only(head: Head, method: str) -> None:
    if head.method != method and not (method == "GET" and head.method == "HEAD"):
        raise _WrongVerb(f"{head.method} is not what {head.target[:100]} takes; use {method}")


class _WrongVerb(Fault):
    status = 405
    kind = "bad_request"


def _plain(body: bytes, encoding: str, most: int = 256 * 2**20) -> bytes:
    if encoding == "identity":
        return body
    if encoding not in ("gzip", "deflate"):
        raise BadRequest(f"Content-Encoding {encoding[:20]!r} is not known; use gzip or deflate")
    reader = zlib.decompressobj(31 if encoding == "gzip" else 15)
    try:
        found = reader.decompress(body, most)
    except zlib.error as error:
        raise BadRequest(f"the body is no {encoding}: {error}") from error
    if reader.unconsumed_tail or not reader.eof:
        raise BadRequest(f"the body is cut short, or holds more than {most:,} bytes")
    return found


def _json(value: Any) -> Reply:
    return 200, _JSON, json.dumps(value).encode()


def _fault(status: int, why: str) -> Reply:
    return status, _JSON, json.dumps({"error": why}).encode()


__all__ = ["Routes"]
