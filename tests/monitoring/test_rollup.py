"""A report counts once, quantiles stay within 1%, and old hours become days without a loss."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.core.messages import Observation, Report, Series
from edgewright.monitoring.rollup import (
    DAY_S,
    DAYS_KEPT_S,
    HOUR_S,
    HOURS_KEPT_S,
    Key,
    Rollup,
    fleet,
    fold,
    place,
    quantiles,
    take,
)  # fmt: skip
from edgewright.monitoring.seen import MOST_BOOTS, MOST_GAPS, Seen

NOW = 1_700_000_000 // DAY_S * DAY_S + 12 * HOUR_S
A = "a" * 64


class Shelf:
    """Rollups of devices as a hub would store them, and each device's ledger."""

    def __init__(self) -> None:
        self.rollups: dict[Key, Rollup] = {}
        self.ledgers: dict[str, Seen] = {}

    def send(self, device: str, report: Report, received_s: float = NOW) -> bool:
        ledger = self.ledgers.get(device, Seen())
        taken = take(ledger, self.rollups.get, device, report, received_s)
        self.ledgers[device] = taken.ledger
        self.rollups.update((one.key, one) for one in taken.write)
        return taken.new

    def age(self, now_s: float) -> None:
        folded = fold(list(self.rollups.values()), self.rollups.get, now_s)
        for key in folded.remove:
            del self.rollups[key]
        self.rollups.update((one.key, one) for one in folded.write)

    def requests(self) -> int:
        return sum(one.told.counters["requests"] for one in self.rollups.values())


def seen(began_s: float, requests: int, seed: int = 0, seconds: float = 900.0) -> tuple[Observation, np.ndarray]:
    values = np.random.default_rng(seed).lognormal(1, 0.8, requests)
    told = {"latency_ms": Series.of(list(values))}
    return Observation("m", A, began_s, seconds, {"requests": requests}, {"ok": requests}, told), values


def reports(count: int, boot: str = "b1", step_s: float = 900.0) -> list[Report]:
    return [Report(boot, i, (seen(NOW - (count - i) * step_s, 10 + i, i)[0],)) for i in range(count)]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 24))
def test_reports_count_once_in_any_order_and_any_number_of_times(seed: int, count: int) -> None:
    rng = random.Random(seed)
    sent = [*reports(count), *reports(count, "b2")]
    straight, mixed = Shelf(), Shelf()
    for report in sent:
        assert straight.send("d", report)
    again = [*sent, *rng.choices(sent, k=count)]
    rng.shuffle(again)
    assert sum(mixed.send("d", report) for report in again) == len(sent)
    assert mixed.requests() == straight.requests() == sum(o.counters["requests"] for r in sent for o in r.observations)
    for key, one in straight.rollups.items():
        other = mixed.rollups[key]
        # Equal but for the last bits of a sum and the order in which boots were heard of.
        assert other.told.series["latency_ms"].sketch == one.told.series["latency_ms"].sketch
        assert other.told.series["latency_ms"].total == pytest.approx(one.told.series["latency_ms"].total)
        assert dict(other.seen.by_boot) == dict(one.seen.by_boot)
        assert (other.boots, other.reports) == (one.boots, one.reports)


def test_a_report_that_spans_hours_goes_into_each_once() -> None:
    shelf = Shelf()
    parts = tuple(seen(NOW - 3 * HOUR_S + i * 900, 5, i)[0] for i in range(8))
    report = Report("b", 0, parts)
    assert shelf.send("d", report) and not shelf.send("d", report)
    assert [one.told.counters["requests"] for one in shelf.rollups.values()] == [20, 20]
    assert all((one.boots, one.reports, one.told.seconds) == (1, 1, 3600.0) for one in shelf.rollups.values())


def test_fleet_quantiles_are_within_1_percent() -> None:
    shelf, everything = Shelf(), []
    for device in range(60):
        for i in range(4):
            one, values = seen(NOW - HOUR_S + i * 900, 40 + device, 1000 * device + i)
            everything.append(values)
            assert shelf.send(f"d{device}", Report("b", i, (one,)))
    whole = fleet(list(shelf.rollups.values()))
    shuffled = fleet(random.Random(0).sample(list(shelf.rollups.values()), 60))
    assert shuffled.told.series["latency_ms"].sketch == whole.told.series["latency_ms"].sketch
    assert (whole.key.device, whole.devices, whole.boots, whole.reports) == ("", 60, 60, 240)
    values = np.concatenate(everything)
    shares = (0, 0.01, 0.5, 0.9, 0.95, 0.99, 1)
    for share, found in quantiles(whole, "latency_ms", shares).items():
        assert found == pytest.approx(np.quantile(values, share, method="lower"), rel=0.01 + 1e-9)
    assert whole.told.series["latency_ms"].mean == pytest.approx(values.mean())
    assert quantiles(whole, "nothing", shares) == {}


def test_old_hours_become_days_and_old_days_go() -> None:
    shelf = Shelf()
    for report in reports(96):
        shelf.send("d", report)
    whole, hours = shelf.requests(), len(shelf.rollups)
    before = fleet_of_all(shelf)
    shelf.age(NOW + HOURS_KEPT_S + 1)  # the day before is past, today is not
    shelf.age(NOW + HOURS_KEPT_S + 1)  # again: nothing more
    assert {key.seconds for key in shelf.rollups} == {DAY_S} and hours == 24
    assert shelf.requests() == whole and fleet_of_all(shelf) == before
    assert sum(one.reports for one in shelf.rollups.values()) == 96
    # Late ones go where the hours went; what is there twice is still there once.
    late = Report("b0", 0, (seen(NOW - HOUR_S, 7)[0],))
    assert shelf.send("d", late, NOW + HOURS_KEPT_S + HOUR_S) and not shelf.send("d", late, NOW + 2 * HOURS_KEPT_S)
    assert not shelf.send("d", reports(96)[3], NOW + HOURS_KEPT_S + HOUR_S)
    assert shelf.requests() == whole + 7 and {key.seconds for key in shelf.rollups} == {DAY_S}
    shelf.age(NOW + DAYS_KEPT_S + 3 * DAY_S)
    assert not shelf.rollups


