"""Alerts of a hub on each database: rounds, one worker at a time, and the routes."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from edgewright.core.messages import Observation, Report, Series
from edgewright.hub.accounts.audit import HUB, tell
from edgewright.hub.alerts import rounds as module
from edgewright.hub.alerts.around import beside
from edgewright.hub.alerts.rounds import GAP, LEASE, rounds, take_turns, watch
from edgewright.hub.alerts.tables import Alert, Served, Turn
from edgewright.hub.database import EVERY
from edgewright.hub.fleet.tables import Certificate, Device, Ledger, Period
from edgewright.hub.library.tables import Metadata
from edgewright.hub.outgoing.tables import Delivery
from edgewright.hub.rollouts.tables import Decision, Rollout
from edgewright.monitoring import rollup
from edgewright.monitoring.seen import Seen

STATUS = {"state": "idle", "current": "a" * 64, "clock_s": 1.0, "free_bytes": 5 << 30}


@pytest.fixture(autouse=True)
def _roomy(monkeypatch):
    """The test machine's own disk says nothing here."""
    monkeypatch.setattr(module, "free_share", lambda state: 1.0)


@pytest.fixture
def fleet(hub, clock):
    return Fleet(hub, clock)


class Fleet:
    """Devices of the tenant north; ``minute`` is one round, all devices but those named having asked before."""

    def __init__(self, hub, clock):
        self.hub, self.clock, self.state = hub, clock, hub.state
        self.tenant = hub.tenants["north"]

    def write(self, *rows, tenant=None):
        with self.state.database.write(tenant or self.tenant) as session:
            session.add_all(rows)

    def make(self, *names, tenant=None, **fields):
        now = self.clock()
        usual = {
            "group": "line-3", "labels": {}, "facts": {}, "revision": 0, "config": {}, "collect": {}, "status": STATUS,
            "made": now, "seen": now, "changed": now,
        }  # fmt: skip
        self.write(*(Device(name=name, **(usual | fields)) for name in names), tenant=tenant)

    def change(self, name, **fields):
        with self.state.database.write(self.tenant) as session:
            row = session.find(Device, name)
            for field, value in fields.items():
                setattr(row, field, value)

    def minute(self, minutes=1, but=()):
        for _ in range(minutes):
            self.clock.go_on(minutes=1)
            with self.state.database.write(EVERY) as session:
                for row in session.scalars(select(Device)):
                    if row.name not in but:
                        row.seen = self.clock()
            rounds(self.state, self.clock())

    def alerts(self, state="open", who=None):
        return [(one["kind"], one["subject"]) for one in self.listed(state, who)]

    def listed(self, state="open", who=None):
        return (who or self.hub.north).get(f"/api/edge/alerts?state={state}")["items"]


def test_a_silent_device_is_told_once_and_is_over_by_itself(fleet):
    fleet.make("pump-1", "pump-2")
    fleet.minute()
    seen = fleet.clock()
    assert fleet.alerts() == []
    fleet.minute(16, but=["pump-1"])
    (one,) = fleet.listed()
    assert one["subject"] == "device/pump-1" and one["state"] == "open" and one["severity"] == "warning"
    assert one["told"].startswith(f"device pump-1 is silent: it asked last at {seen:%Y-%m-%d %H:%M} UTC")
    fleet.minute(30, but=["pump-1"])
    assert [again["id"] for again in fleet.listed()] == [one["id"]]
    fleet.minute(8)
    assert fleet.alerts() == []
    (over,) = fleet.listed("resolved")
    assert over["id"] == one["id"] and over["resolved"] and over["acknowledged_by"] == ""
    assert fleet.alerts("all", fleet.hub.south) == []


def test_many_at_once_are_one_alert(fleet):
    names = [f"pump-{i}" for i in range(40)]
    fleet.make(*names)
    fleet.make("lone", group="")
    fleet.minute(20, but=names)
    assert fleet.alerts() == [("device.silent", "group/line-3")]
    assert fleet.listed()[0]["told"].startswith("40 of 40 devices of group line-3 are silent")
    fleet.minute(3, but=names[:9])
    fleet.minute(20, but=names[:2])
    assert sorted(fleet.alerts()) == [("device.silent", "device/pump-0"), ("device.silent", "device/pump-1")]


def test_revoked_devices_are_nobodys_concern(fleet):
    fleet.make("pump-1", revoked=fleet.clock())
    fleet.minute(30, but=["pump-1"])
    assert fleet.alerts() == []
    answer = fleet.hub.north.ask("GET", "/api/edge/devices/pump-1/health", 404)
    assert "revoked" in answer.json()["detail"]


