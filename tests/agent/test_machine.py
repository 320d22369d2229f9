"""The machine on effects that are told what to do: every state, every verdict, recovery from each record."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.agent import Journal, Machine, Outcome, Situation, Update, done, failed, later
from edgewright.agent.states import BEFORE, EXPOSED, FORWARD, STATES, resumed
from edgewright.core.errors import EdgewrightError, EngineError, InputError, StorageError, TrustError

A, B, C = "a" * 64, "b" * 64, "c" * 64
CHAIN = ("metadata", "preflight", "fetching", "reconstructing", "verified", "staged", "probed", "shadowing", "waiting",
         "switching", "trial", "committed")  # fmt: skip
METHODS = {
    "metadata": "metadata", "preflight": "preflight", "fetching": "fetch", "reconstructing": "reconstruct",
    "verified": "stage", "staged": "probe", "shadowing": "shadow", "waiting": "wait", "switching": "switch",
    "trial": "judge", "committed": "settle", "abandoned": "clear", "rolling_back": "roll_back", "rolled_back": "clear",
}  # fmt: skip


class Told:
    """Effects that do what ``does`` says of their state, and are done else; ``sound``: bundles that verify."""

    def __init__(self, **does):
        self.does, self.called, self.link, self.sound = does, [], "", {A, B, C}

    def __getattr__(self, method):
        if method not in METHODS.values():
            raise AttributeError(method)

        def effect(now):
            self.called.append(now.state)
            told = self.does.get(now.state, done())
            if isinstance(told, Exception):
                raise told
            if now.state in ("switching", "rolling_back") and told.verdict == "done":
                self.link = now.serving
            return told

        return effect

    def find(self, wanted, never):
        return next((one for one in wanted if one in self.sound), "")

    def point(self, bundle):
        self.link = bundle


@pytest.fixture
def machines(tmp_path):
    """Makes machines on one journal, each as if the agent had been started anew."""
    opened = []

    def make(effects):
        for journal in opened:
            journal.close()
        opened.append(Journal(tmp_path / "journal"))
        return Machine(opened[-1], effects)

    yield make
    for journal in opened:
        journal.close()


def run(machine, until="idle"):
    seen = [machine.now.state]
    while machine.now.state != until:
        assert machine.step() == 0.0
        seen.append(machine.now.state)
    return tuple(seen)


def test_the_way_to_the_commit(machines):
    effects = Told(metadata=done(size=3))
    machine = machines(effects)
    machine.offer(Update(A))
    assert run(machine) == (*CHAIN, "idle")
    assert (machine.now.good, machine.now.result, effects.link) == (A, "committed", A)
    machine.offer(Update(B))
    run(machine, "trial")
    assert machine.now.good == A and machine.now.facts == {"size": 3}, "not yet"
    run(machine)
    assert (machine.now.good, machine.now.before, machine.now.facts) == (B, A, {})


@pytest.mark.parametrize("state", CHAIN[:-1])
@pytest.mark.parametrize("bad", [True, False])
def test_a_failure_in_each_state(machines, state, bad):
    if state == "probed":
        return
    effects = Told()
    machine = machines(effects)
    machine.offer(Update(A))
    run(machine)
    effects.does[state] = failed("it did", bad)
    machine.offer(Update(B))
    seen = run(machine)
    after = ("rolling_back", "rolled_back", "idle") if state in EXPOSED else ("abandoned", "idle")
    assert seen == (*CHAIN[: CHAIN.index(state) + 1], *after)
    now = machine.now
    assert (now.good, effects.link, now.reason) == (A, A, "it did") and now.bad == ({B: "it did"} if bad else {})
    if bad:
        with pytest.raises(InputError, match="failed here before"):
            machine.offer(Update(B))


@pytest.mark.parametrize("state", CHAIN[:-1])
@pytest.mark.parametrize("error", [TrustError("e"), InputError("e"), EngineError("e")])
def test_what_speaks_against_the_bundle(machines, state, error):
    if state == "probed":
        return
    machine = machines(Told(**{state: error}))
    machine.offer(Update(B))
    run(machine)
    assert machine.now.result in ("abandoned", "rolled_back") and B in machine.now.bad


@pytest.mark.parametrize("error", [StorageError("full"), EdgewrightError("busy")])
def test_what_speaks_against_the_moment_is_tried_again_and_then_abandoned(machines, error):
    machine = machines(Told(fetching=error))
    machine.offer(Update(B))
    run(machine, "fetching")
    waits = 0
    while machine.now.state == "fetching":
        waits += machine.step() > 0
    assert waits == 7 and machine.now.state == "abandoned" and machine.now.bad == {}


@pytest.mark.parametrize("state", ["committed", "rolling_back", "rolled_back", "abandoned"])
@pytest.mark.parametrize("trouble", [StorageError("full"), EngineError("e"), failed("no")])
def test_what_must_be_done_in_the_end_is_tried_for_ever(machines, state, trouble):
    start = {"abandoned": "fetching", "rolling_back": "trial", "rolled_back": "trial"}.get(state)
    effects = Told(**{state: trouble}, **({start: failed("no")} if start else {}))
    machine = machines(effects)
    machine.offer(Update(B))
    run(machine, state)
    for _ in range(50):
        assert machine.step() > 0 and machine.now.state == state
    del effects.does[state]
    assert run(machine)[-1] == "idle"


@pytest.mark.parametrize("state", CHAIN)
def test_recovery_from_each_state_does_its_effect_again(machines, state):
    effects = Told()
    machine = machines(effects)
    machine.offer(Update(A))
    run(machine)
    machine.offer(Update(B))
    run(machine, state)
    effects.called.clear()
    machine = machines(effects)
    effects.link = "somewhere else"
    assert machine.recover() == effects.link == (B if state in {*EXPOSED, "committed"} else A)
    assert run(machine)[-1] == "idle" and machine.now.result == "committed"
    assert effects.called[: len(CHAIN)] == [s for s in CHAIN[CHAIN.index(state) :] if s != "probed"]


@pytest.mark.parametrize("state", sorted(BEFORE | EXPOSED))
def test_a_device_that_ends_again_and_again_in_one_state(machines, state):
    effects = Told(**{state: later("not yet", 1.0)} if state != "probed" else {})
    machine = machines(effects)
    machine.offer(Update(A))
    run(machine, state)
    for _ in range(30):
        machine = machines(effects)
        machine.recover()
    after = "rolling_back" if state in EXPOSED else "abandoned"
    assert machine.now.state == (state if state in {"fetching", "waiting"} else after)
    assert (A in machine.now.bad) == (state in EXPOSED)


@pytest.mark.parametrize("state", [*CHAIN, "idle"])
@pytest.mark.parametrize("sound", [{A}, {A, B}, {B}, set()])
def test_bundles_that_are_damaged_on_the_disk(machines, state, sound):
    """A was before, B is good, C is on its way."""
    effects = Told()
    machine = machines(effects)
    for bundle in (A, B):
        machine.offer(Update(bundle))
        run(machine)
    if state != "idle":
        machine.offer(Update(C))
        run(machine, state)
    machine = machines(effects)
    effects.sound = sound
    wanted = (machine.now.serving, machine.now.good, machine.now.before)
    best = next((one for one in wanted if one in sound), "")
    assert machine.recover() == best == effects.link
    effects.sound = {A, B, C}
    run(machine)
    damaged = state in {*EXPOSED, "committed"}
    assert machine.now.result == ("rolled_back" if damaged else "committed")
    if damaged and best:
        assert machine.now.good == best
    assert B not in machine.now.bad


def test_back_to_the_one_before_without_a_network(machines):
    effects = Told()
    machine = machines(effects)
    with pytest.raises(InputError, match="no bundle to go back to"):
        machine.revert("why not")
    for bundle in (A, B):
        machine.offer(Update(bundle))
        run(machine)
    machine.revert("labels say so")
    machine = machines(effects)
    assert machine.recover() == A
    run(machine)
    now = machine.now
    assert (now.good, now.before, now.result, effects.link) == (A, "", "rolled_back", A)
    assert now.bad == {B: "labels say so"} and now.reason == "labels say so"


def test_one_update_at_a_time_and_an_end_to_it(machines):
    machine = machines(Told(waiting=later("window", 60.0)))
    machine.offer(Update(A))
    with pytest.raises(InputError, match="on its way"):
        machine.offer(Update(B))
    run(machine, "waiting")
    assert machine.step() == 60.0
    machine.end("another release came")
    assert run(machine)[-1] == "idle" and (machine.now.result, machine.now.bad) == ("abandoned", {})
    machine.end("nothing to end")
    assert machine.now.state == "idle"


def test_what_cannot_be_recorded_is_not_done(machines, monkeypatch):
    effects = Told()
    machine = machines(effects)
    machine.offer(Update(A))
    run(machine, "waiting")
    monkeypatch.setattr(Journal, "append", lambda self, record: (_ for _ in ()).throw(StorageError("read-only")))
    for _ in range(3):
        with pytest.raises(StorageError):
            machine.step()
    assert machine.now.state == "waiting" and "switching" not in effects.called and effects.link == ""


def test_the_list_of_bad_ones_is_bounded(machines):
    machine = machines(Told(staged=failed("it hangs", bad=True)))
    for n in range(40):
        machine.offer(Update(f"{n:064x}"))
        run(machine)
    assert len(machine.now.bad) == 32 and f"{39:064x}" in machine.now.bad


SITUATIONS = st.builds(
    Situation, state=st.sampled_from(sorted(STATES)), update=st.none() | st.just(Update(A, "r", {"x": 1})),
    good=st.sampled_from(["", B]), before=st.sampled_from(["", C]), bad=st.just({C: "why"}), attempt=st.integers(0, 30),
    reason=st.text(max_size=5), result=st.sampled_from(["", "committed"]),
)  # fmt: skip


@given(SITUATIONS)
def test_a_record_is_the_whole_situation(now):
    assert Situation.from_json(now.to_json()) == now


@given(SITUATIONS)
def test_to_resume_ends_and_keeps_what_is_good(now):
    seen = now
    for _ in range(40):
        seen = resumed(seen)
    assert seen.good == now.good and seen.before == now.before
    assert seen.state == now.state or seen.state in FORWARD
    assert now.update is None or seen.attempt <= 30


@pytest.mark.parametrize(
    "spoil", [lambda r: r.pop("good"), lambda r: r.update(new=1), lambda r: r.update(state="flying")]
)
def test_records_of_another_release(spoil):
    record = Situation().to_json()
    spoil(record)
    if "good" not in record:
        assert Situation.from_json(record).good == "", "a field that is missing has its default"
        return
    with pytest.raises(InputError, match="last record"):
        Situation.from_json(record)


@pytest.mark.parametrize("wrong", [{"bundle": "x"}, {"bundle": A, "details": {"x": "y" * 9000}}, {"bundle": "../" + A}])
def test_updates_that_are_none(wrong):
    with pytest.raises(InputError):
        Update(**wrong)


def test_an_outcome_is_a_value():
    assert dataclasses.is_dataclass(Outcome) and done() == Outcome("done")
