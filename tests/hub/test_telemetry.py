"""What devices report: once each, in bounds, rolled up, watched."""

import random
import threading
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import event, func, select

from edgewright.core.messages import Event, Observation, Receipt, Release, Report, Series, read, render
from edgewright.core.sketches import MOST, Sketch
from edgewright.hub.fleet import folding, telemetry
from edgewright.hub.fleet.desired import assign, desired_of
from edgewright.hub.fleet.packing import pack
from edgewright.hub.fleet.tables import Contribution, Device, Happening, Ledger, Period, Watch
from edgewright.hub.library.tables import Bundle
from edgewright.hub.serving import Keeping, keep

GOOD, BETTER, STRANGE = "ab" * 32, "cd" * 32, "ef" * 32


class Shelf:
    """Devices of one tenant that told something, without a listener."""

    def __init__(self, hub, clock):
        self.state, self.clock, self.hub = hub.state, clock, hub
        self.tenant = hub.tenants["north"]
        self.sequence = {}
        with self.state.database.write(self.tenant) as session:
            session.add(
                Bundle(
                    digest=GOOD, file=GOOD, length=1, name="parts", version="1", hardware=[], engines=[], signer=GOOD,
                    evidence={}, files={}, made=clock(),
                )
            )  # fmt: skip

    def add(self, name, group="", bundle=GOOD):
        now = self.clock()
        with self.state.database.write(self.tenant) as session:
            told = {"labels": {}, "facts": {}, "config": {}, "collect": {}, "status": {}}
            session.add(Device(name=name, group=group, revision=0, made=now, changed=now, current=bundle, **told))

    def take(self, name, *observations, events=(), sequence=None, dropped=0):
        if sequence is None:
            sequence = self.sequence[name] = self.sequence.get(name, -1) + 1
        report = Report("boot", sequence, tuple(observations), tuple(events), dropped)
        with self.state.database.write(self.tenant) as session:
            telemetry.take(session, [telemetry.Told(name, report, self.clock())])

    def seen(self, bundle=GOOD, latency=(1.0, 2.0), ago_s=1000.0, **more):
        began_s = self.clock().timestamp() - ago_s
        told = Observation("parts", bundle, began_s, 900.0, {"requests": len(latency)}, {"ok": 1})
        return replace(told, series={"latency_ms": Series.of(list(latency))}, **more)

    def count(self, kind):
        with self.state.database.read(self.tenant) as session:
            return session.scalar(select(func.count()).select_from(kind))

    def dropped(self, name):
        with self.state.database.read(self.tenant) as session:
            return session.get(Ledger, (self.tenant, name)).dropped

    def periods(self, path="telemetry", **query):
        return self.north().get(f"/api/edge/{path}", params=query)["items"]

    def north(self):
        """The owner, whose session does not last for as long as these tests pretend."""
        return self.hub.log_in_again("north")


@pytest.fixture
def shelf(hub, clock):
    return Shelf(hub, clock)


def test_a_report_counts_once_however_often_it_comes(shelf):
    shelf.add("a")
    for sequence in (0, 1, 0, 2, 1):
        shelf.take("a", shelf.seen(), events=[Event(1.0, "booted")], sequence=sequence)
    folding.merge(shelf.state)
    (fleet,), (own,) = shelf.periods(), shelf.periods("devices/a/telemetry")
    assert fleet["counters"] == own["counters"] == {"requests": 6}
    assert shelf.count(Happening) == 3 and shelf.count(Contribution) == 0


def test_reports_of_one_moment_keep_their_order(shelf):
    """A device that was offline sends several at once."""
    shelf.add("a")
    told = [Event(float(n), f"e{n}") for n in range(12)]
    reports = [Report("boot", n, (), tuple(told[3 * n : 3 * n + 3]), 0) for n in range(4)]
    with shelf.state.database.write(shelf.tenant) as session:
        telemetry.take(session, [telemetry.Told("a", one, shelf.clock()) for one in reports])
    events = shelf.north().get("/api/edge/devices/a/events")["items"]
    assert [one["kind"] for one in events] == [one.kind for one in reversed(told)]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_what_stirs_is_looked_at_at_once(shelf, monkeypatch):
    looked = threading.Semaphore(0)
    monkeypatch.setattr("edgewright.hub.serving.rounds", lambda state, now: looked.release())
    with Keeping(shelf.state):
        for _ in range(3):
            assert looked.acquire(timeout=30)
            shelf.state.stir.set()


