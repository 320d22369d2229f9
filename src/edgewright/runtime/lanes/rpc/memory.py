"""Shared memory's calls over gRPC: the regions are those of HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edgewright.runtime.faults import Unsupported
from edgewright.runtime.lanes.rpc.schema import MESSAGES
from edgewright.runtime.oip.admin import offered, status
from edgewright.runtime.oip.regions import Regions


class Memory:
    """``regions`` None: nothing can be registered, and nothing is."""

    def __init__(self, regions: Regions | None) -> None:
        self._regions, self.offered = regions, regions is not None

    def calls(self) -> Mapping[str, Callable[[Any], Any]]:
        """What answers each call. Raises BadRequest, NotFound, Unsupported."""
        return {
            "SystemSharedMemoryStatus": self._status,
            "SystemSharedMemoryRegister": self._register,
            "SystemSharedMemoryUnregister": self._unregister,
            # What is never registered can be listed and forgotten: clients do so before they begin.
            "CudaSharedMemoryStatus": self._no_cuda_status,
            "CudaSharedMemoryRegister": self._no_cuda,
            "CudaSharedMemoryUnregister": lambda told: MESSAGES["CudaSharedMemoryUnregisterResponse"](),
        }

    def _status(self, told: Any) -> Any:
        made = MESSAGES["SystemSharedMemoryStatusResponse"]()
        for one in status(self._regions, told.name):
            made.regions[one["name"]].MergeFrom(made.RegionStatus(**one))
        return made

    def _register(self, told: Any) -> Any:
        offered(self._regions).register(told.name, told.key, told.offset, told.byte_size)
        return MESSAGES["SystemSharedMemoryRegisterResponse"]()

    def _unregister(self, told: Any) -> Any:
        if self._regions is not None:
            self._regions.unregister(told.name)
        return MESSAGES["SystemSharedMemoryUnregisterResponse"]()

    def _no_cuda_status(self, told: Any) -> Any:
        status(None, told.name)
        return MESSAGES["CudaSharedMemoryStatusResponse"]()

    def _no_cuda(self, told: Any) -> Any:
        raise Unsupported("CUDA shared memory is not supported; use system shared memory, or send the tensors")
