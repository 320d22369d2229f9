"""What the service tells about itself and its models: every call but inference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edgewright import __version__
from edgewright.runtime.faults import NotFound, NotReady, Unsupported
from edgewright.runtime.lanes.rpc.memory import Memory
from edgewright.runtime.lanes.rpc.schema import MESSAGES
from edgewright.runtime.lanes.rpc.settings import logged, traced
from edgewright.runtime.loading.waited import Waited
from edgewright.runtime.oip.metadata import config_parameters, metadata, platform, statistics
from edgewright.runtime.oip.regions import Regions
from edgewright.runtime.served import Served
from edgewright.runtime.service import Service

_EXTENSIONS = (
    "statistics",
    "model_configuration",
    "schedule_policy",
    "parameters",
    "classification",
    "model_repository",
)
_TYPE = "TYPE_"
_STATISTICS = tuple(MESSAGES["ModelStatistics"].DESCRIPTOR.fields_by_name)
_HARMLESS = frozenset({"unload_dependents"})
"""Parameters of loading and unloading that change nothing here: no model depends on another."""


class Answers:
    """What each call but inference is answered. ``regions`` None: clients may not use shared memory."""

    def __init__(self, service: Service, regions: Regions | None = None) -> None:
        self._service, self._repository = service, service.repository
        self._strict = service.table.strict_readiness
        self._loader, self._memory = Waited(service.loader), Memory(regions)

    def calls(self) -> Mapping[str, Callable[[Any], Any]]:
        """What answers each unary call: its request message to its reply. Raises Faults, and what control raises."""
        return {
            "ServerLive": lambda told: MESSAGES["ServerLiveResponse"](live=True),
            "ServerReady": lambda told: MESSAGES["ServerReadyResponse"](ready=self.ready()),
            "ServerMetadata": self._server,
            "ModelReady": self._ready,
            "ModelMetadata": self._metadata,
            "ModelConfig": self._config,
            "ModelStatistics": self._statistics,
            "RepositoryIndex": self._index,
            "RepositoryModelLoad": self._load,
            "RepositoryModelUnload": self._unload,
            "TraceSetting": self._trace,
            "LogSettings": logged,
            **self._memory.calls(),
        }

    def _server(self, told: Any) -> Any:
        extensions = [*_EXTENSIONS, *(["system_shared_memory"] if self._memory.offered else [])]
        return MESSAGES["ServerMetadataResponse"](name="edgewright", version=__version__, extensions=extensions)

    def ready(self) -> bool:
        """Whether the server is."""
        return not self._strict or all(entry.state == "READY" for entry in self._repository.index())

    def _ready(self, told: Any) -> Any:
        try:
            self._service.find(told.name, told.version)
        except (NotFound, NotReady):  # clients ask before they load it: an answer, not an error
            return MESSAGES["ModelReadyResponse"](ready=False)
        return MESSAGES["ModelReadyResponse"](ready=True)

    def _describe(self, told: Any) -> tuple[Served, dict[str, Any]]:
        served = self._service.find(told.name, told.version)
        name, signature = served.source.name, served.session.signature
        return served, metadata(name, self._repository.versions(name), platform(served), signature)

    def _metadata(self, told: Any) -> Any:
        return MESSAGES["ModelMetadataResponse"](**self._describe(told)[1])

    def _config(self, told: Any) -> Any:
        served, known = self._describe(told)
        batched = served.most_rows > 1  # then, and only then, sizes are told without the batch's axis
        made = MESSAGES["ModelConfig"](
            name=known["name"], platform=known["platform"], backend=served.source.engine,
            max_batch_size=served.most_rows if batched else 0,
        )  # fmt: skip
        for side, tensors in ((made.input, known["inputs"]), (made.output, known["outputs"])):
            for tensor in tensors:
                kind = "STRING" if tensor["datatype"] == "BYTES" else tensor["datatype"]
                side.add(name=tensor["name"], data_type=_TYPE + kind, dims=tensor["shape"][1 if batched else 0 :])
        for key, value in config_parameters(served).items():
            made.parameters[key].string_value = value
        if batched:
            made.dynamic_batching.preferred_batch_size.extend(served.preferred)
            made.dynamic_batching.max_queue_delay_microseconds = int(served.delay_s * 1e6)
        return MESSAGES["ModelConfigResponse"](config=made)

    def _statistics(self, told: Any) -> Any:
        if told.name and told.version:
            chosen = [self._repository.find(told.name, told.version)]
        elif told.name:
            self._repository.find(told.name)
            chosen = [self._repository.find(told.name, known) for known in self._repository.versions(told.name)]
        else:
            chosen = self._repository.ready()
        made = MESSAGES["ModelStatisticsResponse"]()
        for served in chosen:
            known = statistics(served)
            made.model_stats.add(**{key: known[key] for key in _STATISTICS})
        return made

    def _index(self, told: Any) -> Any:
        made = MESSAGES["RepositoryIndexResponse"]()
        for entry in self._repository.index():
            if entry.state == "READY" or not told.ready:
                made.models.add(name=entry.name, version=entry.version, state=entry.state, reason=entry.reason)
        return made

    def _load(self, told: Any) -> Any:
        _check(told)
        self._loader.load(told.model_name)
        return MESSAGES["RepositoryModelLoadResponse"]()

    def _unload(self, told: Any) -> Any:
        _check(told)
        self._loader.unload(told.model_name)
        return MESSAGES["RepositoryModelUnloadResponse"]()

    def _trace(self, told: Any) -> Any:
        if told.model_name:
            self._repository.find(told.model_name)
        return traced(told)


def _check(told: Any) -> None:
    odd = sorted(set(told.parameters) - _HARMLESS)
    if odd:
        raise Unsupported(f"the parameter {odd[0][:60]!r} is not taken: a model is served as it lies in the folder")
