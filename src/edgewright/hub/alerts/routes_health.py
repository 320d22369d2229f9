"""Routes of devices' health."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import Annotated

from fastapi import Path

from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.alerts import look
from edgewright.hub.alerts.health import health
from edgewright.hub.alerts.rules import read_rules
from edgewright.hub.alerts.tables import Ruling
from edgewright.hub.alerts.told import Counts, FleetHealth, GroupHealth, HealthTold
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Absent
from edgewright.hub.fleet.tables import Device
from edgewright.hub.web.bodies import Router

router = Router(prefix="/api/edge", tags=["health"])
Reads = Annotated[Caller, may("devices.read")]
Name = Annotated[str, Path(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


@router.get("/devices/{device}/health")
def device_health(device: Name, caller: Reads) -> HealthTold:
    """A device's health with its components."""
    with caller.read() as session:
        row = session.find(Device, device)
        if row.revoked is not None:
            raise Absent(f"device {device!r} was revoked; nobody watches it any more")
        (known,) = look.devices(session, [caller.tenant], {}, caller.now, only=device)[caller.tenant]
        known = replace(known, serving=look.serving_now(session, device, caller.now))
        return HealthTold.of(health(known, caller.now, silent_after(session, caller.tenant)))


@router.get("/health")
def fleet_health(caller: Reads) -> FleetHealth:
    """How many devices are ok, warn and bad: in all, by group, and by component."""
    total: Counter[str] = Counter()
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    parts: dict[str, Counter[str]] = defaultdict(Counter)
    with caller.read() as session:
        silent = silent_after(session, caller.tenant)
        devices = look.devices(session, [caller.tenant], {}, caller.now)[caller.tenant]
    for known in devices:
        found = health(known, caller.now, silent)
        total[found.level] += 1
        groups[known.group][found.level] += 1
        for one in found.components:
            parts[one.name][one.level] += 1
    by = {name: Counts(**counts) for name, counts in parts.items()}
    told = [GroupHealth(group=group, **counts) for group, counts in sorted(groups.items())]
    return FleetHealth(**total, groups=told, by=by)


def silent_after(session: Scoped, tenant: str) -> timedelta:
    """After how long a device counts as silent, by the tenant's rules."""
    row = session.get(Ruling, tenant)
    return timedelta(minutes=read_rules({} if row is None else row.rules)["device.silent"].limit or 15)