def test_a_hub_that_was_away_blames_no_device_for_it(fleet):
    fleet.make("pump-1")
    fleet.minute(5)
    fleet.clock.go_on(hours=9)
    fleet.minute(1, but=["pump-1"])
    assert fleet.alerts() == []
    fleet.minute(16, but=["pump-1"])
    assert fleet.alerts() == [("device.silent", "device/pump-1")]


def test_certificate_disk_clock_and_lost_reports(fleet):
    now = fleet.clock()
    fleet.make("old", serial="01")
    fleet.write(
        Certificate(serial="01", device="old", key="k", made=now - timedelta(days=25), until=now + timedelta(days=5))
    )
    fleet.make("full", status=STATUS | {"free_bytes": 1000})
    fleet.make("late", offset_s=-99999.0)
    fleet.make("lossy")
    fleet.write(Ledger(device="lossy", seen="[]", dropped=7))
    fleet.minute(2)
    assert sorted(fleet.alerts()) == [
        ("device.certificate", "device/old"), ("device.ill", "device/full"), ("device.ill", "device/late"),
        ("device.reports_lost", "device/lossy"),
    ]  # fmt: skip
    fleet.clock.go_on(days=1)
    fleet.hub.north = fleet.hub.log_in_again("north")
    fleet.minute(10)
    assert ("device.reports_lost", "device/lossy") not in fleet.alerts()
    with fleet.state.database.write(fleet.tenant) as session:
        session.find(Ledger, "lossy").dropped = 9
    fleet.minute(2)
    found = {one["subject"]: one["told"] for one in fleet.listed()}
    assert "2 observations" in found["device/lossy"]


def test_a_clone_told_in_the_audit_log_is_an_alert(fleet):
    fleet.make("pump-1")
    fleet.minute()
    with fleet.state.database.write(fleet.tenant) as session:
        tell(session, HUB, "device.cloned", "pump-1", fleet.clock(), {"serial": "01"})
    fleet.minute(60)
    (one,) = fleet.listed()
    assert (one["kind"], one["subject"], one["severity"]) == ("device.cloned", "device/pump-1", "critical")
    assert one["returns"] == 0


def tell_hour(fleet, device, hour, **observed):
    """A rollup as the telemetry of the fleet keeps it."""
    import zlib

    from edgewright.core.digests import canonical_json

    requests, errors, ms = (observed.get(name, usual) for name, usual in (("n", 1000), ("errors", 0), ("ms", 5.0)))
    told = Observation("seg", "b" * 64, hour, 3600.0, {"requests": requests, "errors": errors}, {},
                       {"latency_ms": Series.of([ms] * requests)})  # fmt: skip
    taken = rollup.take(Seen(), lambda key: None, device, Report("boot", 0, (told,)), hour + 3600)
    rows = []
    for one in taken.write:
        name, model, bundle, began_s, seconds = one.key
        data = zlib.compress(canonical_json(one.to_json()))
        rows.append(Period(device=name, model=model, bundle=bundle, began_s=began_s, seconds=seconds, told=data))
    fleet.write(*rows)


def test_a_device_that_serves_worse_than_it_did_is_ill(fleet):
    fleet.make("pump-1", "pump-2")
    first = int(fleet.clock().timestamp()) // 3600 * 3600
    for hour in range(5):
        for name in ("pump-1", "pump-2"):
            worse = {"ms": 50.0, "errors": 300} if (hour, name) == (4, "pump-1") else {}
            tell_hour(fleet, name, first + hour * 3600, **worse)
    for _ in range(4):
        fleet.clock.go_on(minutes=59)
        fleet.minute(1)
    assert fleet.alerts() == []
    fleet.clock.go_on(hours=1, minutes=30)
    fleet.minute(1)
    (one,) = fleet.listed()
    assert one["subject"] == "device/pump-1"
    assert "seg: 300 errors in 1,000 requests (30.0%, usually 0.0%)" in one["told"]
    with fleet.state.database.read(fleet.tenant) as session:
        assert sorted(row.level for row in session.scalars(select(Served))) == ["bad", "ok"]
    told = fleet.hub.north.get("/api/edge/devices/pump-1/health")
    assert {c["name"]: c["level"] for c in told["components"]}["serving"] == "bad"
    told = fleet.hub.north.get("/api/edge/devices/pump-2/health")
    assert told["level"] == "ok"


