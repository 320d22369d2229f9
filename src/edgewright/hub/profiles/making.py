"""Making profiles: of a document that somebody wrote, or of what an enrolled device tells; and finding them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import select

from edgewright.core.digests import canonical_json
from edgewright.core.errors import InputError
from edgewright.core.messages import Facts
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Absent, Conflict
from edgewright.hub.ids import is_id
from edgewright.hub.profiles.tables import Profile
from edgewright.targets import HOST, Figure, Target, names, target
from edgewright.targets.schema import ENGINES, read_document

_GIB = 2**30
MOST, MOST_BYTES = 1000, 2**15
"""Of a tenant's own profiles, and of each one's document: lists tell them whole."""


@cache
def template(name: str) -> Target:
    """The target that ships under that name. The hub's own machine is looked at once: its free memory differs from one
    moment to the next."""
    return target(name)


def resolve(session: Scoped, ref: str) -> Target:
    """The target of that name (one that ships, or the hub's own machine) or with that id (the tenant's). Raises
    Absent."""
    if is_id(ref, "prf"):
        row = session.find(Profile, ref)
        return read_document(row.target, row.name)
    if ref in names():
        return template(ref)
    row_ = session.scalars(select(Profile).where(Profile.name == ref.replace("\0", ""))).one_or_none()
    if row_ is None:
        raise Absent(f"there is no device profile {ref[:64]!r}")
    return read_document(row_.target, row_.name)


def read_target(document: Mapping[str, Any]) -> Target:
    """The target that somebody wrote. Raises InputError."""
    found = read_document(document, "the target")
    if found.name in names():
        raise InputError(f"{found.name!r} is a template's name; give the profile a name of its own")
    return found


def of_device(name: str, facts: Mapping[str, Any], like: str, at: datetime) -> Target:
    """The target of an enrolled device: what it told of itself, and a class's figures (``like``; "": the one that it
    says it is, else the nearest) for all that it did not. Raises InputError."""
    told = Facts.from_json(facts)
    if not told.cpus or not told.memory_bytes:
        raise InputError(f"the device {name} has not told what it is yet; have it poll once, then import it")
    base = template(like or _class_of(told))
    source = f"reported by {name} on {at:%Y-%m-%d}"
    cores = Figure(told.cpus, "cores", source)
    ram = Figure(told.memory_bytes, "B", source)
    model = Figure(told.memory_bytes * 3 // 4, "B", f"derived: three quarters of the memory {source}")
    storage = Figure(told.storage_bytes, "B", source) if told.storage_bytes else base.storage
    engines = tuple(one for one in told.engines if one in ENGINES)
    fast = base.fast_cores if base.fast_cores is not None and base.fast_cores.value <= told.cpus else None
    note = f"Figures that {name} did not report are those of {base.title}."
    return replace(
        base, name=f"{name}-class".lower(), title=f"{name} ({told.machine or base.title})", cores=cores, ram=ram,
        fast_cores=fast, threads=Figure(told.cpus, "threads", "derived: one per core"), ram_model=model,
        storage=storage, engines=engines or base.engines,
        engines_source=source if engines else base.engines_source, notes=(*base.notes, note),
    )  # fmt: skip


def check_free(session: Scoped, name: str, own: str = "") -> None:
    """Raises Conflict for a name that another profile of the tenant has."""
    taken = session.scalars(select(Profile.id).where(Profile.name == name)).one_or_none()
    if taken is not None and taken != own:
        raise Conflict(f"a profile named {name!r} is there already; change it, or choose another name")


def _class_of(told: Facts) -> str:
    """The one that the device says it is; else one of its architecture: figures and instructions of another would be
    wrong by far."""
    if told.target in names() and told.target != HOST:
        return told.target
    if told.machine.lower() in ("x86_64", "amd64"):
        return "high" if told.cpus >= 8 else "industrial-pc-avx2"
    if told.memory_bytes < 4 * _GIB:
        return "low"
    return "medium" if told.machine or told.cpus < 8 else "high"


def check_size(document: Mapping[str, Any]) -> None:
    """Raises InputError for one that is too long to be listed."""
    size = len(canonical_json(dict(document)))
    if size > MOST_BYTES:
        raise InputError(f"the profile has {size:,} bytes, more than {MOST_BYTES:,}; shorten its sources and notes")
