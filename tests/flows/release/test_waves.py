"""A rollout from draft to its end: what is done next, and that nothing is done twice. No clock runs here."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.flows.release import (
    Change,
    Device,
    Installs,
    Member,
    Move,
    Now,
    Order,
    Policy,
    Reading,
    Report,
    Rollout,
    Verdict,
    Window,
    allowed,
    installs,
    judge,
    overdue,
    parse_waves,
    reported,
    settle,
    share,
)  # fmt: skip

START = 1_700_000_000.0
ADVANCE, HOLD, HALT = (Verdict(action, f"it says {action}", 0.0, 5.3) for action in ("advance", "hold", "halt"))


class Fleet:
    """Rows, devices and the time; devices answer when told to."""

    def __init__(self, count=10, policy=None, signed=True, **more):
        policy = policy or Policy(parse_waves("2d,100"), soak_s=600)
        self.rollout = Rollout("r1", policy, signed=signed, **more)
        sizes = [size.of(count) for size in policy.waves]
        self.rows = {f"d{i}": Member(f"d{i}", next(w for w, end in enumerate(sizes) if i < end)) for i in range(count)}
        self.devices = {name: Device() for name in self.rows}
        self.at, self.up_since, self.decisions = START, 0.0, []

    def go(self, verdict=None, seconds=0.0):
        self.at += seconds
        now = Now(self.at, dict(self.devices), self.up_since, verdict)
        self.rollout, self.rows, actions = settle(self.rollout, self.rows, now)
        again = settle(self.rollout, self.rows, replace(now, verdict=None))
        assert again == (self.rollout, self.rows, [])
        self.decisions += [a.decision for a in actions if isinstance(a, Move) and a.decision]
        return actions

    def order(self, kind, **more):
        self.rollout = replace(self.rollout, order=Order(kind, "ann", **more))
        return self.go()

    def told(self, state, failure=None, names=None):
        for name in names or [n for n, m in self.rows.items() if m.lease_until is not None]:
            row = self.rows[name]
            self.rows[name] = reported(row, Report(name, row.attempt, state, failure), self.at)
        return self.go()

    def wave(self):
        """The wave's devices fetch, switch and are well."""
        self.told("staged")
        self.told("active")

    @property
    def states(self):
        return "".join({"waiting": ".", "offered": "o", "staged": "s", "switching": "w", "active": "A", "failed": "F",
                        "skipped": "-", "reverting": "r", "reverted": "R", "released": "x"}[m.state]
                       for m in self.rows.values())  # fmt: skip

    @property
    def where(self):
        one = self.rollout
        return f"{one.wave} {one.phase}" if one.state == "wave" else one.state


def started(**more):
    fleet = Fleet(**more)
    fleet.order("submit")
    return fleet


def test_a_release_that_is_well_reaches_everyone():
    fleet = Fleet(signed=False, policy=Policy(parse_waves("2d,100"), approvals=1))
    assert fleet.go() == [] and fleet.where == "draft"
    fleet.order("submit")
    assert fleet.where == "approval"
    fleet.rollout = replace(fleet.rollout, approved=1)
    fleet.go()
    assert fleet.where == "awaiting_signature" and fleet.states == ".........."
    fleet.rollout = replace(fleet.rollout, signed=True)
    fleet.go()
    assert (fleet.where, fleet.states) == ("0 offer", "oo........")
    fleet.told("staged")
    assert (fleet.where, fleet.states) == ("0 activate", "ww........")
    fleet.told("active")
    assert (fleet.where, fleet.states) == ("0 soak", "AA........")
    fleet.go(ADVANCE, 599)
    assert fleet.where == "0 soak"
    fleet.go(HOLD, 1)
    assert fleet.where == "0 gate"
    fleet.go(ADVANCE)
    assert (fleet.where, fleet.states) == ("1 offer", "AAoooooooo")
    fleet.wave()
    fleet.go(seconds=600)
    fleet.go(ADVANCE)
    assert (fleet.where, fleet.states) == ("completed", "AAAAAAAAAA")
    assert [d.kind for d in fleet.decisions] == ["advance", "complete"]
    assert fleet.decisions[0].sentence() == "Rollout r1 was advanced in wave 1: it says advance."


HALTS = [
    ("hold", "halted", "AAxxx"),
    ("revert exposed", "rolling_back", "rrxxx"),
    ("revert all", "rolling_back", "rrrrr"),
]


