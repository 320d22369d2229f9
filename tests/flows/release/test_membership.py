"""Membership: sizes are kept, strata are kept, nobody moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.core.errors import InputError
from edgewright.flows.release import BLUE_GREEN, Size, draw, extend, parse_waves, ramp

WAVES = parse_waves("1,10,50,100")
FLEETS = st.dictionaries(st.text("abcdef0123", min_size=1, max_size=8), st.sampled_from(["x", "y", "z"]), max_size=300)


@given(FLEETS, st.text(max_size=5), st.sampled_from(["1,10,50,100", "5d,50,100", "20,100", "100", "3d,9d,100"]))
def test_waves_have_their_sizes_and_each_stratum_its_share(devices, seed, text):
    waves = parse_waves(text)
    places = draw(devices, waves, seed)
    assert {p.device for p in places} == set(devices) and draw(dict(reversed(devices.items())), waves, seed) == places
    for w in range(len(waves)):
        upto = [p for p in places if p.wave <= w]
        assert len(upto) == max(size.of(len(devices)) for size in waves[: w + 1])
        for stratum in set(devices.values()):
            own = sum(s == stratum for s in devices.values())
            got = sum(devices[p.device] == stratum for p in upto)
            assert abs(got - own * len(upto) / len(devices)) <= 2
    assert all(p.wave == len(waves) - 1 for p in places if p.control)


@given(FLEETS, FLEETS, st.integers(0, 3))
def test_newcomers_move_nobody_and_come_into_no_wave_that_was_judged(devices, newcomers, open_wave):
    places = draw(devices, WAVES, "r1")
    more = extend(places, newcomers, WAVES, "r1", open_wave)
    now = {p.device: p for p in more}
    assert all(now[p.device] == p for p in places) and set(now) == set(devices) | set(newcomers)
    assert all(now[name].wave >= open_wave for name in newcomers if name not in devices)
    half = list(newcomers)[: len(newcomers) // 2]
    assert extend(extend(places, half, WAVES, "r1", open_wave), newcomers, WAVES, "r1", open_wave) == more


def test_another_seed_draws_others_and_every_device_is_as_likely():
    devices = {f"d{i}": "x" if i < 90 else "rare" for i in range(100)}
    first = [{p.device for p in draw(devices, WAVES, str(seed)) if p.wave <= 1} for seed in range(400)]
    times = {d: sum(d in one for one in first) for d in devices}
    assert all(15 <= times[d] <= 70 for d in devices), times
    assert 0.9 <= sum(times[f"d{i}"] for i in range(90, 100)) / 400 <= 1.1


def test_a_newcomer_is_an_early_one_as_often_as_the_shares_say():
    made = extend((), [f"n{i}" for i in range(5000)], WAVES, "r1", 0)
    assert 30 <= sum(p.wave == 0 for p in made) <= 70 and 2300 <= sum(p.wave <= 2 for p in made) <= 2700


def test_the_control_group_is_of_all_strata_and_in_no_early_wave():
    devices = {f"d{i}": "xyz"[i % 3] for i in range(300)}
    held = [p for p in draw(devices, WAVES, "r1", control=0.1) if p.control]
    assert len(held) == 30 and {p.wave for p in held} == {3}
    assert all(8 <= sum(devices[p.device] == s for p in held) <= 12 for s in "xyz")
    assert not any(p.control for p in draw(devices, BLUE_GREEN, "r1", control=0.1))


@pytest.mark.parametrize("text", ["", "0,100", "10,5,100", "50", "101", "10%,10%,100", "1e2", "5.5d,100", "-1,100",
                                  "nan,100", "5d", "9d,5d,100"])  # fmt: skip
def test_waves_that_make_no_sense_are_refused(text):
    with pytest.raises(InputError):
        parse_waves(text)


def test_waves_as_people_write_them():
    assert parse_waves("1%, 25d ,100") == (Size(share=0.01), Size(count=25), Size(share=1.0))
    assert [s.share for s in ramp(0.1)] == [0.1, 0.2, 0.4, 0.8, 1.0]
    assert Size(share=0.01).of(3) == 1 and Size(share=0.1).of(1000) == 100 and Size(count=9).of(4) == 4