def test_fleet_quantiles_are_within_a_percent(shelf):
    random.seed(1)
    values = []
    for number in range(20):
        shelf.add(f"d{number}", group="odd" if number % 2 else "even")
        drawn = list(np.random.default_rng(number).lognormal(1, 0.8, 300))
        values += drawn
        shelf.take(f"d{number}", shelf.seen(latency=drawn))
    folding.merge(shelf.state)
    (fleet,) = shelf.periods()
    for share in ("0.5", "0.9", "0.99"):
        exact = np.quantile(values, float(share), method="inverted_cdf")
        assert fleet["series"]["latency_ms"]["quantiles"][share] == pytest.approx(exact, rel=0.01)
    assert fleet["series"]["latency_ms"]["count"] == 6000
    (odd,) = shelf.periods(group="odd", series="latency_ms", model="parts", bundle=GOOD)
    assert odd["series"]["latency_ms"]["count"] == 3000
    assert shelf.periods(group="none") == [] and shelf.periods(bundle=BETTER) == []
    assert shelf.hub.south.get("/api/edge/telemetry")["items"] == []


def test_what_is_not_believed_is_counted_and_left(shelf):
    shelf.add("a")
    shelf.take("a", shelf.seen(STRANGE), shelf.seen(), dropped=2)
    assert shelf.dropped("a") == 3
    assert {one["bundle"] for one in shelf.periods("devices/a/telemetry")} == {GOOD}
    with shelf.state.database.write(shelf.tenant) as session:
        assign(session, {"a": Release("r", STRANGE)})
    shelf.take("a", shelf.seen(STRANGE))
    with shelf.state.database.write(shelf.tenant) as session:
        assign(session, {"a": Release("r", BETTER)})
    shelf.take("a", shelf.seen(STRANGE), shelf.seen(BETTER))  # it had that one
    assert shelf.dropped("a") == 3
    assert {one["bundle"] for one in shelf.periods("devices/a/telemetry")} == {GOOD, STRANGE, BETTER}


def test_a_devices_own_words_are_no_proof_that_it_has_a_bundle(shelf):
    shelf.add("a", bundle=STRANGE)
    with shelf.state.database.write(shelf.tenant) as session:
        session.find(Device, "a").status = {"good": STRANGE, "target": BETTER}
    shelf.take("a", shelf.seen(STRANGE), shelf.seen(BETTER), shelf.seen(GOOD), shelf.seen(""))
    assert shelf.dropped("a") == 2
    assert {one["bundle"] for one in shelf.periods("devices/a/telemetry")} == {GOOD, ""}


@pytest.mark.parametrize("of", [{"nans": MOST}, {"zeros": MOST, "low": 0.0, "high": 0.0}, {"infinities": MOST}])
def test_a_report_of_largest_numbers_is_folded_and_shown(shelf, of):
    shelf.add("a", group="g")
    huge = replace(shelf.seen(), series={"x": Series(Sketch(**of))})
    for _ in range(2):
        shelf.take("a", huge, huge)
        assert keep(shelf.state)
    shelf.take("a", shelf.seen())
    assert keep(shelf.state) and shelf.count(Contribution) == 0
    for path in ("telemetry", "telemetry?group=g", "devices/a/telemetry"):
        assert [one["counters"] for one in shelf.periods(path)] == [{"requests": 10}]


def test_rows_that_cannot_be_read_stop_nobody(shelf, caplog):
    since = shelf.clock()
    for name in "ab":
        shelf.add(name)
        shelf.take(name, shelf.seen())
    with shelf.state.database.write(shelf.tenant) as session:
        telemetry.watch(session, "w", "ab", since)
        for row in session.scalars(select(Contribution).where(Contribution.model == "parts").limit(1)):
            row.told = pack({"series": {"x": {"nan": 2 * MOST}}})
        for row in session.scalars(select(Period)):
            row.told = b"no rollup"
        for row in session.scalars(select(Watch)):
            row.before = row.after = pack({GOOD: []})
        session.get(Ledger, (shelf.tenant, "a")).seen = "[[1]]"
    assert shelf.periods("devices/a/telemetry") == []
    shelf.north().get("/api/edge/devices/a/health")
    assert keep(shelf.state) and shelf.count(Contribution) == 0
    (fleet,) = shelf.periods()
    assert fleet["counters"] == {"requests": 2}, "the other report is there"
    shelf.take("a", shelf.seen(ago_s=0))
    (own,) = shelf.periods("devices/a/telemetry")
    assert own["counters"] == {"requests": 2}, "what cannot be read is written over"
    with shelf.state.database.read(shelf.tenant) as session:
        a, b = telemetry.watched(session, "w")
        assert a.before == b.before == b.after == {} and a.after[GOOD].counters == {"requests": 2}
    shelf.clock.go_on(days=9)
    folding.fold(shelf.state, shelf.clock())
    with shelf.state.database.read(shelf.tenant) as session:
        assert {one.device for one in session.scalars(select(Period))} == {"a", ""}
    assert "cannot be read" in caplog.text