def test_health_by_group(fleet):
    fleet.make("a", "b")
    fleet.make("c", group="", offset_s=-300.0)
    fleet.make("d", group="", seen=fleet.clock() - timedelta(hours=2))
    told = fleet.hub.north.get("/api/edge/health")
    assert (told["ok"], told["warn"], told["bad"]) == (2, 1, 1)
    assert told["groups"] == [
        {"group": "", "ok": 0, "warn": 1, "bad": 1}, {"group": "line-3", "ok": 2, "warn": 0, "bad": 0}
    ]  # fmt: skip
    assert told["by"]["clock"] == {"ok": 3, "warn": 1, "bad": 0}
    assert fleet.hub.south.get("/api/edge/health")["ok"] == 0
    fleet.hub.south.ask("GET", "/api/edge/devices/a/health", 404)


def test_acknowledging_is_written_down_once(fleet):
    fleet.make("pump-1")
    fleet.minute(17, but=["pump-1"])
    (one,) = fleet.listed()
    path = f"/api/edge/alerts/{one['id']}/acknowledge"
    told = fleet.hub.north.post(path, None, 200)
    assert told["acknowledged_by"] == "owner" and told["state"] == "open"
    fleet.hub.user("other", "operator").post(path, None, 200)
    assert fleet.listed()[0]["acknowledged_by"] == "owner"
    lines = [line for line in fleet.hub.north.get("/api/edge/audit")["items"] if line["action"] == "alert.acknowledged"]
    assert [line["subject"] for line in lines] == [one["id"]]
    fleet.hub.user("viewer", "viewer").ask("POST", path, 403)
    fleet.hub.south.ask("POST", path, 404)


def test_what_is_back_soon_after_it_was_over_needs_somebody_again(fleet):
    fleet.make("pump-1")
    fleet.minute(17, but=["pump-1"])
    (one,) = fleet.listed()
    fleet.hub.north.post(f"/api/edge/alerts/{one['id']}/acknowledge", None, 200)
    fleet.minute(10)
    fleet.minute(17, but=["pump-1"])
    (again,) = fleet.listed()
    assert again["id"] == one["id"] and again["acknowledged_by"] == "" and again["returns"] == 1


def test_rules_are_changed_and_hold(fleet):
    owner = fleet.hub.north
    told = owner.get("/api/edge/alerts/rules")
    assert {rule["kind"]: rule["limit"] for rule in told["rules"]}["device.silent"] == 15
    assert told["mail"] == [] and told["mail_ready"] is False
    body = {
        "rules": [{"kind": "device.silent", "limit": 40, "severity": "critical", "muted": ["lab"]}],
        "mail": ["b@example.com", "a@example.com"], "least": "critical",
    }  # fmt: skip
    changed = owner.ask("PUT", "/api/edge/alerts/rules", 200, json=body).json()
    assert changed == owner.get("/api/edge/alerts/rules")
    assert changed["mail"] == ["a@example.com", "b@example.com"]
    fleet.make("pump-1")
    fleet.make("test-1", group="lab")
    fleet.minute(39, but=["pump-1", "test-1"])
    assert fleet.alerts() == []
    fleet.minute(3, but=["pump-1", "test-1"])
    assert [(one["subject"], one["severity"]) for one in fleet.listed()] == [("device/pump-1", "critical")]
    owner.ask("PUT", "/api/edge/alerts/rules", 200, json={})
    assert owner.get("/api/edge/alerts/rules") == told
    for bad in ({"rules": [{"kind": "nothing"}]}, {"rules": [{"kind": "hub.disk", "limit": 99}]}, {"mail": ["nobody"]}):
        owner.ask("PUT", "/api/edge/alerts/rules", 422, json=bad)
    assert owner.get("/api/edge/audit")["items"][0]["action"] == "alerts.rules-changed"


def test_one_worker_at_a_time_and_another_when_it_is_gone(fleet):
    fleet.make("pump-1")
    other = replace(fleet.state, _parts={})
    now = fleet.clock()
    mine = take_turns(fleet.state, now)
    assert set(mine.tenants) == set(fleet.hub.tenants.values())
    assert take_turns(other, now).tenants == []
    assert take_turns(fleet.state, now + timedelta(minutes=1)).since == mine.since
    later = now + timedelta(minutes=1) + LEASE + timedelta(seconds=1)
    theirs = take_turns(other, later)
    assert theirs.since == mine.since  # it took over soon enough: nothing was missed
    assert take_turns(fleet.state, later).tenants == []
    much_later = later + LEASE + GAP
    assert set(take_turns(fleet.state, much_later).since.values()) == {much_later}


def test_a_worker_that_lost_its_lease_stores_nothing(fleet):
    fleet.make("pump-1", seen=fleet.clock() - timedelta(days=1), made=fleet.clock() - timedelta(days=1))
    mine = take_turns(fleet.state, fleet.clock() - timedelta(days=1))
    with fleet.state.database.write(EVERY) as session:
        for row in session.scalars(select(Turn)):
            row.holder, row.until = "somebody else", fleet.clock() + LEASE
    watch(fleet.state, mine, fleet.clock())
    assert fleet.alerts() == []


