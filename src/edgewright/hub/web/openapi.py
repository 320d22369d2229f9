"""The OpenAPI document: problems, idempotency keys and what each route asks of its caller are in it, from one place."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from edgewright.hub.web.problems import KINDS, MEDIA

_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "description": "urn:edgewright:problem:KIND"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what happened and what to do"},
        "instance": {"type": "string", "description": "the request's id, which the hub's log has too"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"where": {"type": "string"}, "told": {"type": "string"}},
                "required": ["where", "told"],
            },
        },
    },
    "examples": [
        {
            "type": "urn:edgewright:problem:not-found", "title": "There is no such thing", "status": 404,
            "detail": "there is no user 'usr_01jd7x3w9q4e5r6t7y8a9b0c1d'",
            "instance": "urn:edgewright:request:req_01jd7x3w9q4e5r6t7y8a9b0c1e",
        }
    ],
}  # fmt: skip
_KEY = {
    "name": "Idempotency-Key", "in": "header", "required": False,
    "description": "8 to 200 printable characters of the client's choice: the same request with the same key is "
    "carried out once, and answered alike for a day where it has an answer (a DELETE that is done is 404 then)",
    "schema": {"type": "string", "minLength": 8, "maxLength": 200, "pattern": "^[!-~]+$"},
    "example": "6f1d5b8e-7c53-4c38-9b60-3f0a6de1c2aa",
}  # fmt: skip
_END = re.compile(r"[.:;](?: |$)")
_VERBS = ("get", "put", "post", "patch", "delete")


def describe(app: FastAPI) -> dict[str, Any]:
    """The document of all routes that are in ``app`` now."""
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    parts = document.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    parts["responses"] = {kind: _response(status, title) for kind, (status, title) in KINDS.items()}
    for path in document["paths"].values():
        for verb in _VERBS:
            if verb in path:
                _complete(path[verb], verb)
    return document


def _response(status: int, title: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "description": title, "content": {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    }  # fmt: skip
    if status in (429, 503):
        made["headers"] = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
    return made


def _complete(operation: dict[str, Any], verb: str) -> None:
    """One operation: its first sentence as the summary, the problems it can answer, what it asks for, and the
    idempotency key."""
    told = " ".join(operation.get("description", "").split())
    operation["summary"] = _END.split(told, maxsplit=1)[0] or operation["summary"]
    scopes = sorted({scope for one in operation.get("security", ()) for needed in one.values() for scope in needed})
    if scopes:
        operation["description"] = (
            f"{operation.get('description', '')}\n\nTakes the permission {', '.join(scopes)}.".strip()
        )
        operation["x-permission"] = scopes[0]
    if "security" in operation:
        optional = {} in operation["security"]  # a link does as well
        # One credential is enough; FastAPI lists them as if both were asked for.
        operation["security"] = [{name: []} for one in operation["security"] for name in one]
        unique = {next(iter(one)): one for one in operation["security"]}
        operation["security"] = [*unique.values(), *([{}] if optional else [])]
        if verb != "get":
            operation.setdefault("parameters", []).append(_KEY)
    responses = operation["responses"]
    for kind, (status, _) in KINDS.items():
        if kind != "password-change-needed":
            reference = {"$ref": f"#/components/responses/{kind}"}
            if str(status) == "422" or str(status) not in responses:
                responses[str(status)] = reference
