"""Routes of telemetry: a device's, a group's, the fleet's, by hour or by day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from fastapi import Query
from pydantic import AwareDatetime, ConfigDict
from sqlalchemy import select

from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.database import Scoped
from edgewright.hub.fleet.folding import fleet_name
from edgewright.hub.fleet.packing import unpack_rollup
from edgewright.hub.fleet.tables import Device, Period
from edgewright.hub.fleet.words import DeviceName, Word
from edgewright.hub.web.bodies import Answer, Moment, Router
from edgewright.hub.web.paging import Page
from edgewright.monitoring.rollup import DAY_S, HOUR_S, Rollup, quantiles

router = Router(prefix="/api/edge", tags=["telemetry"])
Reads = Annotated[Caller, may("telemetry.read")]
SHARES = (0.01, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999)
_MOST = 1000
_BACK = {"hour": timedelta(days=7), "day": timedelta(days=90)}
Width = Annotated[Literal["hour", "day"], Query(description="hours are kept for a week, days for 400 days")]
Since = Annotated[AwareDatetime | None, Query(description="from when on; a week of hours or 90 days without it")]


class SeriesTold(Answer):
    """Numbers: how many, their mean, extremes, and quantiles by share, each within 1% of the values' own."""

    count: int
    mean: float
    low: float
    high: float
    quantiles: dict[str, float]


class PeriodTold(Answer):
    """What was seen of one model and bundle from ``began`` on, in ``seconds``. ``observed_s``: time observed, of all
    devices together."""

    began: Moment
    seconds: int
    model: str
    bundle: str
    observed_s: float
    counters: dict[str, int]
    classes: dict[str, int]
    series: dict[str, SeriesTold]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "began": "2026-11-21T09:00:00.000Z", "seconds": 3600, "model": "part-check", "bundle": "ab" * 32,
                    "observed_s": 3600.0, "counters": {"requests": 12000, "errors": 3}, "classes": {"good": 11800},
                    "series": {"latency_ms": {
                        "count": 12000, "mean": 3.1, "low": 2.2, "high": 40.2, "quantiles": {"0.5": 3.0, "0.99": 7.5},
                    }},
                }
            ]
        }
    )  # fmt: skip

    @classmethod
    def of(cls, rollup: Rollup, wanted: str) -> PeriodTold:
        """As it is told; ``wanted``: one series, "" for all."""
        key, told = rollup.key, rollup.told
        names = [name for name in told.series if wanted in ("", name)]
        return cls(
            began=datetime.fromtimestamp(key.began_s, tz=UTC), seconds=key.seconds, model=key.model,
            bundle=key.bundle, observed_s=told.seconds, counters=dict(told.counters), classes=dict(told.classes),
            series={name: made for name in names if (made := _series(rollup, name)) is not None},
        )  # fmt: skip


@router.get("/telemetry")
def fleet(
    caller: Reads, group: Word = "", model: Word = "", bundle: Word = "", series: Word = "", period: Width = "hour",
    since: Since = None,
) -> Page[PeriodTold]:  # fmt: skip
    """What the fleet saw, or one group of it. It is a minute behind what its devices told."""
    with caller.read() as session:
        return _page(session, fleet_name(group), (model, bundle), period, since or caller.now - _BACK[period], series)


@router.get("/devices/{device}/telemetry")
def of_device(
    device: DeviceName, caller: Reads, model: Word = "", bundle: Word = "", series: Word = "", period: Width = "hour",
    since: Since = None,
) -> Page[PeriodTold]:  # fmt: skip
    """What one device saw."""
    with caller.read() as session:
        session.find(Device, device)
        return _page(session, device, (model, bundle), period, since or caller.now - _BACK[period], series)


def _page(
    session: Scoped, of: str, which: tuple[str, str], period: str, since: datetime, series: str
) -> Page[PeriodTold]:
    """The newest thousand, oldest first."""
    width = HOUR_S if period == "hour" else DAY_S
    began_s = max(0, int(since.timestamp()))
    query = select(Period.told).where(Period.device == of, Period.seconds == width, Period.began_s > began_s - width)
    for column, value in zip((Period.model, Period.bundle), which, strict=True):
        if value:
            query = query.where(column == value)
    rows = session.scalars(query.order_by(Period.began_s.desc()).limit(_MOST)).all()
    found = (unpack_rollup(data) for data in reversed(rows))
    return Page(items=[PeriodTold.of(one, series) for one in found if one is not None])


def _series(rollup: Rollup, name: str) -> SeriesTold | None:
    told = rollup.told.series[name]
    if not told.sketch.count:
        return None
    shares = {f"{share:g}": value for share, value in quantiles(rollup, name, SHARES).items()}
    return SeriesTold(
        count=told.sketch.count, mean=told.mean, low=told.sketch.low, high=told.sketch.high, quantiles=shares
    )
