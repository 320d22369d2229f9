"""The protocol over HTTP: paths and verbs to answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from edgewright import __version__
from edgewright.core.errors import EdgewrightError
from edgewright.runtime.access import CHALLENGE, granted
from edgewright.runtime.aside import step
from edgewright.runtime.faults import Fault, Forbidden, NotFound, NotReady, Unsupported, fault_of
from edgewright.runtime.lanes.http import JSON, Answer, Handler, Head, Reply, fault_reply
from edgewright.runtime.lanes.loop import Loop
from edgewright.runtime.lanes.stream import Body, GiveUp
from edgewright.runtime.oip.admin import change, index, read_object, register, status
from edgewright.runtime.oip.inference import Inference
from edgewright.runtime.oip.metadata import config, metadata, parameters, platform, statistics
from edgewright.runtime.oip.settings import LOG, TRACE, settings
from edgewright.runtime.oip.splitting import SplitInference
from edgewright.runtime.served import Served
from edgewright.runtime.service import Service
from edgewright.runtime.tokens import ANY, INFER, MANAGE, READ, lacking

Endpoint = Callable[..., Any]
"""Given the body and what the path names, returns the JSON value of the reply."""
_MODEL = r"/v2/models/([^/]+)(?:/versions/([^/]+))?"
_SYSTEM, _CUDA = (rf"/v2/{kind}sharedmemory(?:/region/([^/]+))?" for kind in ("system", "cuda"))


class Routes:
    """Answers requests, on the thread of ``loop``."""

    def __init__(self, service: Service, loop: Loop) -> None:
        self._service, self._repository = service, service.repository
        repository = service.repository
        self._desk, self._splits, self._control, self._later = service.desk, service.splits, service.loader, loop.call
        self._strict = service.table.strict_readiness
        self._regions = service.regions
        desk, splits = self._desk, self._splits
        self.inference = (
            SplitInference(repository, desk, loop, splits, self._regions, service.limits)
            if splits else Inference(repository, desk, loop, self._regions, service.limits)
        )  # fmt: skip
        table: dict[str, tuple[str, Mapping[str, Endpoint]]] = {
            r"/v2": (ANY, {"GET": self._server}),
            r"/v2/health/live": (ANY, {"GET": lambda body: {"live": True}}),
            r"/v2/health/ready": (ANY, {"GET": self._server_ready}),
            r"/v2/models/stats": (READ, {"GET": self._stats}),
            r"/v2/repository/index": (ANY, {"POST": lambda body: index(repository, body)}),
            r"/v2/logging": (ANY, {"GET": self._log, "POST": self._log}),
            r"/v2/trace/setting": (ANY, {"GET": self._trace, "POST": self._trace}),
            r"/v2/models/([^/]+)/trace/setting": (ANY, {"GET": self._trace, "POST": self._trace}),
            _MODEL: (ANY, {"GET": self._metadata}),
            _MODEL + "/ready": (ANY, {"GET": self._ready}),
            _MODEL + "/stats": (READ, {"GET": self._stats}),
            _MODEL + "/config": (ANY, {"GET": self._config}),
            _SYSTEM + "/status": (INFER, {"GET": lambda body, name: status(self._regions, name)}),
            _SYSTEM + "/register": (INFER, {"POST": lambda body, name: register(self._regions, name, body)}),
            _SYSTEM + "/unregister": (INFER, {"POST": self._unregister}),
            # What is never registered can be listed and forgotten: clients do so before they begin.
            _CUDA + "/status": (INFER, {"GET": lambda body, name: status(None, name)}),
            _CUDA + "/unregister": (INFER, {"POST": lambda body, name: None}),
            _CUDA + "/register": (INFER, {"POST": self._no_cuda}),
        }
        self._table = [(re.compile(path), *told) for path, told in table.items()]

    def __call__(self, head: Head, body: Body, answer: Answer) -> GiveUp | None:
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
        """Leave undone what is done aside."""
        self.inference.close()

    def _route(self, head: Head) -> Handler:
        path = head.target.partition("?")[0].rstrip("/")
        found = re.fullmatch(_MODEL + "/infer", path)
        if found is not None:
            _verb(head, ("POST",))
            allow(head, INFER)
            return self.inference.handler(head, unquote(found[1]), unquote(found[2] or ""))
        found = re.fullmatch("/v2/repository/models/([^/]+)/(load|unload)", path)
        if found is not None:
            _verb(head, ("POST",))
            allow(head, MANAGE)
            name, what = unquote(found[1]), found[2]
            return lambda head, body, answer: change(self._control, name, what, body, answer, self._later)
        for pattern, role, verbs in self._table:
            found = pattern.fullmatch(path)
            if found is not None:
                endpoint = verbs[_verb(head, verbs)]
                allow(head, role)
                parts = [unquote(part or "") for part in found.groups()]
                if endpoint == self._stats and not parts:  # of all models, half a millisecond each
                    return lambda head, body, answer: self._aside(lambda: _json(self._stats(body)), answer)
                return lambda head, body, answer: answer(_json(endpoint(body, *parts)))
        raise NotFound(f"there is nothing at {path[:100] or '/'}; the protocol's paths begin with /v2")

    def _aside(self, work: Callable[[], Reply], answer: Answer) -> GiveUp:
        """Answer with what ``work`` comes to, while the loop goes on."""

        def done(reply: Reply | None, error: Exception | None) -> None:
            answer(_error(fault_of(error)) if reply is None else reply)

        return self.inference.aside.run(0, step(work), done).give_up

    def _server(self, body: Body) -> dict[str, Any]:
        extensions = ["binary_tensor_data", "statistics", "model_configuration", "schedule_policy", "parameters",
                      "classification", "model_repository"]  # fmt: skip
        extensions += ["system_shared_memory"] if self._regions is not None else []
        return {"name": "edgewright", "version": __version__, "extensions": extensions}

    def _server_ready(self, body: Body) -> dict[str, Any]:
        entries = list(self._repository.index())
        missing = [entry.name for entry in entries if entry.state != "READY"]
        if self._strict and missing:
            raise NotReady(f"not ready: {', '.join(missing)}; the repository index says why")
        models = sorted({entry.name for entry in entries if entry.state == "READY"})
        return {"live": True, "ready": True, "models": models}

    def _ready(self, body: Body, name: str, version: str) -> dict[str, Any]:
        served = self._service.find(name, version)
        if served.reason:
            raise NotReady(f"model {name!r} does not answer: {served.reason}")
        return {"name": name, "ready": True, "version": served.source.version}

    def _metadata(self, body: Body, name: str, version: str) -> dict[str, Any]:
        served, shares = self._service.find(name, version), self._service.shares(name, version)
        told = metadata(name, self._repository.versions(name), platform(served), served.session.signature)
        return {**told, "parameters": {**parameters(served), **({"split": shares} if shares else {})}}

    def _config(self, body: Body, name: str, version: str) -> dict[str, Any]:
        return config(self._service.find(name, version))

    def _stats(self, body: Body, name: str = "", version: str = "") -> dict[str, Any]:
        if not name:
            chosen = self._repository.ready()
        elif version:
            chosen = [self._repository.find(name, version)]
        else:  # all versions, that first which answers who names none
            first = self._service.find(name)
            every = [self._repository.find(name, known) for known in self._repository.versions(name)]
            chosen = [first, *(served for served in every if served is not first)]
        splits = {"splits": self._splits.report()} if self._splits else {}
        return {"model_stats": [self._told(served) for served in chosen], **splits, **self._desk.report()}

    def _told(self, served: Served) -> dict[str, Any]:
        """One version's statistics."""
        return statistics(served)

    def _trace(self, body: Body, name: str = "") -> dict[str, Any]:
        if name:
            self._repository.find(name)
        return settings(TRACE, read_object(body))

    def _log(self, body: Body) -> dict[str, Any]:
        return settings(LOG, read_object(body))

    def _unregister(self, body: Body, name: str) -> None:
        if self._regions is not None:
            self._regions.unregister(name)

    def _no_cuda(self, body: Body, name: str) -> None:
        raise Unsupported("CUDA shared memory is not supported; use system shared memory, or send the tensors")


