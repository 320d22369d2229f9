"""Health, causes and the course of alerts: pure rules, as tables."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.core.errors import InputError
from edgewright.core.messages import Observation, Series
from edgewright.hub.alerts.causes import FEWEST, Around, Cause, Drift, Found, RolloutNow, find
from edgewright.hub.alerts.course import AGAIN, LONGEST, QUIET, Now, quiet_of, steps
from edgewright.hub.alerts.health import LEVELS, Known, health, spoken
from edgewright.hub.alerts.rules import KINDS, Rule, check_mail, check_rules, read_rules, usual_rules, wanted
from edgewright.hub.alerts.serving import Hour, Usual, judge, usual_of

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
STATUS = {"state": "idle", "current": "a" * 64, "good": "a" * 64, "clock_s": 1.0, "free_bytes": 5 << 30}
WELL = Known(
    "pump-1", "line-3", NOW - timedelta(days=40), NOW - timedelta(seconds=20), NOW - timedelta(days=1), status=STATUS,
    storage_bytes=16 << 30, certificate=(NOW - timedelta(days=5), NOW + timedelta(days=25)),
)  # fmt: skip


def but(**status):
    return replace(WELL, status=STATUS | status)


def ago(**by):
    return NOW - timedelta(**by)


@pytest.mark.parametrize(
    ("known", "component", "level", "word"),
    [
        (WELL, "connection", "ok", "20 seconds ago"),
        (replace(WELL, seen=ago(minutes=4)), "connection", "warn", "4 minutes ago"),
        (replace(WELL, seen=ago(minutes=16)), "connection", "bad", "16 minutes ago"),
        (replace(WELL, seen=ago(hours=9), heard_since=ago(minutes=2)), "connection", "ok", "9 hours ago"),
        (replace(WELL, seen=None, made=ago(minutes=1)), "connection", "ok", "never asked"),
        (replace(WELL, seen=None), "connection", "bad", "40 days ago and never asked"),
        (WELL, "certificate", "ok", "25 days"),
        (replace(WELL, certificate=None), "certificate", "ok", "no certificate yet"),
        (replace(WELL, certificate=(ago(days=23), NOW + timedelta(days=7))), "certificate", "warn", "7 days"),
        (replace(WELL, certificate=(ago(days=28), NOW + timedelta(days=2))), "certificate", "bad", "2 days"),
        (replace(WELL, certificate=(ago(days=31), ago(days=1))), "certificate", "bad", "ended 1 day ago"),
        (WELL, "update", "ok", "runs what it was told"),
        (but(current="", good=""), "update", "ok", "no bundle"),
        (but(config="[models] has no key 'max_batsch'"), "configuration", "warn", "max_batsch"),
        (but(), "configuration", "ok", "none"),
        (but(current=""), "update", "bad", "serves no bundle, and had one"),
        (but(state="fetching"), "update", "ok", "'fetching'"),
        (replace(but(state="fetching"), changed=ago(days=2)), "update", "warn", "for 2 days"),
        (but(state="rolling_back", reason="p95"), "update", "warn", "p95"),
        (but(result="rolled_back", reason="p95 of 90 ms"), "update", "warn", "rolled back: p95 of 90 ms"),
        (but(result="abandoned"), "update", "warn", "abandoned"),
        (WELL, "serving", "ok", "nothing out of the usual"),
        (replace(WELL, serving=("bad", "m: 9 errors")), "serving", "bad", "9 errors"),
        (WELL, "disk", "ok", "5,120 of 16,384 MiB"),
        (but(free_bytes=500 << 20), "disk", "warn", "500"),
        (but(free_bytes=200 << 20), "disk", "bad", "200"),
        (replace(but(free_bytes=90 << 20), storage_bytes=0), "disk", "warn", "90 MiB"),
        (but(clock_s=0.0, free_bytes=0), "disk", "ok", "has not told"),
        (WELL, "clock", "ok", "right"),
        (replace(WELL, offset_s=-300.0), "clock", "warn", "5 minutes behind"),
        (replace(WELL, offset_s=-1.7e9), "clock", "bad", "behind"),
        (replace(WELL, offset_s=7200.0), "clock", "bad", "2 hours ahead"),
        (WELL, "reports", "ok", "none"),
        (replace(WELL, lost=3), "reports", "warn", "3"),
        (replace(WELL, lost=5000), "reports", "bad", "5,000"),
    ],
)  # fmt: skip
def test_components(known, component, level, word):
    found = health(known, NOW)
    (one,) = [c for c in found.components if c.name == component]
    assert one.level == level and word in one.told
    assert found.level == max((c.level for c in found.components), key=LEVELS.index)


def test_a_device_of_which_all_is_well_is_ok():
    assert health(WELL, NOW).level == "ok"
    assert [c.name for c in health(WELL, NOW).components] == [
        "connection", "certificate", "update", "serving", "disk", "clock", "reports", "configuration"
    ]  # fmt: skip


@given(
    status=st.dictionaries(
        st.sampled_from(["state", "result", "current", "free_bytes", "clock_s"]), st.none() | st.integers() | st.text()
    ),
    offset=st.floats(-1e12, 1e12),
)
def test_whatever_a_device_tells_it_has_a_health(status, offset):
    assert health(replace(WELL, status=status, offset_s=offset), NOW).level in LEVELS


@pytest.mark.parametrize(("seconds", "told"), [(-5, "0 seconds"), (1, "1 second"), (7200, "2 hours"), (90000, "1 day")])
def test_spans_are_spoken(seconds, told):
    assert spoken(timedelta(seconds=seconds)) == told


USUAL = usual_of([Hour(1000, 2, 0, 10.0)] * 24)


@pytest.mark.parametrize(
    ("hour", "usual", "level"),
    [
        (Hour(1000, 3, 0, 10.5), USUAL, "ok"),
        (Hour(), USUAL, "ok"),
        (Hour(1000, 30, 0, 10.0), USUAL, "warn"),
        (Hour(1000, 200, 0, 10.0), USUAL, "bad"),
        (Hour(1000, 0, 200, 10.0), USUAL, "bad"),
        (Hour(10, 2, 0, 10.0), USUAL, "warn"),  # 20% of ten requests: surely more than 1%, not surely more than 5%
        (Hour(20, 1, 0, 10.0), USUAL, "ok"),  # 5% of twenty: nothing is sure
        (Hour(1000, 200, 0, 10.0), usual_of([Hour(1000, 190, 0, 10.0)] * 24), "ok"),  # no worse than it always was
        (Hour(1000, 0, 0, 16.0), USUAL, "warn"),
        (Hour(1000, 0, 0, 31.0), USUAL, "bad"),
        (Hour(50, 0, 0, 31.0), USUAL, "ok"),
        (Hour(1000, 0, 0, 31.0), Usual(), "ok"),
        (Hour(1000, 0, 0, 0.9), usual_of([Hour(1000, 0, 0, 0.1)] * 24), "ok"),  # less than a millisecond
        (Hour(1000, 3000, 0, None), USUAL, "bad"),  # more errors than requests: told, not refused
    ],
)
def test_serving_is_held_against_the_devices_own_past(hour, usual, level):
    assert judge({"m": (hour, usual)})[0] == level


def test_the_worst_of_several_models_is_told():
    level, told = judge({"a": (Hour(1000, 30), USUAL), "b": (Hour(1000, 400), USUAL), "c": (Hour(9), USUAL)})
    assert level == "bad" and told == "b: 400 errors in 1,000 requests (40.0%, usually 0.2%)"


def test_what_is_usual_follows_within_some_days():
    usual = USUAL
    levels = []
    for _ in range(72):
        slow = Hour(1000, 2, 0, 40.0)
        levels.append(judge({"m": (slow, usual)})[0])
        usual = usual.then(slow)
    assert levels[0] == "bad" and levels[-1] == "ok"


def test_an_hour_is_made_of_all_bundles():
    def told(n, ms):
        return Observation("m", "", 0.0, 900.0, {"requests": n, "errors": 1}, {}, {"latency_ms": Series.of([ms] * n)})

    hour = Hour.of([told(90, 1.0), told(10, 50.0)])
    assert (hour.requests, hour.errors, hour.missed) == (100, 2, 0)
    assert hour.p95_ms == pytest.approx(50.0, rel=0.01)
    assert Hour.of([Observation("m", "", 0.0, 900.0)]) == Hour()


RULES = usual_rules()


def silent(name, group="line-3", **by):
    return replace(WELL, name=name, group=group, seen=NOW - timedelta(**(by or {"hours": 1})))


def fleet(n, quiet, group="line-3"):
    return [replace(WELL, name=f"{group}-{i}", group=group) for i in range(quiet, n)] + [
        silent(f"{group}-{i}", group) for i in range(quiet)
    ]  # fmt: skip


def subjects(found, kind="device.silent"):
    return sorted(cause.subject for cause in found.causes.values() if cause.kind == kind)


def look(devices, around=None, open_=(), **changed):
    rules = RULES | changed
    return find(devices, around or Around(), rules, NOW, set(open_))


def test_each_of_a_few_has_its_own_cause():
    found = look(fleet(30, 3))
    assert subjects(found) == ["device/line-3-0", "device/line-3-1", "device/line-3-2"]
    assert not found.holding


@pytest.mark.parametrize(("n", "quiet"), [(10, 5), (10, 10), (6, 5), (5000, 2500), (10000, 20)])
def test_many_of_a_group_are_one_cause(n, quiet):
    found = look([*fleet(n, quiet), *fleet(n, 0, "line-4")])
    assert subjects(found) == ["group/line-3"]
    assert len(found.holding) == quiet
    (cause,) = found.causes.values()
    assert cause.told.startswith(f"{quiet:,} of {n:,} devices of group line-3 are silent: line-3-0, line-3-1, line-3-2")


def test_half_of_a_fleet_is_one_cause():
    groups = [device for i in range(300) for device in fleet(10, 7, f"g{i}")]
    assert subjects(look(groups)) == ["fleet"]
    spread = [device for i in range(300) for device in fleet(10, 5 if i < 30 else 0, f"g{i}")]
    assert subjects(look(spread)) == ["fleet"]


def test_two_of_two_devices_are_two_causes():
    assert subjects(look(fleet(2, 2))) == ["device/line-3-0", "device/line-3-1"]


def test_a_storm_ends_when_half_as_many_are_left():
    key = "device.silent group/line-3"
    assert subjects(look(fleet(20, 6), open_=[key])) == ["group/line-3"]
    assert subjects(look(fleet(20, 6))) == [f"device/line-3-{i}" for i in range(6)]
    assert subjects(look(fleet(20, 4), open_=[key])) == [f"device/line-3-{i}" for i in range(4)]


def test_muted_groups_and_rules_that_are_off_raise_nothing():
    devices = [*fleet(10, 2), *fleet(10, 2, "lab")]
    muted = Rule("device.silent", "warning", limit=15, muted=frozenset({"lab"}))
    assert subjects(look(devices, **{"device.silent": muted})) == ["device/line-3-0", "device/line-3-1"]
    off = Rule("device.silent", "warning", on=False, limit=15)
    assert not look(devices, **{"device.silent": off}).causes


def test_a_limit_is_the_tenants():
    rule = Rule("device.silent", "info", limit=90)
    assert not look([silent("a")], **{"device.silent": rule}).causes
    (cause,) = look([silent("a", hours=2)], **{"device.silent": rule}).causes.values()
    assert cause.severity == "info"


def test_of_a_silent_device_nothing_else_is_told():
    old = (NOW - timedelta(days=40), NOW - timedelta(days=10))
    device = replace(silent("a"), certificate=old, status=STATUS | {"free_bytes": 0}, lost=5)
    assert [cause.kind for cause in look([device]).causes.values()] == ["device.silent"]


@pytest.mark.parametrize(
    ("known", "kind"),
    [
        (but(free_bytes=0), "device.ill"),
        (replace(WELL, serving=("bad", "m: errors")), "device.ill"),
        (replace(WELL, serving=("warn", "m: errors")), None),
        (replace(WELL, offset_s=9999.0), "device.ill"),
        (replace(WELL, certificate=(NOW - timedelta(days=24), NOW + timedelta(days=6))), "device.certificate"),
        (replace(WELL, lost=1), "device.reports_lost"),
    ],
)
def test_causes_of_a_device(known, kind):
    assert [cause.kind for cause in look([known]).causes.values()] == ([kind] if kind else [])


def rollout(state, **since):
    return RolloutNow("rol_1", "seg 2", "line-3", state, NOW - timedelta(**since))


@pytest.mark.parametrize(
    ("around", "key"),
    [
        (Around([rollout("halted", seconds=0)]), "rollout.halted rollout/rol_1"),
        (Around([rollout("rolled_back", hours=9)]), "rollout.halted rollout/rol_1"),
        (Around([rollout("paused", minutes=59)]), None),
        (Around([rollout("paused", minutes=61)]), "rollout.paused rollout/rol_1"),
        (Around([rollout("awaiting_signature", minutes=61)]), "rollout.unsigned rollout/rol_1"),
        (Around([rollout("wave", days=9)]), None),
        (Around(drifts=[Drift("rol_1", "line-3", "confidence went down")]), "rollout.drift rollout/rol_1"),
        (Around(expires={"targets": NOW + timedelta(days=15)}), None),
        (Around(expires={"targets": NOW + timedelta(days=13)}), "updates.expiring updates/targets"),
        (Around(expires={"timestamp": NOW + timedelta(days=1)}), None),
        (Around(expires={"timestamp": NOW + timedelta(hours=5)}), "updates.expiring updates/timestamp"),
        (Around(expires={"root": NOW - timedelta(hours=5)}), "updates.expiring updates/root"),
        (Around(free=0.11), None),
        (Around(free=0.09), "hub.disk hub"),
        (Around(given_up={"mail": "messages by mail were given up"}), "delivery.failing mail"),
        (Around(cloned={"pump-1": "two use it"}), "device.cloned device/pump-1"),
    ],
)
def test_other_causes(around, key):
    assert list(look([WELL], around).causes) == ([key] if key else [])


CAUSE = Cause("device.silent", "device/a", "warning", "device a is silent")
FOUND, NOTHING = Found({CAUSE.key: CAUSE}, frozenset()), Found({}, frozenset())


class Course:
    """An alert as the hub's rows would have it, minute by minute."""

    def __init__(self):
        self.now, self.alerts, self.told = NOW, {}, []

    def minute(self, wrong, minutes=1):
        for _ in range(minutes):
            self.now += timedelta(minutes=1)
            found = wrong if isinstance(wrong, Found) else FOUND if wrong else NOTHING
            for step in list(steps(self.alerts, found, self.now)):
                self.apply(step)
            assert list(steps(self.alerts, found, self.now)) == []

    def apply(self, step):
        if step.verb == "raise":
            self.alerts[step.cause.key] = Now(step.cause.key, step.cause.severity, step.cause.told, None, 0)
        key = step.cause.key if step.cause else next(k for k, a in self.alerts.items() if a.id == step.alert)
        was = self.alerts[key]
        changes = {
            "raise": {}, "change": {}, "quiet": {"quiet": self.now}, "end": {"ended": self.now},
            "back": {"quiet": None, "returns": was.returns + 1},
            "again": {"quiet": None, "ended": None, "returns": was.returns + 1},
        }[step.verb]  # fmt: skip
        if step.cause:
            changes |= {"severity": step.cause.severity, "told": step.cause.told}
        self.alerts[key] = replace(was, **changes)
        if step.verb in ("raise", "again", "end"):
            self.told.append(step.verb)


