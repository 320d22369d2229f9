"""Runtime: models served in a program's own process, without a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgewright.core.closing import Closing
from edgewright.runtime.config import Config, load_config
from edgewright.runtime.faults import BadRequest, Gone
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.service import Service

Arrays = Mapping[str, NDArray[Any]]


class Runtime(Closing):
    """Serves the bundle, model file or folder of them at ``path``, one run of a model at a time.

    ``config``: a ``runtime.toml``. Raises what keeps a single bundle or model from loading. Close it, or use it in a
    ``with``.
    """

    def __init__(self, path: str | Path, *, config: str | Path | None = None) -> None:
        told = Config() if config is None else load_config(Path(config))
        self._service = service = Service.of(Settings(Path(path), config=told))
        self.repository, self.desk, self._splits = service.repository, service.desk, service.splits
        self.scheduler, self._labels = self.desk.scheduler, service.labels
        try:
            service.loader.start()
        except BaseException:
            self.close()
            raise

    def infer(
        self, inputs: Mapping[str, Any], model: str = "", *, deadline_ms: float | None = None, priority: int = 0,
        key: str | int | None = None, id: str = "",
    ) -> Arrays:  # fmt: skip
        """The outputs by name. ``inputs``: arrays by name; a model whose bundle declares a preprocessing also takes a
        JPEG, PNG or BMP file's bytes, or a list of them, and then answers with classes besides.

        ``model``: which one, where several are served; ``name:version`` for one version.
        ``key``: equal keys are answered by the same version, where versions share the requests.

        ``id``: names the request, so that the right classes can be told later (``label``).

        ``deadline_ms`` and ``priority`` (1 is the most urgent): what the configuration says, where they are not given.

        Raises BadRequest, NotFound, NotReady; with ``deadline_ms``, Infeasible, Expired or Overloaded instead of an
        answer that comes too late.
        """
        if type(inputs) is not dict and not isinstance(inputs, Mapping):
            raise BadRequest(f"inputs are arrays by name, got {type(inputs).__name__}; write {{'NAME': array}}")
        name, _, version = model.partition(":")
        timeout_s = None if deadline_ms is None else deadline_ms / 1e3
        while True:
            try:
                splits = self._splits
                served = splits.find(name, version, key) if splits else self.repository.find(name, version)
                asked = inputs if served.pipeline is None else served.pipeline.arrays(inputs)
                outputs = self.desk.wait(served, asked, timeout_s, priority)
            except Gone:  # replaced just now: its successor answers
                continue
            if id:
                self.desk.remember(served, id, outputs)
            return outputs

    def label(self, labels: Sequence[Mapping[str, Any]]) -> dict[str, int]:
        """The right classes of earlier requests: ``{"id": ..., "label": ...}``, as ``Labels.take`` has them, which says
        what became of them. They are told with the observations. Raises BadRequest."""
        return self._labels.take(labels)

    def close(self) -> None:
        """Finish what waits, and close every model."""
        self._service.close()
