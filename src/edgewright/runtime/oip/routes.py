"""The protocol over HTTP: paths and verbs to answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from edgewright import __version__
from edgewright.core.errors import EdgewrightError
from edgewright.runtime.desk import Desk
from edgewright.runtime.experiments.splits import Splits
from edgewright.runtime.faults import Fault, NotFound
from edgewright.runtime.lanes.http import JSON, Answer, Head, Reply, fault_reply
from edgewright.runtime.oip.inference import Inference
from edgewright.runtime.oip.messages import metadata
from edgewright.runtime.oip.splitting import SplitInference
from edgewright.runtime.repository import Repository
from edgewright.runtime.served import Served

_EXTENSIONS = ("binary_tensor_data", "statistics", "model_configuration")
_MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/(ready|infer|stats|config))?")


class Routes:
    """Answers requests. ``later`` runs a function on the thread that answers (the loop's ``call``)."""

    def __init__(
        self, repository: Repository, desk: Desk, later: Callable[[Callable[[], None]], None],
        splits: Splits | None = None,
    ) -> None:  # fmt: skip
        self._repository, self._desk = repository, desk
        self.inference = (
            SplitInference(repository, desk, later, splits) if splits else Inference(repository, desk, later)
        )

    def __call__(self, head: Head, body: bytes, answer: Answer) -> None:
        """Answer one request, at once or later."""
        call = head.memo.get("call")
        try:
            if call is None:
                call = head.memo["call"] = self._route(head)
            call(head, body, answer)
        except Fault as fault:
            answer(fault_reply(fault.status, str(fault)))
        except EdgewrightError as error:
            answer(fault_reply(500, str(error)))

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
            return self.inference.handler(head, name, version)
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
        return {"model_stats": [_statistics(served) for served in chosen], **self._desk.report()}


def _statistics(served: Served) -> dict[str, Any]:
    stats = served.stats
    compute, queue = stats.compute, stats.queue
    failed = sum(stats.faults.values())

    def told(count: int, seconds: float) -> dict[str, int]:
        return {"count": count, "ns": int(seconds * 1e9)}

    return {
        "name": served.source.name, "version": served.source.version, "inference_count": stats.rows,
        "execution_count": compute.count,
        "inference_stats": {
            "success": told(stats.requests, compute.total + queue.total), "fail": told(failed, 0.0),
            "queue": told(queue.count, queue.total), "compute_infer": told(compute.count, compute.total),
            "cache_hit": told(stats.hits, 0.0), "cache_miss": told(stats.misses, 0.0),
        },
        "latency_trend": compute.trend().to_json(),
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


def _json(value: Any) -> Reply:
    return 200, JSON, json.dumps(value).encode()