@pytest.mark.parametrize(("mode", "where", "states"), HALTS)
def test_a_halt_in_the_middle_of_a_soak(mode, where, states):
    fleet = started(count=5, policy=Policy(parse_waves("2d,100"), on_halt=mode))
    fleet.wave()
    fleet.go(HALT)
    assert (fleet.where, fleet.states) == (where, states)
    assert fleet.decisions[-1].kind == "halt" and fleet.decisions[-1].wave == 0
    if where == "rolling_back":
        fleet.told("reverted")
        assert (fleet.where, fleet.states) == ("rolled_back", states.replace("r", "R"))
    else:
        fleet.order("abort", mode="revert exposed")
        assert (fleet.where, fleet.states) == ("rolling_back", "rrxxx")


def test_who_does_not_go_back_in_time_is_no_reason_to_wait_for_ever():
    fleet = started()
    fleet.wave()
    fleet.go(HALT)
    fleet.go(seconds=901)
    assert fleet.where == "rolled_back" and fleet.states.startswith("rr")
    row = fleet.rows["d0"]
    assert reported(row, Report("d0", row.attempt, "reverted"), fleet.at).state == "reverted"


def test_silence_counts_as_a_failure_after_the_lease_and_three_attempts():
    fleet = started()
    fleet.go(seconds=899)
    assert fleet.states == "oo........"
    fleet.go(seconds=1)
    assert fleet.states == "FF........" and installs(fleet.rollout, fleet.rows.values()).pending == 2
    for wait in (60, 900, 120, 900):
        fleet.go(seconds=wait)
    assert fleet.states == "FF........" and fleet.rows["d0"].attempt == 3
    found = installs(fleet.rollout, fleet.rows.values())
    assert (found.offered, found.failed_before, found.failed_after, found.pending) == (2, 2, 0, 0)
    assert fleet.where == "0 soak"


def test_a_hub_that_was_away_calls_nobody_silent():
    fleet = started()
    fleet.up_since = fleet.at + 86_000
    fleet.go(seconds=86_400)
    assert fleet.states == "oo........"
    fleet.go(seconds=500)
    assert fleet.states.startswith("FF")


def test_failures_of_the_release_itself_are_not_tried_again():
    fleet = started()
    fleet.told("failed", "probe", ["d0"])
    fleet.told("failed", "network", ["d1"])
    fleet.go(seconds=61)
    assert fleet.states == "Fo........" and fleet.rows["d1"].attempt == 2


def test_devices_switch_in_their_own_night():
    fleet = started(count=3, policy=Policy(parse_waves("100"), window=Window.parse("02:00-04:00")))
    midnight = START - START % 86400
    fleet.devices = {"d0": Device(), "d1": Device(utc_offset_s=7200), "d2": Device(utc_offset_s=-3600)}
    fleet.told("staged")
    fleet.at = midnight + 86400
    for hour, states in ((0, "sws"), (2, "wws"), (3, "www")):
        fleet.at = midnight + 86400 + 3600 * hour
        fleet.told("staged", names=["d1"])
        fleet.rows = {n: replace(m, lease_until=None) if m.state == "switching" else m for n, m in fleet.rows.items()}
        fleet.go()
        assert fleet.states == states


@pytest.mark.parametrize(
    ("text", "hours"), [("02:00-04:00", {2, 3}), ("22:00-01:00", {22, 23, 0}), ("00:00-24:00", set(range(24)))]
)
def test_windows(text, hours):
    assert {h for h in range(24) if Window.parse(text).is_open(3600.0 * h + 59, 0)} == hours


def test_who_is_away_is_asked_when_it_is_back():
    fleet = Fleet(count=4, policy=Policy(parse_waves("100")))
    fleet.devices["d3"] = Device(online=False)
    fleet.order("submit")
    fleet.wave()
    assert (fleet.where, fleet.states) == ("0 soak", "AAA.")
    fleet.go(seconds=600)
    fleet.go(ADVANCE)
    fleet.devices["d3"] = Device()
    fleet.go()
    assert (fleet.where, fleet.states) == ("completed", "AAAo")


def test_most_of_a_wave_away_is_waited_for():
    fleet = Fleet(count=4, policy=Policy(parse_waves("100")))
    fleet.devices = {name: Device(online=name == "d0") for name in fleet.rows}
    fleet.order("submit")
    fleet.wave()
    assert (fleet.where, fleet.states) == ("0 activate", "A...")


def test_needs_conflicts_and_other_rollouts():
    fleet = Fleet(count=4, policy=Policy(parse_waves("100")), needs=frozenset({"base"}), conflicts=frozenset({"lab"}))
    base = frozenset({"base"})
    fleet.devices = {"d0": Device(releases=base), "d1": Device(), "d2": Device(releases=base | {"lab"}),
                     "d3": Device(releases=base, busy=True)}  # fmt: skip
    fleet.order("submit")
    assert fleet.states == "o.-."
    fleet.devices |= {"d1": Device(releases=base), "d3": Device(releases=base)}
    fleet.go()
    assert fleet.states == "oo-o"