def test_an_alert_is_raised_once_and_over_when_its_cause_stays_away():
    course = Course()
    course.minute(True, 500)
    assert course.told == ["raise"]
    course.minute(False, 5)
    assert course.told == ["raise"]
    course.minute(False, 2)
    assert course.told == ["raise", "end"]
    course.minute(False, 500)
    assert course.told == ["raise", "end"]


@pytest.mark.parametrize("half", [1, 4, 10, 20, 30])
def test_what_comes_and_goes_is_held_down(half):
    course = Course()
    for _ in range(48 * 60 // (2 * half)):
        course.minute(True, half)
        course.minute(False, half)
    assert len(course.told) <= 9  # two days: without holding down some 100 to 1,400


def test_after_a_long_while_it_is_a_new_alert():
    course = Course()
    course.minute(True)
    course.minute(False, 10)
    course.minute(False, int(AGAIN.total_seconds()) // 60)
    course.minute(True)
    assert course.told == ["raise", "end", "raise"]


def test_an_alert_that_a_larger_one_tells_stays_open():
    course = Course()
    course.minute(True)
    group = Cause("device.silent", "group/g", "warning", "9 of 10")
    held = Found({group.key: group}, frozenset({CAUSE.key}))
    course.minute(held, 60)
    assert course.told == ["raise", "raise"]
    course.minute(False, 10)
    assert course.told == ["raise", "raise", "end", "end"]


def test_quiet_times_grow_to_their_bound():
    assert [quiet_of(n) for n in (0, 1, 3)] == [QUIET, 2 * QUIET, 8 * QUIET]
    assert quiet_of(10**6) == LONGEST


@given(st.lists(st.booleans(), max_size=120))
def test_raised_and_ended_take_turns(wrong):
    course = Course()
    for one in wrong:
        course.minute(one)
    assert all(word == ("end" if i % 2 else course.told[i]) for i, word in enumerate(course.told))
    assert "end" not in course.told[::2]


@pytest.mark.parametrize(
    "rules",
    [
        [Rule("device.gone", "info")],
        [Rule("device.silent", "info"), Rule("device.silent", "warning")],
        [Rule("device.ill", "info", limit=3)],
        [Rule("device.silent", "info", limit=0.5)],
        [Rule("hub.disk", "info", limit=91)],
    ],
)
def test_rules_that_do_not_fit_are_refused(rules):
    with pytest.raises(InputError):
        check_rules(rules)


def test_rules_are_kept_and_the_usual_ones_fill_in():
    kept = check_rules([Rule("device.silent", "critical", muted=frozenset({"lab"}))])
    rules = read_rules({kind: rule.to_json() for kind, rule in kept.items()})
    assert rules["device.silent"] == Rule("device.silent", "critical", limit=15, muted=frozenset({"lab"}))
    assert rules | {"device.silent": None} == usual_rules() | {"device.silent": None}
    assert set(rules) == set(KINDS)


def test_mail_addresses():
    assert check_mail([" b@example.com", "a+x@example.com", "b@example.com"]) == ["a+x@example.com", "b@example.com"]
    for bad in ("", "a", "a@", "a@b c", "a@b\nBcc: c@d", "A <a@b>", "a@-b", "ä@b"):
        with pytest.raises(InputError):
            check_mail([bad])


def test_who_hears_of_what():
    assert wanted("critical", "warning") and wanted("warning", "warning") and not wanted("info", "warning")
    assert FEWEST > 1
