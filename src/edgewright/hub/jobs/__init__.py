"""Jobs: what workers do for a tenant, durably. A killed worker's job is taken over and goes on from what it measured.

- ``tables``; ``rules``: states, who is next, what fits where; pure. ``wishes``: from what is asked to what is run.
- ``routes``, ``told``: /api/edge/optimization-jobs, /api/edge/workers; ``choosing``: one candidate of a job made alone;
  ``asking``: what these share; ``routes_profiles``, ``told_profiles``: /api/edge/versions/ID/profile. They only write
  rows: a job is queued in the transaction that makes it.
- ``queue``: rows taken, handed back, ended; ``finding``: which there are. ``worker``: the process that does jobs;
  ``beats``: who lives, who is lost; ``durable``: DBOS, which remembers steps and gives a dead worker's workflows to a
  living one; ``machine``: how it computes.
- ``steps``: one job from its files to its results; ``running``: its child process; ``inside`` of it ``compiling``,
  ``measuring`` and ``profiling`` (``profiled``: what that leaves, and how it is read);
  ``telling``: what it says, as rows and events; ``results``: what it leaves; ``caches``: its measurements elsewhere;
  ``space``: whether the disk has room for it.
- ``kinds``: what each kind of job needs and leaves. ``keeping``: what a search found, as a version of its model.
- ``inputs``: where models and datasets come from. ``keys``: what its bundles are sealed with.
- ``keeper``: the worker beside a hub that was started without one.

Names are resolved on first use: the child processes need no database.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgewright.hub.jobs.inputs import Inputs, provide
    from edgewright.hub.jobs.results import named
    from edgewright.hub.jobs.worker import work

_PLACES = {"Inputs": "inputs", "named": "results", "provide": "inputs", "work": "worker"}

__all__ = ["Inputs", "named", "provide", "work"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(name)
    return getattr(import_module(f"edgewright.hub.jobs.{_PLACES[name]}"), name)