def test_pause_stops_new_work_and_resume_soaks_anew():
    fleet = started()
    fleet.order("pause")
    fleet.told("staged")
    assert (fleet.where, fleet.states) == ("paused", "ss........")
    fleet.order("resume")
    assert fleet.states == "ww........"
    fleet.told("active")
    fleet.go(seconds=500)
    fleet.order("pause")
    fleet.order("resume")
    fleet.go(seconds=500)
    assert fleet.where == "0 soak"


def test_a_gate_that_holds_pauses_in_the_end_and_a_person_may_go_on():
    fleet = started()
    fleet.wave()
    fleet.go(seconds=600)
    fleet.go(HOLD, 1799)
    assert fleet.where == "0 gate" and not overdue(fleet.rollout, fleet.at)
    assert overdue(fleet.rollout, fleet.at + 1)
    fleet.go(HOLD, 1801)
    assert fleet.where == "paused" and fleet.decisions[-1].why == "it says hold"
    fleet.order("advance")
    assert fleet.where == "1 offer" and fleet.decisions[-1].by == "ann"


def test_everyone_fetches_ahead_and_only_waves_switch():
    fleet = started(policy=Policy(parse_waves("2d,100"), prestage=True))
    assert fleet.states == "oooooooooo"
    fleet.told("staged", names=[f"d{i}" for i in range(9)])
    assert (fleet.where, fleet.states) == ("staging", "sssssssss" + "o"), "the last one still fetches"
    fleet.go(None, 901)  # and no longer than its lease
    assert fleet.states == "wwsssssssF" and installs(fleet.rollout, fleet.rows.values()).offered == 2


def test_nobody_holds_up_a_release_that_is_fetched_ahead_for_longer_than_a_lease():
    fleet = Fleet(count=4, policy=Policy(parse_waves("1d,100"), prestage=True))
    for name in ("d2", "d3"):
        fleet.devices[name] = Device(online=False)
    fleet.devices["d1"] = Device(busy=True)
    fleet.order("submit")
    fleet.told("staged")
    assert (fleet.where, fleet.states) == ("staging", "s..."), "another rollout will let go of it, others may come"
    fleet.devices["d1"] = Device()
    fleet.go(None, 60)
    fleet.told("failed", "network")
    assert (fleet.where, fleet.states) == ("staging", "sF.."), "it is tried again"
    fleet.go(None, 300)
    fleet.told("staged")
    assert fleet.where == "0 activate", "half of them are there"
    late = Fleet(count=4, policy=Policy(parse_waves("1d,100"), prestage=True))
    for name in ("d1", "d2", "d3"):
        late.devices[name] = Device(online=False)
    late.order("submit")
    late.told("staged")
    assert late.where == "staging"
    late.go(None, 901)
    assert late.where == "0 activate", "and no longer than that, whoever comes and goes"


def judged(disagreed, rows=500, devices=2):
    after = {"disagreement": share(disagreed, rows)} if rows else {}
    readings = [Reading(f"d{i}", "canary", after=after) for i in range(devices)]
    return judge(Installs(devices, 0, 0, 0, devices, 0.02), readings)


@pytest.mark.parametrize(
    ("verdict", "state", "told"),
    [
        (judged(5), "wave", None), (judged(0, 0), "wave", None),
        (judged(25), "paused", "chooses otherwise than what serves on 5% of shadowed inputs on 2 devices"),
        (judged(250), "rolled_back", "on shadowed inputs"),
    ],
    ids=["agree", "nothing was asked", "doubt", "proof"],
)  # fmt: skip
def test_a_wave_switches_only_once_its_shadows_were_judged(verdict, state, told):
    fleet = Fleet(shadow_s=1800.0, state="staging")
    fleet.go()
    assert all(m.lease_until == fleet.at + 900 + 1800 for m in fleet.rows.values() if m.lease_until)
    fleet.told("staged")
    fleet.go(verdict if state == "wave" else ADVANCE)
    assert not any(m.switched for m in fleet.rows.values()), "this look was before their last word"
    fleet.go(None, 60)
    assert (fleet.where, fleet.states) == ("0 offer", "ss........"), "and nobody looked since"
    fleet.go(verdict, 60)
    assert fleet.rollout.state == state
    assert any(m.switched for m in fleet.rows.values()) is (state == "wave")
    if told is not None:
        assert told in fleet.decisions[-1].why and fleet.decisions[-1].evidence["findings"]
    if state == "paused":
        fleet.go(verdict, 60)
        assert not any(m.switched for m in fleet.rows.values())
        fleet.order("resume")
        assert fleet.states == "ww........", "a person has seen it"


