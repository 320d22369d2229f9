"""Routes of the matrix of models and devices."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from sqlalchemy import select

from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.profiles.fits import fits
from edgewright.hub.profiles.making import resolve
from edgewright.hub.profiles.tables import Profile
from edgewright.hub.profiles.told import FitsTold, FitTold, Ref
from edgewright.hub.web.bodies import Id, Router
from edgewright.targets import names

router = Router(prefix="/api/edge/versions", tags=["device profiles"])
Reads = Annotated[Caller, may("models.read")]
_MOST = 64


@router.get("/{version}/fits")
def matrix(
    version: Id,
    caller: Reads,
    profile: Annotated[list[Ref] | None, Query(max_length=_MOST, description="which (default: all)")] = None,
) -> FitsTold:
    """Which device classes the version fits, how fast it may be there and what to try first. Predicted by the same code
    as `edgewright advise`, nothing is measured. The first time it takes some seconds."""
    with caller.read() as session:
        wanted = profile
        if wanted is None:
            own = session.scalars(select(Profile.id).order_by(Profile.id.desc()).limit(_MOST - len(names())))
            wanted = [*names(), *own]
        targets = {ref: resolve(session, ref) for ref in wanted}
    told = fits(caller.state, caller.tenant, version, {ref: one.to_json() for ref, one in targets.items()})
    rows = [FitTold.model_validate({"profile": ref, "title": targets[ref].title, **one}) for ref, one in told.items()]
    return FitsTold(version=version, fits=rows)
