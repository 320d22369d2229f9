"""The guard before gRPC's calls: TLS with a certificate that may be renewed, and tokens with their roles."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import grpc

from edgewright.runtime.faults import Fault, Forbidden, Unauthenticated
from edgewright.runtime.lanes.rpc.health import HEALTH
from edgewright.runtime.lanes.rpc.statuses import abort
from edgewright.runtime.lanes.tls import Certificate
from edgewright.runtime.tokens import ANY, INFER, MANAGE, READ, Tokens, bearer, lacking

SERVICE = "inference.GRPCInferenceService"
OPEN = ("ServerLive", "ServerReady", f"/{HEALTH}/Check")
"""Calls that need no token: they tell nothing, and whoever looks after the machine makes them."""
TAKES = {
    "ModelInfer": INFER, "ModelStreamInfer": INFER, "ModelStatistics": READ, "RepositoryModelLoad": MANAGE,
    "RepositoryModelUnload": MANAGE, "ServerMetadata": ANY, "ModelReady": ANY, "ModelMetadata": ANY, "ModelConfig": ANY,
    "RepositoryIndex": ANY, "TraceSetting": ANY, "LogSettings": ANY,
    **{f"{kind}SharedMemory{do}": INFER for kind in ("System", "Cuda") for do in ("Status", "Register", "Unregister")},
}  # fmt: skip
"""The role that each other call takes."""


def credentials(certificate: Certificate) -> Any:
    """For TLS, with the certificate as it was last read: each handshake looks whether it is another one."""
    told = certificate.pem

    def made() -> Any:
        return grpc.ssl_server_certificate_configuration([told])

    def renewed() -> Any:
        nonlocal told
        if certificate.pem is told:
            return None
        told = certificate.pem
        return made()

    return grpc.dynamic_ssl_server_credentials(made(), renewed)


class Guard(grpc.ServerInterceptor):  # type: ignore[misc]
    """Lets calls pass whose token may make them."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """What answers the call: its own handler, or a refusal."""
        name = details.method.removeprefix(f"/{SERVICE}/")
        if name in OPEN:
            return continuation(details)
        try:
            self.check(details.invocation_metadata, TAKES.get(name, ANY))
        except Fault as fault:
            return _refusing(fault)
        return continuation(details)

    def check(self, metadata: Iterable[tuple[str, Any]] | None, role: str) -> None:
        """Raise Unauthenticated or Forbidden unless the metadata hold a token with that role."""
        told = [value for key, value in metadata or () if key == "authorization"]
        token = bearer(told[0]) if len(told) == 1 and isinstance(told[0], str) else ""
        if not token:
            raise Unauthenticated("this server asks for a token; send the metadata 'authorization: Bearer TOKEN'")
        roles = self._tokens.roles(token)
        if not roles:
            raise Unauthenticated("this token is not known here: it was revoked, or is another server's")
        if role != ANY and role not in roles:
            raise Forbidden(lacking(role, roles))


def _refusing(fault: Fault) -> Any:
    return grpc.unary_unary_rpc_method_handler(lambda request, context: abort(context, fault))