def fleet_of_all(shelf: Shelf) -> object:
    total = None
    for one in shelf.rollups.values():
        sketch = one.told.series["latency_ms"].sketch
        if total is None:
            total = type(sketch)()
        total.merge(sketch)
    return total


def test_only_old_hours_are_touched() -> None:
    shelf = Shelf()
    for report in reports(96):
        shelf.send("d", report)
    untouched = dict(shelf.rollups)
    shelf.age(NOW + HOURS_KEPT_S - 12 * HOUR_S)
    kept = {key: one for key, one in shelf.rollups.items() if key.seconds == HOUR_S}
    assert len(kept) == 13 and all(untouched[key] is one for key, one in kept.items())


@pytest.mark.parametrize(
    ("began_s", "placed_s"),
    [
        (NOW - 900, NOW - 900), (NOW - 80 * DAY_S, NOW - 80 * DAY_S), (NOW + 200, NOW + 200),
        (0.0, NOW - 900), (NOW + 10 * 365 * DAY_S, NOW - 900), (-5.0, NOW - 900), (NOW - 91 * DAY_S, NOW - 900),
    ],
)  # fmt: skip
def test_a_clock_that_cannot_be_right_is_not_believed(began_s: float, placed_s: float) -> None:
    assert place(Observation("m", A, began_s, 900.0), NOW) == placed_s


def test_a_wrong_clock_counts_once_as_well() -> None:
    shelf = Shelf()
    report = Report("b", 0, (replace(seen(0, 5)[0], began_s=3.0),))
    assert shelf.send("d", report, NOW) and not shelf.send("d", report, NOW + 5 * HOUR_S)
    assert shelf.requests() == 5


def test_a_fleet_is_of_different_devices_of_one_kind() -> None:
    shelf = Shelf()
    shelf.send("d1", reports(1)[0])
    (one,) = shelf.rollups.values()
    for other in (one, replace(one, key=one.key._replace(device="d2", bundle="b" * 64))):
        with pytest.raises(ValueError, match="different devices"):
            fleet([one, other])


def test_one_device_that_makes_names_up_moves_nobodys_out() -> None:
    shelf = Shelf()
    for i in range(5):
        shelf.send(f"d{i}", Report("b", 0, (seen(NOW - 900, 5, i)[0],)))
    forged = Observation("m", A, NOW - 900, 900.0, {f"a{i}": 9 for i in range(64)}, {f"a{i}": 9 for i in range(256)},
                         {f"a{i}": Series.of([1.0]) for i in range(96)})  # fmt: skip
    shelf.send("forger", Report("b", 0, (forged,)))
    told = fleet(list(shelf.rollups.values())).told
    assert (len(told.counters), len(told.classes), len(told.series)) == (64, 256, 96)
    assert told.counters["requests"] == 25 and told.classes["ok"] == 25 and "latency_ms" in told.series


def test_a_rollup_can_be_stored() -> None:
    shelf = Shelf()
    for report in (*reports(8), *reports(3, "b2")):
        shelf.send("d", report)
    for one in (*shelf.rollups.values(), fleet([next(iter(shelf.rollups.values()))])):
        assert Rollup.from_json(json.loads(json.dumps(one.to_json(), allow_nan=False))) == one


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60))))
def test_seen_is_a_set(pairs: list[tuple[str, int]]) -> None:
    seen = Seen()
    for i, (boot, sequence) in enumerate(pairs):
        assert seen.has(boot, sequence) == ((boot, sequence) in pairs[:i])
        seen = seen.with_one(boot, sequence)
    assert seen.count == len(set(pairs)) and seen.boots == len({boot for boot, _ in pairs})
    assert seen.missing == sum(
        max(s) + 1 - min(s) - len(s) for s in ({q for b, q in pairs if b == x} for x in "abc") if s
    )
    assert Seen.from_json(seen.to_json()) == seen


def test_seen_is_bounded_and_never_counts_twice() -> None:
    seen = Seen()
    for sequence in range(0, 4 * MOST_GAPS, 2):
        seen = seen.with_one("b", sequence)
    assert len(seen.by_boot["b"]) == MOST_GAPS + 1
    assert all(seen.has("b", sequence) for sequence in range(0, 4 * MOST_GAPS, 2))
    for boot in range(MOST_BOOTS + 5):
        seen = seen.with_one(f"x{boot}", 0)
    assert seen.boots == MOST_BOOTS and seen.has(f"x{MOST_BOOTS + 4}", 0) and not seen.has("b", 0)


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        [["a"]],
        [["a", [1]]],
        [["a", [2, 1]]],
        [["a", [0, 1, 2, 3]]],
        [["a", ["x", "y"]]],
        [["a", [0, 0]], ["a", [2, 2]]],
    ],
)
def test_seen_reads_what_it_wrote_and_nothing_else(value: object) -> None:
    with pytest.raises(ValueError, match="not a record"):
        Seen.from_json(value)
