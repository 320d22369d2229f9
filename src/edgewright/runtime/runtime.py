"""Runtime: models served in this process. The HTTP and socket lanes stand on it; a program may use it alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from numpy.typing import NDArray

from edgewright.runtime.desk import PRIORITY, Desk
from edgewright.runtime.faults import Gone
from edgewright.runtime.loading.loader import Loader, Settings
from edgewright.runtime.repository import Repository
from edgewright.runtime.scheduling.scheduler import Scheduler

Arrays = Mapping[str, NDArray[Any]]


class Runtime:
    """Serves the bundle, model file or folder of them at ``path``, one run at a time.

    Raises what keeps a single bundle or model from loading. Close it, or use it in a ``with``.
    """

    def __init__(self, path: str | Path) -> None:
        self.repository, self.scheduler = Repository(), Scheduler()
        self.desk = Desk(self.scheduler)
        self._loader = Loader(self.repository, self.scheduler, Settings(Path(path)))
        try:
            self._loader.start()
        except BaseException:
            self.close()
            raise

    def infer(
        self, inputs: Arrays, model: str = "", *, deadline_ms: float | None = None, priority: int = PRIORITY
    ) -> Arrays:
        """The outputs by name. ``model``: which one, where several are served; ``name:version`` for one version.

        Raises BadRequest, NotFound, NotReady; with ``deadline_ms``, Infeasible, Expired or Overloaded instead of an
        answer that comes too late.
        """
        name, _, version = model.partition(":")
        timeout_s = None if deadline_ms is None else deadline_ms / 1e3
        while True:
            try:
                return self.desk.wait(self.repository.find(name, version), inputs, timeout_s, priority)
            except Gone:  # replaced just now: its successor answers
                continue

    def close(self) -> None:
        """Finish what waits, and close every model."""
        self.scheduler.close()
        self._loader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
