"""gRPC: the Open Inference Protocol's service, with the extensions that Triton's clients use. The extra ``grpc``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright.core.errors import MissingExtra

if TYPE_CHECKING:
    from edgewright.runtime.lanes.rpc.lane import GrpcLane


def grpc_lane() -> type[GrpcLane]:
    """The lane's class. Raises MissingExtra where grpcio or protobuf is not installed."""
    try:
        from edgewright.runtime.lanes.rpc.lane import GrpcLane
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] in ("grpc", "google"):
            raise MissingExtra("gRPC", "grpc") from error
        raise
    return GrpcLane
