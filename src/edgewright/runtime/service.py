"""Service: what stands behind every way in. Built once, as the configuration says; what is off is on no path."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgewright.core.closing import Closing
from edgewright.runtime.cache import Cache
from edgewright.runtime.caching import CachingDesk
from edgewright.runtime.config import ServerTable
from edgewright.runtime.desk import Desk
from edgewright.runtime.experiments.desk import ShadowDesk
from edgewright.runtime.experiments.plan import planned
from edgewright.runtime.experiments.shadow import Shadows
from edgewright.runtime.experiments.splits import Splits
from edgewright.runtime.labels import Labels
from edgewright.runtime.lanes.limits import Limits
from edgewright.runtime.loading.loader import Loader
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.oip.regions import Regions
from edgewright.runtime.repository import Repository
from edgewright.runtime.safedesk import safe_desk
from edgewright.runtime.scheduling.scheduler import Scheduler, spare_cores
from edgewright.runtime.served import Served


@dataclass(frozen=True)
class Service(Closing):
    """``repository``: models by name; ``desk``: where requests come in; ``loader``: loads and unloads, and has to be
    started; ``splits``: draw versions, None where every model's latest answers; ``regions``: the shared memory that
    clients registered, None where they may not; ``table`` and ``limits``: what lanes go by."""

    repository: Repository
    desk: Desk
    loader: Loader
    splits: Splits | None = None
    regions: Regions | None = None
    table: ServerTable = field(default_factory=ServerTable)
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def of(cls, settings: Settings, shared: bool = False) -> Service:
        """What the settings ask for; ``shared``: with shared memory for clients. Raises InputError."""
        config = settings.config
        splits, shadows = planned(config)
        repository, scheduler = Repository(), Scheduler(spare_cores())
        cache = Cache.of_megabytes(config.server.cache_mb)
        desk = Desk(scheduler) if cache is None else CachingDesk(scheduler, cache)
        desk = safe_desk(ShadowDesk(desk, Shadows(repository.find_version, scheduler, shadows)), config)
        desk.labels = Labels(repository.observations)
        drawing = Splits(repository, splits) if splits else None
        loader = Loader(repository, desk, settings)
        regions = Regions(most_bytes=config.limits.body_bytes) if shared else None
        return cls(repository, desk, loader, drawing, regions, config.server, config.limits)

    @property
    def labels(self) -> Labels:
        """What holds labels against answers."""
        assert self.desk.labels is not None  # noqa: S101 - ``of`` set it
        return self.desk.labels

    def shares(self, name: str, version: str = "") -> dict[str, float]:
        """Which versions may answer requests for this model and version, and how much of them; {}: the one that the
        repository finds."""
        return {} if version or self.splits is None else self.splits.shares(name)

    def find(self, name: str, version: str = "") -> Served:
        """The version that what is told of a model is about: of a split that with the largest share, else as the
        repository's ``find``, which raises the same."""
        for chosen in self.shares(name, version):
            found = self.repository.find_version(name, chosen)
            if found is not None:
                return found
        return self.repository.find(name, version)

    def close(self) -> None:
        """Finish what waits, and close every model."""
        self.desk.close()
        self.loader.close()
        if self.regions is not None:
            self.regions.close()
