"""What a device should do about what the hub wants: a table, and what holds for any of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.agent import Situation, Update
from edgewright.agent.net.follow import follow, key, status, update_of
from edgewright.agent.states import STATES
from edgewright.core.messages import Release, Sync, render

A, B, C = "a" * 64, "b" * 64, "c" * 64


def release(bundle=B, rollout="r2", attempt=1, activate=True, **more):
    return Release(rollout, bundle, activate, attempt, **more)


def idle(**more):
    return Situation(
        **{"good": A, "result": "committed", "update": Update(A, "r1", {"rollout": "r1", "attempt": 1}), **more}
    )


def on_the_way(state, bundle=B, rollout="r2", attempt=1):
    return Situation(state, update_of(release(bundle, rollout, attempt)), A)


BY_HAND = Update(C, "c.ewb", {"path": "/media/c.ewb"})
TABLE = [
    ("nothing was released", idle(), None, "nothing"),
    ("it serves already", idle(), release(A), "nothing"),
    ("another bundle", idle(), release(B), "offer"),
    ("another bundle, to be staged only", idle(), release(B, activate=False), "offer"),
    ("it failed here before", idle(bad={B: "why"}), release(B, attempt=9), "nothing"),
    ("the one before", idle(before=B), release(B), "revert"),
    ("the one before, not yet", idle(before=B), release(B, activate=False), "nothing"),
    ("nothing served", idle(), release(""), "empty"),
    ("nothing served, not yet", idle(), release("", activate=False), "nothing"),
    ("nothing served, and nothing serves", Situation(), release(""), "nothing"),
    ("the same attempt ended", idle(update=update_of(release()), result="abandoned"), release(), "nothing"),
    ("the next attempt", idle(update=update_of(release()), result="abandoned"), release(attempt=2), "offer"),
    ("an older attempt", idle(update=update_of(release(attempt=3)), result="abandoned"), release(attempt=2), "nothing"),
    ("another rollout of it", idle(update=update_of(release()), result="abandoned"), release(rollout="r3"), "offer"),
    ("it was committed, and is gone from the disk", idle(update=update_of(release())), release(), "offer"),
    ("the offer stands", on_the_way("fetching"), release(), "nothing"),
    ("the offer is taken back", on_the_way("fetching"), None, "end"),
    ("another bundle instead", on_the_way("waiting"), release(C), "end"),
    ("nothing instead", on_the_way("waiting"), release(""), "end"),
    ("what serves instead", on_the_way("waiting"), release(A), "end"),
    ("the next attempt of it", on_the_way("fetching"), release(attempt=2), "amend"),
    ("activated now", on_the_way("waiting"), release(), "nothing"),
    ("taken back after the switch", on_the_way("trial"), None, "nothing"),
    ("another one after the switch", on_the_way("trial"), release(C), "nothing"),
    ("what served before after the switch", on_the_way("trial"), release(A), "end"),
    ("going back already", on_the_way("rolling_back"), release(A), "nothing"),
    ("being cleared", on_the_way("abandoned"), release(C), "nothing"),
    ("somebody brought another one", Situation("fetching", BY_HAND, A), release(B), "nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "now", "wanted", "kind"), TABLE, ids=[row[0] for row in TABLE])
def test_what_to_do(what, now, wanted, kind):
    assert follow(now, wanted).kind == kind


def test_what_somebody_brought_by_hand_stays_until_the_next_word_of_the_hub():
    now = idle(good=C, before=A, update=BY_HAND)
    overruled = key(release(A))
    assert follow(now, release(A), overruled).kind == "nothing"
    assert follow(now, release(A, attempt=2), overruled).kind == "revert"
    assert follow(now, release(B), overruled).kind == "offer"


def test_what_is_told_of_an_offer_that_needs_no_work():
    serves = status(idle(), release(A, "r9", 4), A)
    assert (serves.rollout, serves.attempt, serves.target, serves.result) == ("r9", 4, A, "committed")
    failed = status(idle(bad={B: "it hangs"}), release(B, "r9", 4), A)
    told = (failed.rollout, failed.attempt, failed.target, failed.result, failed.failure, failed.reason)
    assert told == ("r9", 4, B, "abandoned", "bundle", "it hangs")


def test_what_is_told_on_the_way():
    told = status(on_the_way("trial", attempt=3), release(attempt=3), B, clock_s=7.0)
    assert (told.state, told.target, told.current, told.good, told.result) == ("trial", B, B, A, "")
    assert (told.rollout, told.attempt, told.clock_s) == ("r2", 3, 7.0)


RELEASES = st.none() | st.builds(
    release, st.sampled_from(["", A, B, C]), st.sampled_from(["r1", "r2"]), st.integers(1, 3), st.booleans()
)
UPDATES = st.none() | st.just(BY_HAND) | st.builds(
    lambda *of: update_of(release(*of)), st.sampled_from([A, B, C]), st.sampled_from(["r1", "r2"]), st.integers(1, 3)
)  # fmt: skip
SITUATIONS = st.builds(
    Situation, st.sampled_from(sorted(STATES)), UPDATES, good=st.sampled_from(["", A]), before=st.sampled_from(["", C]),
    bad=st.sampled_from([{}, {B: "x" * 300}]), reason=st.text(max_size=300),
    result=st.sampled_from(["", "committed", "abandoned", "rolled_back"]),
)  # fmt: skip


@given(SITUATIONS, RELEASES)
def test_any_situation_can_be_told_and_nothing_bad_is_begun(now, wanted):
    render(Sync(1, "boot", status(now, wanted, now.good)))
    action = follow(now, wanted)
    if action.kind == "offer":
        assert action.update.bundle not in now.bad and now.state == "idle" and action.update.bundle != now.good
    if action.kind in {"revert", "empty"}:
        assert now.state == "idle" and wanted.activate


def test_the_bundle_before_is_staged_as_it_lies():
    """The hub switches what is staged: one that waits for work that is not needed would wait for ever."""
    told = status(idle(before=B), release(B, activate=False), A)
    assert (told.state, told.target, told.rollout, told.attempt, told.result) == ("waiting", B, "r2", 1, "")


def test_what_was_damaged_is_fetched_again_and_not_said_to_serve():
    damaged = idle(reason="bundle on the disk is damaged")
    assert (
        follow(damaged, release(A), current="").kind == "offer"
        and follow(damaged, release(A), current=A).kind == "nothing"
    )
    told = status(damaged, release(A), "")
    assert (told.current, told.reason, told.target) == ("", "bundle on the disk is damaged", A)
