"""What is on: splits, shadows and the cache, put together once at the start. What is off is not on any path."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.runtime.cache import Cache
from edgewright.runtime.caching import CachingDesk
from edgewright.runtime.config import ALL, Config
from edgewright.runtime.desk import Desk
from edgewright.runtime.experiments.desk import ShadowDesk
from edgewright.runtime.experiments.shadow import Shadow, Shadows
from edgewright.runtime.experiments.split import Split
from edgewright.runtime.experiments.splits import Splits
from edgewright.runtime.repository import Repository
from edgewright.runtime.scheduling.scheduler import Scheduler


@dataclass(frozen=True)
class Experiments:
    """``cache_mb``: MiB of answers that are kept; 0 for none."""

    splits: tuple[Split, ...] = ()
    shadows: tuple[Shadow, ...] = ()
    cache_mb: float = 0.0

    @classmethod
    def of(cls, config: Config) -> Experiments:
        """What the configuration turns on. Raises InputError."""
        tables = [(name, table) for name, table in config.models.items() if name != ALL]
        return cls(
            tuple(Split.from_toml(name, table.split) for name, table in tables if table.split),
            tuple(Shadow.from_toml(name, table.shadow) for name, table in tables if table.shadow),
            config.server.cache_mb,
        )

    def desk(self, repository: Repository, scheduler: Scheduler) -> Desk:
        """The desk that does what is on. Raises InputError."""
        cache = Cache.of_megabytes(self.cache_mb)
        desk = Desk(scheduler) if cache is None else CachingDesk(scheduler, cache)
        return ShadowDesk(desk, Shadows(repository.find, scheduler, self.shadows)) if self.shadows else desk

    def drawing(self, repository: Repository) -> Splits | None:
        """Which version a request goes to that names none; None where every model's latest answers."""
        return Splits(repository, self.splits) if self.splits else None