def test_what_fails_for_one_tenant_or_job_keeps_no_other_from_its_turn(shelf, monkeypatch, caplog):
    shelf.add("a")
    shelf.take("a", shelf.seen())
    merge_all, first = folding._merge_all, []

    def broken(state, tenant):
        first.append(tenant)
        if len(first) == 1:
            raise ZeroDivisionError("of one tenant")
        merge_all(state, tenant)

    monkeypatch.setattr(folding, "_merge_all", broken)
    assert keep(shelf.state) and shelf.count(Contribution) == 1
    assert keep(shelf.state) and shelf.count(Contribution) == 0
    monkeypatch.setattr(folding, "merge", lambda state: 1 / 0)
    swept = []
    monkeypatch.setattr("edgewright.hub.serving.sweep_objects", lambda state, now, named: swept.append(now))
    assert not keep(shelf.state) and swept
    keeping = Keeping(shelf.state)
    with keeping:
        pass  # its rounds fail in one job, and do not raise
    assert "of one tenant" in caplog.text and "merging telemetry failed" in caplog.text


def test_one_device_fills_no_database(shelf, monkeypatch):
    shelf.add("a")
    models = [replace(shelf.seen(), model=f"m{number}") for number in range(100)]
    shelf.take("a", *models)
    assert shelf.count(Period) == telemetry.MOST_PAIRS and shelf.dropped("a") == 36
    monkeypatch.setattr(telemetry, "MOST_EVENTS_A_DAY", 5)
    shelf.take("a", events=[Event(0.0, "booted", detail="x\0")] * 4)
    shelf.take("a", events=[Event(0.0, "booted")] * 4)
    assert shelf.count(Happening) == 5 and shelf.dropped("a") == 39
    shelf.clock.go_on(days=1)
    shelf.take("a", events=[Event(0.0, "booted")])
    assert shelf.count(Happening) == 6
    assert shelf.north().get("/api/edge/devices/a/events?limit=2")["next"] is not None


def test_a_clock_that_is_wrong_is_reckoned_with(shelf):
    shelf.add("a")
    with shelf.state.database.write(shelf.tenant) as session:
        session.find(Device, "a").offset_s = 10 * 365 * 86400.0
    right = shelf.seen(ago_s=5 * 3600.0)
    shelf.take("a", replace(right, began_s=right.began_s + 10 * 365 * 86400.0))
    (period,) = shelf.periods("devices/a/telemetry")
    assert period["began"] == f"{shelf.clock():%Y-%m-%d}T04:00:00.000Z"


def test_a_report_of_a_device_that_is_gone_is_nothing(shelf):
    shelf.take("nobody", shelf.seen())
    assert shelf.count(Ledger) == 0


def test_hours_become_days_and_nothing_is_lost(shelf):
    shelf.add("a", group="g")
    for _ in range(48):
        shelf.take("a", shelf.seen(ago_s=0.0))
        shelf.clock.go_on(hours=1)
    folding.merge(shelf.state)
    shelf.clock.go_on(days=8)
    folding.fold(shelf.state, shelf.clock())
    folding.fold(shelf.state, shelf.clock())  # within the hour: nothing to do
    month = {"since": (shelf.clock() - timedelta(days=30)).isoformat()}
    for path, more in (("telemetry", {}), ("devices/a/telemetry", {}), ("telemetry", {"group": "g"})):
        assert shelf.periods(path, **month, **more) == []
        days = shelf.periods(path, **month, **more, period="day")
        assert sum(day["counters"]["requests"] for day in days) == 96 and len(days) == 3
    shelf.clock.go_on(days=500)
    folding.fold(shelf.state, shelf.clock())
    assert shelf.count(Period) == 0


def test_a_watch_sees_before_and_after(shelf):
    for name in ("a", "b"):
        shelf.add(name)
        shelf.take(name, shelf.seen(latency=[5.0] * 10))
    since = shelf.clock()
    with shelf.state.database.write(shelf.tenant) as session:
        telemetry.watch(session, "rollout/1", ["a", "b"], since, 60.0)
        telemetry.watch(session, "rollout/1", ["a"], since, 60.0)  # again: nothing
    shelf.clock.go_on(hours=1)
    straddling = replace(shelf.seen(latency=[50.0]), began_s=since.timestamp() - 1)
    shelf.take("a", shelf.seen(latency=[7.0, 9.0], ago_s=600), straddling, sequence=5)
    shelf.take("a", shelf.seen(latency=[7.0, 9.0], ago_s=600), sequence=5)
    with shelf.state.database.read(shelf.tenant) as session:
        a, b = telemetry.watched(session, "rollout/1")
    assert a.before[GOOD].counters == {"requests": 10} and a.after[GOOD].counters == {"requests": 2}
    assert a.after[GOOD].series["latency_ms"].mean == 8.0
    assert b.after == {} and b.before[GOOD].series["latency_ms"].mean == 5.0 and a.filled and b.filled
    with shelf.state.database.write(shelf.tenant) as session:
        telemetry.unwatch(session, "rollout/1")
    assert shelf.count(Watch) == 0


