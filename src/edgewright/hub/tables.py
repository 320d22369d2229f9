"""Every table of every slice, for migrations and for the tests that hold rules over all of them."""

from __future__ import annotations

from edgewright.hub.accounts import tables as accounts
from edgewright.hub.alerts import tables as alerts
from edgewright.hub.artifacts import tables as artifacts
from edgewright.hub.benchmarks import tables as benchmarks
from edgewright.hub.database import Base
from edgewright.hub.events import tables as events
from edgewright.hub.fleet import tables as fleet
from edgewright.hub.jobs import tables as jobs
from edgewright.hub.library import tables as library
from edgewright.hub.models import tables as models
from edgewright.hub.objects import tables as objects
from edgewright.hub.outgoing import tables as outgoing
from edgewright.hub.plans import tables as plans
from edgewright.hub.profiles import tables as profiles
from edgewright.hub.rollouts import tables as rollouts
from edgewright.hub.services import tables as services
from edgewright.hub.web import idempotency

METADATA = Base.metadata
SLICES = (
    accounts,
    idempotency,
    plans,
    objects,
    outgoing,
    events,
    library,
    models,
    fleet,
    profiles,
    rollouts,
    alerts,
    jobs,
    services,
    artifacts,
    benchmarks,
)