def test_a_newer_rollout_takes_over_but_not_from_a_way_back():
    fleet = started()
    fleet.told("staged", names=["d0"])
    fleet.rollout = replace(fleet.rollout, superseded_by="r2")
    fleet.go()
    assert (fleet.where, fleet.states) == ("superseded", "wxxxxxxxxx")
    other = started()
    other.wave()
    other.go(HALT)
    other.rollout = replace(other.rollout, superseded_by="r2")
    other.go()
    assert other.where == "rolling_back"


@pytest.mark.parametrize("kind", ["submit", "resume", "cancel"])
def test_an_order_that_does_not_fit_is_dropped(kind):
    fleet = started()
    assert kind not in allowed(fleet.rollout)
    fleet.order(kind)
    assert fleet.where == "0 offer" and fleet.rollout.order is None and not fleet.decisions


def test_cancelled_before_it_began():
    fleet = started(signed=False)
    fleet.order("cancel")
    assert (fleet.where, fleet.states) == ("cancelled", "xxxxxxxxxx")


def test_a_verdict_is_not_used_beyond_what_it_was_made_on():
    """With no soak at all, the look that was made before anything switched must not advance the wave."""
    fleet = started(policy=Policy(parse_waves("2d,100"), soak_s=0))
    fleet.told("staged")
    for name in ("d0", "d1"):
        fleet.rows[name] = reported(fleet.rows[name], Report(name, 1, "active"), fleet.at)
    fleet.go(ADVANCE)
    assert fleet.where == "0 gate"


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("told"), st.integers(0, 7), st.sampled_from(["staged", "active", "failed", "reverted"]),
                  st.integers(0, 3), st.sampled_from(["network", "probe", None])),
        st.tuples(st.just("wait"), st.sampled_from([1, 61, 600, 901])),
        st.tuples(st.just("verdict"), st.sampled_from([ADVANCE, HOLD, HALT])),
        st.tuples(st.just("order"), st.sampled_from(["pause", "resume", "advance", "abort", "cancel"]),
                  st.sampled_from(["hold", "revert exposed", "revert all"])),
        st.tuples(st.just("wave")),
        st.tuples(st.just("online"), st.integers(0, 7), st.booleans()),
    ),
    max_size=40,
)  # fmt: skip


@given(STEPS, st.booleans())
def test_whatever_happens_in_whatever_order(steps, prestage):
    """``go`` asserts each time that a second application gives nothing; here: what may never happen."""
    fleet = Fleet(count=8, policy=Policy(parse_waves("2d,4d,100"), prestage=prestage))
    fleet.order("submit")
    for kind, *what in steps:
        before, wave = dict(fleet.rows), fleet.rollout.wave
        if kind == "told":
            name, (_, state, attempt, failure) = f"d{what[0]}", what
            report = Report(name, attempt, state, failure)
            once = reported(fleet.rows[name], report, fleet.at)
            assert reported(once, report, fleet.at) == once
            fleet.rows[name] = once
            fleet.go()
        elif kind == "wave":
            fleet.wave()
        elif kind == "wait":
            fleet.go(seconds=what[0])
        elif kind == "verdict":
            fleet.go(what[0])
        elif kind == "order":
            fleet.order(what[0], mode=what[1])
        else:
            fleet.devices[f"d{what[0]}"] = Device(online=what[1])
            fleet.go()
        for name, row in fleet.rows.items():
            assert row.state not in ("switching", "active") or row.wave <= fleet.rollout.wave
            assert (row.lease_until is None) == (row.state not in ("offered", "switching", "reverting")) or (
                row.state == "reverting"
            )
            assert row.attempt >= before[name].attempt
        assert fleet.rollout.wave in (wave, wave + 1)
        installs(fleet.rollout, fleet.rows.values())


@given(STEPS)
def test_half_written_rows_are_gone_on_from(steps):
    """A hub that dies after some of the writes: what is done from there leads to the same rows."""
    fleet = Fleet(count=8)
    fleet.order("submit")
    for kind, *what in steps:
        if kind == "told":
            name = f"d{what[0]}"
            fleet.rows[name] = reported(fleet.rows[name], Report(name, *what[2:3], what[1], what[3]), fleet.at)
        if kind == "wave":
            fleet.wave()
        now = Now(fleet.at, fleet.devices, 0.0, what[0] if kind == "verdict" else None)
        whole = settle(fleet.rollout, fleet.rows, now)
        for cut in range(len(whole[2])):
            rollout, rows = fleet.rollout, dict(fleet.rows)
            for action in whole[2][:cut]:
                if isinstance(action, Change):
                    rows[action.member.device] = action.member
                else:
                    rollout = action.rollout
            assert kind == "verdict" or settle(rollout, rows, now)[:2] == whole[:2]
        fleet.rollout, fleet.rows = whole[:2]
        fleet.at += what[0] if kind == "wait" else 0
