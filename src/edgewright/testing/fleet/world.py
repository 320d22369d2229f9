"""World: what all simulated devices share in one process."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edgewright.testing.fleet.behaviour import Behaviour
from edgewright.testing.fleet.copies import Copies
from edgewright.testing.fleet.counts import Counts
from edgewright.testing.fleet.faults import Faults
from edgewright.testing.fleet.metadata import Metadata
from edgewright.testing.fleet.papers import Registry
from edgewright.testing.fleet.wire import Dialer

DURATIONS: Mapping[str, float] = {"preflight": 0.05, "staged": 0.5, "switching": 0.2}
"""How long (s) the effect of a state takes where it is not the network's."""


@dataclass(frozen=True)
class Setting:
    """What a fleet is like. ``durations``: of a state's effect, in s; ``wait_s``: of a parked poll; ``target`` and
    ``labels``: in the facts of all."""

    seed: int = 0
    behaviour: Behaviour = field(default_factory=Behaviour)
    faults: Faults = field(default_factory=Faults)
    durations: Mapping[str, float] = field(default_factory=lambda: DURATIONS)
    wait_s: float = 55.0
    target: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    verify: bool = True


@dataclass
class World:
    """Made by ``Fleet``. ``clock``: s since 1970."""

    setting: Setting
    dialer: Dialer
    registry: Registry
    metadata: Metadata
    copies: Copies
    counts: Counts = field(default_factory=Counts)
    clock: Callable[[], float] = time.time
    draw: Callable[[], float] = random.random