def test_workers_that_start_at_once_raise_one_alert(fleet):
    fleet.make("pump-1", status=STATUS | {"free_bytes": 0})
    failed, gate = [], threading.Barrier(3)

    def work():
        own = replace(fleet.state, _parts={})
        gate.wait()
        try:
            rounds(own, fleet.clock())
        except Exception as error:  # noqa: BLE001 - told by the assertion below
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fleet.alerts()) == 1
    assert all("alert_turns" in str(error) for error in failed), failed


def test_rollouts_gates_and_metadata_are_read_from_their_tables(fleet):
    now, tenant = fleet.clock(), fleet.tenant
    told = '{"evidence":{"drifts":["confidence went down by 0.02 on unchanged devices too"]},"by":"gate","kind":"hold"}'
    quiet = told.replace('["confidence went down by 0.02 on unchanged devices too"]', "[]")
    bare = {"bundle_name": "seg", "bundles": {}, "policy": {}, "plan": {}, "needs": [], "conflicts": [], "author": "a",
            "approvals": [], "order": {}, "look": {}, "made": now, "heard": now}  # fmt: skip
    fleet.write(
        *(
            Rollout(id=f"r{i}", name="seg", group="line-3", state=state, since=now.timestamp() - 7200, **bare)
            for i, state in enumerate(
                ["halted", "wave", "paused", "completed", "awaiting_signature", "rolled_back", "rolled_back"]
            )
        ),
        *(
            Decision(id=f"d{i}", rollout=f"r{i}", at=at, kind=kind, digest="0" * 64, told=words)
            for i, at, words, kind in [
                (1, now, told, "hold"), (2, now, quiet, "hold"), (3, now - timedelta(days=2), told, "hold"),
                (5, now - timedelta(hours=3), quiet, "halt"),
                (6, now - timedelta(hours=3), quiet.replace('"gate"', '"ann"'), "halt"),
            ]
        ),
        *(
            Metadata(name=name, role=role, version=1, data=b"", expires=now + timedelta(days=days), until=until)
            for role, name, days, until in [
                ("root", "1.root.json", 3, None), ("root", "2.root.json", 700, None),
                ("targets", "3.targets.json", 5, None), ("targets", "2.targets.json", 1, now),
            ]
        ),
    )  # fmt: skip
    with fleet.state.database.read(EVERY) as session:
        found = beside(session, [tenant], now)
    (drift,) = found.drifts[tenant]
    assert (drift.rollout, drift.group) == ("r1", "line-3") and "confidence went down by 0.02" in drift.told
    assert found.expires[tenant] == {"root": now + timedelta(days=700), "targets": now + timedelta(days=5)}
    fleet.minute()
    assert sorted(fleet.alerts()) == [
        ("rollout.drift", "rollout/r1"), ("rollout.halted", "rollout/r0"), ("rollout.halted", "rollout/r5"),
        ("rollout.paused", "rollout/r2"),
        ("rollout.unsigned", "rollout/r4"), ("updates.expiring", "updates/targets"),
    ]  # fmt: skip
    assert fleet.alerts(who=fleet.hub.south) == []


def test_the_hubs_own_disk(fleet, monkeypatch):
    monkeypatch.setattr(module, "free_share", lambda state: 0.04)
    fleet.minute()
    assert fleet.alerts() == [("hub.disk", "hub")] == fleet.alerts(who=fleet.hub.south)


def test_pages_of_alerts_go_on_newest_first(fleet):
    fleet.make(*(f"pump-{i}" for i in range(4)), status=STATUS | {"free_bytes": 0})
    fleet.minute()
    first = fleet.hub.north.get("/api/edge/alerts?state=open&limit=3")
    rest = fleet.hub.north.get(f"/api/edge/alerts?state=open&limit=3&cursor={first['next']}")
    ids = [one["id"] for one in (*first["items"], *rest["items"])]
    assert len(set(ids)) == 4 and ids == sorted(ids, reverse=True)
    fleet.hub.north.ask("GET", "/api/edge/alerts?state=other", 422)


def test_nothing_is_posted_where_nobody_wants_it(fleet):
    fleet.make("pump-1", status=STATUS | {"free_bytes": 0})
    fleet.minute()
    with fleet.state.database.read(fleet.tenant) as session:
        assert session.scalars(select(Delivery)).all() == [] and len(session.scalars(select(Alert)).all()) == 1
