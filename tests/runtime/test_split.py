"""Splits: keys stay where they are, shares are as told, and a change moves no key that it need not."""

import math
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.core.errors import InputError
from edgewright.runtime.experiments.split import Keys, Split
from edgewright.runtime.experiments.splits import Splits
from edgewright.runtime.faults import BadRequest, NotFound
from edgewright.runtime.repository import Repository

WEIGHTS = st.dictionaries(st.sampled_from("abcdef"), st.floats(0.01, 100), min_size=1)
MANY = [str(number).encode() for number in range(4000)]


def answers(weights, keys=MANY, model="m"):
    split = Split(model, weights)
    return [split.ranked(key)[0] for key in keys]


def within(count, n, p, sigmas=4.5):
    return abs(count - n * p) <= sigmas * math.sqrt(n * p * (1 - p)) + 1


@given(WEIGHTS, st.binary(max_size=40))
def test_a_key_has_one_order_of_all_versions(weights, key):
    split = Split("m", weights)
    order = split.ranked(key)
    assert sorted(order) == sorted(weights) and order == Split("m", dict(reversed(weights.items()))).ranked(key)


def test_a_key_is_answered_alike_in_every_process_and_release():
    assert answers({"1": 1, "2": 1, "3": 1}, [b"a", b"b", b"c", b"d", b"e", b"f"]) == ["1", "1", "3", "1", "2", "3"]


@pytest.mark.parametrize("weights", [{"1": 90, "2": 10}, {"1": 1, "2": 1}, {"1": 0.7, "2": 0.2, "3": 0.1}])
def test_shares_are_as_told(weights):
    found, total = answers(weights), sum(weights.values())
    for version, weight in weights.items():
        assert within(found.count(version), len(found), weight / total)


@settings(max_examples=25, deadline=None)
@given(WEIGHTS, st.sampled_from("abcdef"), st.floats(0.01, 100))
def test_a_version_that_is_added_or_reweighted_takes_keys_or_gives_them_and_no_other_moves(weights, version, weight):
    before, after = answers(weights, MANY[:300]), answers({**weights, version: weight}, MANY[:300])
    more = weight > weights.get(version, 0)
    for old, new in zip(before, after, strict=True):
        assert old == new or (new if more else old) == version


def test_a_version_that_is_removed_gives_up_only_its_own_keys():
    before, after = answers({"1": 5, "2": 3, "3": 2}), answers({"1": 5, "2": 3})
    assert all(old == new for old, new in zip(before, after, strict=True) if old != "3")


def test_of_two_versions_only_the_share_that_changed_moves():
    before, after = answers({"1": 90, "2": 10}), answers({"1": 80, "2": 20})
    moved = sum(old != new for old, new in zip(before, after, strict=True))
    assert within(moved, len(MANY), 0.1) and {o for o, n in zip(before, after, strict=True) if o != n} == {"1"}


@settings(max_examples=10, deadline=None)
@given(*[st.lists(st.floats(0.05, 1), min_size=3, max_size=3)] * 2)
def test_of_several_changes_as_many_keys_move_as_the_theorem_says(one, other):
    """Moulton and Jiang, theorem 1: the share that stays is the sum of 1 / sum_j max(p_j / p_i, q_j / q_i)."""
    p, q = [w / sum(one) for w in one], [w / sum(other) for w in other]
    stays = sum(1 / sum(max(pj / p[i], qj / q[i]) for pj, qj in zip(p, q, strict=True)) for i in range(3))
    before, after = (answers(dict(zip("abc", weights, strict=True))) for weights in (one, other))
    moved = sum(old != new for old, new in zip(before, after, strict=True))
    assert within(moved, len(MANY), 1 - stays, 5)
    change = sum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2
    assert 1 - stays <= 2 * change / (1 + change) + 1e-9


def test_the_halves_of_two_models_have_nothing_to_do_with_each_other():
    one, other = answers({"1": 1, "2": 1}), answers({"1": 1, "2": 1}, model="other")
    assert within(sum(a == b for a, b in zip(one, other, strict=True)), len(MANY), 0.5)


def test_requests_without_a_key_are_drawn_and_a_seed_repeats_the_draws():
    keys, same, other = Keys(3), Keys(3), Keys()
    drawn = [keys.key() for _ in range(2000)]
    assert drawn == [same.key() for _ in range(2000)] != [other.key() for _ in range(2000)]
    assert within(answers({"1": 3, "2": 1}, drawn).count("2"), 2000, 0.25)


@pytest.mark.parametrize(("told", "key"), [("camera 7", b"camera 7"), (7, b"7"), ("", b""), ("é", b"\xc3\xa9")])
def test_keys_are_strings_or_whole_numbers(told, key):
    assert Keys().key(told) == key


@pytest.mark.parametrize("told", [1.5, True, [], {}, "x" * 2000, pytest.param(10**5000, id="huge")])
def test_other_keys_are_refused(told):
    with pytest.raises(BadRequest, match="'key'"):
        Keys().key(told)


def test_weight_0_answers_only_by_name():
    assert set(answers({"1": 1, "2": 0})) == {"1"}


@pytest.mark.parametrize(
    "told", [{}, {"1": -1}, {"1": 0}, {"1": "9"}, {"1": True}, {"1": math.nan}, {"1": math.inf}, [1],
             {str(n): 1 for n in range(65)}],
)  # fmt: skip
def test_splits_that_are_none_are_refused(told):
    with pytest.raises(InputError, match="'m'"):
        Split.from_toml("m", told)


def version(name, number):
    """As much of a Served as the repository looks at."""
    source = SimpleNamespace(name=name, version=number, written_ns=0)
    return SimpleNamespace(source=source, name=name, version=number, observed=None)


def repository(*versions):
    made = Repository()
    for name, number in versions:
        made.put(version(name, number))
    return made


def test_requests_go_where_their_key_says_and_to_others_only_when_that_is_gone():
    held = repository(("m", "1"), ("m", "2"), ("other", "1"))
    splits = Splits(held, [Split("m", {"1": 1, "2": 1})], seed=0)
    first = [splits.find("m", key=n).version for n in range(200)]
    assert set(first) == {"1", "2"} and first == [splits.version("m", n) for n in range(200)]
    assert splits.find("m", "2", key=first.index("1")).version == "2", "who names a version gets it"
    assert {splits.find("m").version for _ in range(100)} == {"1", "2"}
    assert splits.version("other", 1) == "" and splits.find("other").name == "other"
    held.remove(held.find("m", "2"))
    assert {splits.find("m", key=n).version for n in range(200)} == {"1"}
    held.remove(held.find("m", "1"))
    with pytest.raises(NotFound):
        splits.find("m", key=1)


def test_a_model_that_needs_no_name_is_split_too():
    splits = Splits(repository(("m", "1"), ("m", "2")), [Split("m", {"1": 1})])
    assert splits.find().version == splits.version() == "1"
    with pytest.raises(InputError, match="two splits"):
        Splits(repository(), [Split("m", {"1": 1}), Split("m", {"1": 1})])


def test_a_version_that_is_passed_over_is_wanted_and_nobody_counts_as_refused():
    held, wanted = repository(("m", "1")), []
    held.note("m", "2", "UNAVAILABLE", "it was unloaded to make room")
    held.wanted = wanted.append
    splits = Splits(held, [Split("m", {"1": 1, "2": 1})], seed=0)
    assert {splits.find("m", key=n).version for n in range(50)} == {"1"}
    assert wanted and not held.totals.asleep
