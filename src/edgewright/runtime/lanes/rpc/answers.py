"""What the service tells about itself and its models: every call but inference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from edgewright import __version__
from edgewright.runtime.faults import NotFound, NotReady
from edgewright.runtime.lanes.rpc.schema import MESSAGES
from edgewright.runtime.lanes.rpc.statuses import Unsupported
from edgewright.runtime.oip.metadata import config_parameters, metadata
from edgewright.runtime.repository import Repository
from edgewright.runtime.served import Served

_EXTENSIONS = ("statistics", "model_configuration", "schedule_policy", "parameters", "classification")
_TYPE = "TYPE_"
_HARMLESS = frozenset({"unload_dependents"})
"""Parameters of loading and unloading that change nothing here: no model depends on another."""


class Control(Protocol):
    """Loads and unloads models by name. Both raise a Fault or another EdgewrightError, and may take their time."""

    def load(self, name: str) -> None:
        """Load the model, or load it again."""
        ...

    def unload(self, name: str) -> None:
        """Let the model answer what it was asked, and no more."""
        ...


class Answers:
    """``control`` None: loading and unloading are unsupported. ``strict``: ready only while all models are."""

    def __init__(self, repository: Repository, control: Control | None = None, strict: bool = False) -> None:
        self._repository, self._control, self._strict = repository, control, strict

    def calls(self) -> Mapping[str, Callable[[Any], Any]]:
        """What answers each unary call: its request message to its reply. Raises Faults, and what control raises."""
        calls: dict[str, Callable[[Any], Any]] = {
            "ServerLive": lambda told: MESSAGES["ServerLiveResponse"](live=True),
            "ServerReady": self._server_ready,
            "ServerMetadata": self._server,
            "ModelReady": self._ready,
            "ModelMetadata": self._metadata,
            "ModelConfig": self._config,
            "ModelStatistics": self._statistics,
            "RepositoryIndex": self._index,
            "RepositoryModelLoad": self._load,
            "RepositoryModelUnload": self._unload,
            "TraceSetting": self._trace,
            "LogSettings": self._log,
        }
        for memory in ("System", "Cuda"):
            for verb in ("Status", "Register", "Unregister"):
                calls[f"{memory}SharedMemory{verb}"] = _no_shared_memory
        return calls

    def _server(self, told: Any) -> Any:
        extensions = (*_EXTENSIONS, *(("model_repository",) if self._control is not None else ()))
        return MESSAGES["ServerMetadataResponse"](name="edgewright", version=__version__, extensions=extensions)

    def _server_ready(self, told: Any) -> Any:
        ready = not self._strict or all(entry.state == "READY" for entry in self._repository.index())
        return MESSAGES["ServerReadyResponse"](ready=ready)

    def _ready(self, told: Any) -> Any:
        try:
            self._repository.find(told.name, told.version)
        except (NotFound, NotReady):  # clients ask before they load it: an answer, not an error
            return MESSAGES["ModelReadyResponse"](ready=False)
        return MESSAGES["ModelReadyResponse"](ready=True)

    def _describe(self, told: Any) -> tuple[Served, dict[str, Any]]:
        served = self._repository.find(told.name, told.version)
        source = served.source
        platform = f"{source.engine}_{source.model.format}"
        return served, metadata(source.name, self._repository.versions(source.name), platform, served.session.signature)

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
            _count(served, made.model_stats.add())
        return made

    def _index(self, told: Any) -> Any:
        made = MESSAGES["RepositoryIndexResponse"]()
        for entry in self._repository.index():
            if entry.state == "READY" or not told.ready:
                made.models.add(name=entry.name, version=entry.version, state=entry.state, reason=entry.reason)
        return made

    def _load(self, told: Any) -> Any:
        self._checked(told).load(told.model_name)
        return MESSAGES["RepositoryModelLoadResponse"]()

    def _unload(self, told: Any) -> Any:
        self._checked(told).unload(told.model_name)
        return MESSAGES["RepositoryModelUnloadResponse"]()

    def _checked(self, told: Any) -> Control:
        if self._control is None:
            raise Unsupported("models are not loaded or unloaded by request here; the server was started without that")
        odd = sorted(set(told.parameters) - _HARMLESS)
        if odd:
            raise Unsupported(f"the parameter {odd[0][:60]!r} is not taken: a model is served as it lies in the folder")
        return self._control

    def _trace(self, told: Any) -> Any:
        if told.model_name:
            self._repository.find(told.model_name)
        _only_read(told, "requests are not traced here")
        made = MESSAGES["TraceSettingResponse"]()
        made.settings["trace_level"].value.append("OFF")
        return made

    def _log(self, told: Any) -> Any:
        _only_read(told, "the log is set where the server is started")
        return MESSAGES["LogSettingsResponse"]()


def _only_read(told: Any, why: str) -> None:
    if told.settings:
        raise Unsupported(f"{why}: {sorted(told.settings)[0][:60]!r} cannot be set")


def _no_shared_memory(told: Any) -> Any:
    raise Unsupported("shared memory is not offered over gRPC here; send the tensors themselves")


def _count(served: Served, made: Any) -> None:
    stats = served.stats
    compute, queue = stats.compute, stats.queue
    made.name, made.version = served.source.name, served.source.version
    made.inference_count, made.execution_count = stats.rows, compute.count
    told = made.inference_stats
    told.success.count, told.success.ns = stats.requests, int((compute.total + queue.total) * 1e9)
    told.fail.count = sum(stats.faults.values())
    told.queue.count, told.queue.ns = queue.count, int(queue.total * 1e9)
    told.compute_infer.count, told.compute_infer.ns = compute.count, int(compute.total * 1e9)
    for size, count in sorted(stats.batches.items()):
        made.batch_stats.add(batch_size=size).compute_infer.count = count
