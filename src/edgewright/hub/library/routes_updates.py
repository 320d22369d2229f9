"""Routes of the tenant's update metadata: its state, its root, what the key-holder signs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Response

from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Absent
from edgewright.hub.library.proposals import Outcome, proposal, submit_root, submit_targets
from edgewright.hub.library.repository import in_development, load
from edgewright.hub.library.standing import standing
from edgewright.hub.library.told import ProposalTold, SignedRoot, SignedTargets, Submitted, UpdatesTold
from edgewright.hub.web.bodies import Router
from edgewright.trust.updates import missing_signatures

PREFIX = "/api/edge/updates"
router = Router(prefix=PREFIX, tags=["updates"])
Reads = Annotated[Caller, may("bundles.read")]
Signs = Annotated[Caller, may("rollouts.write")]


@router.get("")
def updates(caller: Reads) -> UpdatesTold:
    """The tenant's update metadata: versions, when they end, who signs, what waits, and what a person has to do."""
    with caller.read() as session:
        return standing(session, caller.state, caller.now)


@router.get(
    "/root",
    response_class=Response,
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
)
def root(caller: Reads) -> Response:
    """The newest root metadata, as devices take it."""
    with caller.read() as session:
        there = load(session)
    if there is None:
        raise Absent("there is no root yet; the key-holder begins with: edgewright rollout keys")
    return Response(there.roots[-1], media_type="application/json")


@router.put("/root")
def put_root(body: SignedRoot, caller: Annotated[Caller, may("tenant.write")]) -> Submitted:
    """Begin the tenant's update metadata, or rotate its keys: a root that enough keys of the one before it and of
    its own have signed, with signed targets where it is the first or changes the release keys."""
    targets = None if body.targets is None else body.targets.encode()
    with caller.write() as session:
        outcome = submit_root(session, caller.state, body.root.encode(), targets, caller.now)
        return _told(caller, session, "updates.root", outcome)


@router.get("/proposal")
def show_proposal(caller: Reads) -> ProposalTold:
    """What the key-holder is to sign: the published targets and all bundles that wait."""
    with caller.read() as session:
        there, targets = load(session), proposal(session, caller.now)
        return ProposalTold(
            development=in_development(caller.state, session, there),
            targets=targets.decode(),
            root=there.roots[-1].decode() if there else None,
            published=there.targets.decode() if there else None,
            missing=missing_signatures(there.roots[-1], targets) if there else None,
        )


@router.put("/targets")
def put_targets(body: SignedTargets, caller: Signs) -> Submitted:
    """Targets that a key-holder signed. They are published once enough have; what they do not name waits on."""
    with caller.write() as session:
        outcome = submit_targets(session, caller.state, body.targets.encode(), caller.now)
        return _told(caller, session, "updates.targets", outcome)


def _told(caller: Caller, session: Scoped, action: str, outcome: Outcome) -> Submitted:
    told = Submitted(
        development=in_development(caller.state, session, load(session)),
        missing=outcome.missing,
        released=list(outcome.released),
        withdrawn=list(outcome.withdrawn),
    )
    caller.tell(session, action, "", told.model_dump(exclude={"development"}))
    return caller.reply(session, told)
