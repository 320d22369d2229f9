"""Route of the fleet's map."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from fastapi import Query
from pydantic import ConfigDict
from sqlalchemy import Integer, String, bindparam, select, type_coerce

from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.alerts import look
from edgewright.hub.alerts.mapping import Block, Map, draw, maps, overlay
from edgewright.hub.alerts.routes_health import silent_after
from edgewright.hub.database import Scoped, bound
from edgewright.hub.rollouts.tables import Member, Rollout
from edgewright.hub.web.bodies import Answer, Id, Moment, Router

router = Router(prefix="/api/edge", tags=["health"])
Reads = Annotated[Caller, may("devices.read")]
Layout = Annotated[str, Query(max_length=16, pattern="^[0-9a-f]*$", description="of the map that is known already")]
Over = Annotated[Id | None, Query(description="a rollout, whose members' states are told besides")]


_MEMBERS = bound(
    select(Member.device, Member.wave, Member.state, type_coerce(Member.control, Integer)).where(
        Member.rollout == bindparam("rollout", type_=String())
    )
)


class BlockTold(Answer):
    """A group. ``devices``: their names, null where ``layout`` was known; ``health``: a letter for each: o (ok), w
    (warn), b (bad), s (silent). Of the rollout that was asked for, "" without one: ``states``: . (not in it), q
    waiting, f offered, g staged, h switching, a active, x failed, k skipped, r reverting, v reverted, l released, as a
    capital for a control; ``waves``: a digit in base 36."""

    group: str
    devices: list[str] | None
    health: str
    states: str = ""
    waves: str = ""


class MapTold(Answer):
    """All devices that are not revoked, by group and name, some seconds old. ``layout``: a digest of the names."""

    at: Moment
    layout: str
    blocks: list[BlockTold]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "at": "2026-11-21T09:30:00.000Z", "layout": "ab" * 8,
                    "blocks": [
                        {"group": "line-3", "devices": ["press-1", "press-2"], "health": "ow", "states": "aQ", "waves":
                         "01"},
                    ],
                }
            ]
        }
    )  # fmt: skip

    @classmethod
    def of(cls, drawn: Map, known: str, over: list[tuple[str, str]]) -> Self:
        """As it is told."""

        def told(block: Block, states: str, waves: str) -> BlockTold:
            names = None if known == drawn.layout else list(block.devices)
            return BlockTold(group=block.group, devices=names, health=block.health, states=states, waves=waves)

        blocks = [told(block, *parts) for block, parts in zip(drawn.blocks, over, strict=True)]
        return cls(at=drawn.at, layout=drawn.layout, blocks=blocks)


@router.get("/fleet/map")
def fleet_map(caller: Reads, layout: Layout = "", rollout: Over = None) -> MapTold:
    """The whole fleet, a letter a device."""
    with caller.read() as session:
        drawn = maps(caller.state).of(caller.tenant, caller.now, lambda: _drawn(session, caller.tenant, caller.now))
        over = [("", "")] * len(drawn.blocks)
        if rollout is not None:
            session.find(Rollout, rollout)
            over = overlay(drawn.blocks, session.rows(_MEMBERS, {"rollout": rollout}))
    return MapTold.of(drawn, layout, over)


def _drawn(session: Scoped, tenant: str, now: datetime) -> Map:
    return draw(look.devices(session, [tenant], {}, now)[tenant], now, silent_after(session, tenant))
