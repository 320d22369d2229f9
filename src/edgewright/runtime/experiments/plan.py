"""What the configuration asks of several versions of a model."""

from __future__ import annotations

from edgewright.runtime.config import ALL, Config
from edgewright.runtime.experiments.records import Shadow
from edgewright.runtime.experiments.split import Split


def planned(config: Config) -> tuple[list[Split], list[Shadow]]:
    """The splits and the shadows. Raises InputError for what is none."""
    tables = [(name, table) for name, table in config.models.items() if name != ALL]
    splits = [Split.from_toml(name, table.split) for name, table in tables if table.split]
    return splits, [Shadow.from_toml(name, table.shadow) for name, table in tables if table.shadow]