def test_who_is_watched_tells_more_often_and_no_longer_than_that(shelf):
    def periods():
        with shelf.state.database.read(shelf.tenant) as session:
            rows = session.scalars(select(Device).order_by(Device.name)).all()
            return [(desired_of(row).collect.period_s, row.revision) for row in rows]

    def watch(id, names, every_s):
        with shelf.state.database.write(shelf.tenant) as session:
            telemetry.watch(session, id, names, shelf.clock(), every_s)

    for name in "abc":
        shelf.add(name)
    with shelf.state.database.write(shelf.tenant) as session:
        session.find(Device, "c").collect = {"period_s": 30.0}
    assert periods() == [(900.0, 0), (900.0, 0), (30.0, 0)]
    watch("r/0", "abc", 60.0)
    assert periods() == [(60.0, 1), (60.0, 2), (30.0, 3)], "c tells more often anyway"
    with shelf.state.database.write(shelf.tenant) as session:
        telemetry.watch(session, "r/1", "bc", shelf.clock(), 60.0, "r/0")
    assert periods() == [(900.0, 4), (60.0, 2), (30.0, 3)], "who is watched on is not told anything"
    watch("other", "b", 6.0)
    assert periods() == [(900.0, 4), (6.0, 5), (30.0, 3)]
    with shelf.state.database.write(shelf.tenant) as session:
        telemetry.unwatch(session, "other")
    assert periods() == [(900.0, 4), (60.0, 6), (30.0, 3)], "as the one wants it that goes on watching"
    with shelf.state.database.write(shelf.tenant) as session:
        telemetry.unwatch(session, "r/1")
    assert periods() == [(900.0, 4), (900.0, 7), (30.0, 8)]


def test_the_past_of_many_is_looked_up_later(shelf, monkeypatch):
    monkeypatch.setattr("edgewright.hub.fleet.watches._AT_START", 2)
    for name in "abc":
        shelf.add(name)
        shelf.take(name, shelf.seen())
    since = shelf.clock()
    with shelf.state.database.write(shelf.tenant) as session:
        telemetry.watch(session, "w", "abc", since)
        assert [one.filled for one in telemetry.watched(session, "w")] == [False] * 3
    folding.merge(shelf.state)
    with shelf.state.database.read(shelf.tenant) as session:
        assert all(one.filled and one.before[GOOD] for one in telemetry.watched(session, "w"))


def test_reports_over_the_wire_are_acknowledged_when_they_are_kept(fleet):
    device = fleet.device("a")
    device.sync()
    fleet.assign(Release("r", GOOD), "a")
    device.sync(wait=60)
    began_s = fleet.state.clock().timestamp() - 900
    told = Observation("parts", GOOD, began_s, 900.0, {"requests": 3}, {}, {"x": Series.of([1.0] * 3000)})
    for _ in range(2):
        answer, data = device.ask("POST", "reports", render(Report("b1", 0, (told,), (Event(0.0, "booted"),))))
        assert answer.status == 200 and read(Receipt, data) == Receipt("b1", 0, device.revision)
    with fleet.state.database.read(fleet.tenant) as session:
        assert session.scalar(select(func.count()).select_from(Happening)) == 1
    assert fleet.north.get("/api/edge/devices/a/telemetry")["items"][0]["counters"] == {"requests": 3}
    assert device.status("POST", "reports", b" " * 300_000) == 413


def test_a_device_that_reports_without_end_is_slowed(fleet):
    device = fleet.device("a")
    answers = [device.ask("POST", "reports", render(Report("b1", n)))[0] for n in range(70)]
    assert answers[0].status == 200 and answers[-1].status == 429 and int(answers[-1].headers["Retry-After"]) > 0


def test_what_one_device_told_is_found_without_a_look_at_all_others(shelf):
    if shelf.state.database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL's plans depend on what lies there")
    asked = []
    event.listen(shelf.state.database.engine, "before_cursor_execute", lambda *told: asked.append(told[2:4]))
    shelf.add("a")
    with shelf.state.database.write(shelf.tenant) as session:
        telemetry.watch(session, "w", ["a"], shelf.clock())
    shelf.periods("telemetry")
    shelf.periods("devices/a/telemetry")
    reads = [one for one in asked if one[0].startswith("SELECT periods")]
    with shelf.state.database.engine.begin() as connection:
        plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values).all() for query, values in reads]
    assert len(plans) == 3
    assert all("device=? AND began_s>?" in str(plan[0]) for plan in plans)