class _Refused(Fault):
    """``header``: the line that says so, too."""

    header = b""


class _WrongVerb(_Refused):
    status, kind = 405, "bad_request"


class _WrongRole(_Refused, Forbidden):
    pass


def allow(head: Head, role: str) -> None:
    """Raise Forbidden where a token came with the head that does not have this role; any token has ``ANY``."""
    roles = granted(head)
    if roles is not None and role != ANY and role not in roles:
        fault = _WrongRole(lacking(role, roles))
        fault.header = CHALLENGE % b', error="insufficient_scope", scope="%s"' % role.encode()
        raise fault


def _verb(head: Head, verbs: Mapping[str, Any] | tuple[str, ...]) -> str:
    method = "GET" if head.method == "HEAD" else head.method
    if method in verbs:
        return method
    fault = _WrongVerb(f"{head.method} is not what {head.target[:100]} takes; use {' or '.join(verbs)}")
    fault.header = b"Allow: %s\r\n" % ", ".join([*verbs, *(["HEAD"] if "GET" in verbs else [])]).encode()
    raise fault


def _error(error: EdgewrightError) -> Reply:
    if not isinstance(error, Fault):
        return fault_reply(500, str(error))
    status, more, told = fault_reply(error.status, str(error), error.retry_s)
    return status, more + (error.header if isinstance(error, _Refused) else b""), told


def _json(value: Any) -> Reply:
    """None is a reply without a body."""
    return (200, b"", b"") if value is None else (200, JSON, json.dumps(value).encode())
