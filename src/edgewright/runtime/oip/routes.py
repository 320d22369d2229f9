"""The protocol over HTTP: paths and verbs to answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from edgewright import __version__
from edgewright.core.errors import EdgewrightError
from edgewright.runtime.desk import Desk
from edgewright.runtime.experiments.splits import Splits
from edgewright.runtime.faults import Fault, NotFound, NotReady, Unsupported
from edgewright.runtime.lanes.http import JSON, Answer, Handler, Head, Reply, fault_reply
from edgewright.runtime.lanes.loop import Loop
from edgewright.runtime.lanes.stream import GiveUp
from edgewright.runtime.oip.admin import Control, change, index, read_object, register, status
from edgewright.runtime.oip.inference import Inference
from edgewright.runtime.oip.metadata import config, metadata, parameters, platform, statistics
from edgewright.runtime.oip.regions import Regions
from edgewright.runtime.oip.settings import LOG, TRACE, settings
from edgewright.runtime.oip.splitting import SplitInference
from edgewright.runtime.repository import Repository
from edgewright.runtime.served import Served

Endpoint = Callable[..., Any]
"""Given the body and what the path names, returns the JSON value of the reply."""
_MODEL = r"/v2/models/([^/]+)(?:/versions/([^/]+))?"
_SYSTEM, _CUDA = (rf"/v2/{kind}sharedmemory(?:/region/([^/]+))?" for kind in ("system", "cuda"))


class Routes:
    """Answers requests, on the thread of ``loop``.

    ``splits``: how models with several versions are shared out. ``control`` loads and unloads models, where that is
    wanted. ``strict``: the server is ready only while all its models are. ``local``: only this machine can reach it,
    and so clients may use its shared memory.
    """

    def __init__(
        self, repository: Repository, desk: Desk, loop: Loop,
        splits: Splits | None = None, control: Control | None = None, strict: bool = False, local: bool = False,
    ) -> None:  # fmt: skip
        self._desk, self._splits = desk, splits
        self._repository, self._later, self._control, self._strict = repository, loop.call, control, strict
        self.regions = Regions() if local else None
        self.inference = (
            SplitInference(repository, desk, loop, splits, self.regions)
            if splits else Inference(repository, desk, loop, self.regions)
        )  # fmt: skip
        table: dict[str, Mapping[str, Endpoint]] = {
            r"/v2": {"GET": self._server},
            r"/v2/health/live": {"GET": lambda body: {"live": True}},
            r"/v2/health/ready": {"GET": self._server_ready},
            r"/v2/models/stats": {"GET": self._stats},
            r"/v2/repository/index": {"POST": lambda body: index(repository, body)},
            r"/v2/logging": {"GET": self._log, "POST": self._log},
            r"/v2/trace/setting": {"GET": self._trace, "POST": self._trace},
            r"/v2/models/([^/]+)/trace/setting": {"GET": self._trace, "POST": self._trace},
            _MODEL: {"GET": self._metadata},
            _MODEL + "/ready": {"GET": self._ready},
            _MODEL + "/stats": {"GET": self._stats},
            _MODEL + "/config": {"GET": self._config},
            _SYSTEM + "/status": {"GET": lambda body, name: status(self.regions, name)},
            _SYSTEM + "/register": {"POST": lambda body, name: register(self.regions, name, body)},
            _SYSTEM + "/unregister": {"POST": self._unregister},
            # What is never registered can be listed and forgotten: clients do so before they begin.
            _CUDA + "/status": {"GET": lambda body, name: status(None, name)},
            _CUDA + "/unregister": {"POST": lambda body, name: None},
            _CUDA + "/register": {"POST": self._no_cuda},
        }
        self._table = [(re.compile(path), verbs) for path, verbs in table.items()]

    def __call__(self, head: Head, body: bytes, answer: Answer) -> GiveUp | None:
        """Answer one request, at once or later."""
        call = head.memo.get("call")
        try:
            if call is None:
                call = head.memo["call"] = self._route(head)
            given: GiveUp | None = call(head, body, answer)
            return given
        except EdgewrightError as error:
            self._desk.stray(error)
            answer(_error(error))
        return None

    def close(self) -> None:
        """Give back what clients registered."""
        if self.regions is not None:
            self.regions.close()

    def _route(self, head: Head) -> Handler:
        path = head.target.partition("?")[0].rstrip("/")
        found = re.fullmatch(_MODEL + "/infer", path)
        if found is not None:
            _verb(head, ("POST",))
            return self.inference.handler(head, unquote(found[1]), unquote(found[2] or ""))
        found = re.fullmatch("/v2/repository/models/([^/]+)/(load|unload)", path)
        if found is not None:
            _verb(head, ("POST",))
            name, what = unquote(found[1]), found[2]
            return lambda head, body, answer: change(self._control, name, what, body, answer, self._later)
        for pattern, verbs in self._table:
            found = pattern.fullmatch(path)
            if found is not None:
                endpoint = verbs[_verb(head, verbs)]
                parts = [unquote(part or "") for part in found.groups()]
                return lambda head, body, answer: answer(_json(endpoint(body, *parts)))
        raise NotFound(f"there is nothing at {path[:100] or '/'}; the protocol's paths begin with /v2")

    def _server(self, body: bytes) -> dict[str, Any]:
        extensions = ["binary_tensor_data", "statistics", "model_configuration", "schedule_policy", "parameters",
                      "classification"]  # fmt: skip
        extensions += ["model_repository"] if self._control is not None else []
        extensions += ["system_shared_memory"] if self.regions is not None else []
        return {"name": "edgewright", "version": __version__, "extensions": extensions}

    def _server_ready(self, body: bytes) -> dict[str, Any]:
        entries = list(self._repository.index())
        missing = [entry.name for entry in entries if entry.state != "READY"]
        if self._strict and missing:
            raise NotReady(f"not ready: {', '.join(missing)}; the repository index says why")
        models = sorted({entry.name for entry in entries if entry.state == "READY"})
        return {"live": True, "ready": True, "models": models}

    def _ready(self, body: bytes, name: str, version: str) -> dict[str, Any]:
        served = self._repository.find(name, version)
        if served.reason:
            raise NotReady(f"model {name!r} does not answer: {served.reason}")
        return {"name": name, "ready": True, "version": served.source.version}

    def _metadata(self, body: bytes, name: str, version: str) -> dict[str, Any]:
        served = self._repository.find(name, version)
        told = metadata(name, self._repository.versions(name), platform(served), served.session.signature)
        return {**told, "parameters": parameters(served)}

    def _config(self, body: bytes, name: str, version: str) -> dict[str, Any]:
        return config(self._repository.find(name, version))

    def _stats(self, body: bytes, name: str = "", version: str = "") -> dict[str, Any]:
        if not name:
            chosen = self._repository.ready()
        elif version:
            chosen = [self._repository.find(name, version)]
        else:  # all versions, that first which answers who names none
            first = self._repository.find(name)
            every = [self._repository.find(name, known) for known in self._repository.versions(name)]
            chosen = [first, *(served for served in every if served is not first)]
        splits = {"splits": self._splits.report()} if self._splits else {}
        return {"model_stats": [self._told(served) for served in chosen], **splits, **self._desk.report()}

    def _told(self, served: Served) -> dict[str, Any]:
        """One version's statistics."""
        return statistics(served)

    def _trace(self, body: bytes, name: str = "") -> dict[str, Any]:
        if name:
            self._repository.find(name)
        return settings(TRACE, read_object(body))

    def _log(self, body: bytes) -> dict[str, Any]:
        return settings(LOG, read_object(body))

    def _unregister(self, body: bytes, name: str) -> None:
        if self.regions is not None:
            self.regions.unregister(name)

    def _no_cuda(self, body: bytes, name: str) -> None:
        raise Unsupported("CUDA shared memory is not supported; use system shared memory, or send the tensors")


class _WrongVerb(Fault):
    status = 405
    kind = "bad_request"

    def __init__(self, why: str, allowed: list[str]) -> None:
        super().__init__(why)
        self.allowed = allowed


def _verb(head: Head, verbs: Mapping[str, Any] | tuple[str, ...]) -> str:
    method = "GET" if head.method == "HEAD" else head.method
    if method in verbs:
        return method
    allowed = [*verbs, *(["HEAD"] if "GET" in verbs else [])]
    raise _WrongVerb(f"{head.method} is not what {head.target[:100]} takes; use {' or '.join(verbs)}", allowed)


def _error(error: EdgewrightError) -> Reply:
    if not isinstance(error, Fault):
        return fault_reply(500, str(error))
    status, more, told = fault_reply(error.status, str(error), error.retry_s)
    if isinstance(error, _WrongVerb):
        more += b"Allow: %s\r\n" % ", ".join(error.allowed).encode()
    return status, more, told


def _json(value: Any) -> Reply:
    """None is a reply without a body."""
    return (200, b"", b"") if value is None else (200, JSON, json.dumps(value).encode())
