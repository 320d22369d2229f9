"""Faults to order: each is what it says, and the hub sees it."""

import json

import pytest

from edgewright.core.errors import InputError
from edgewright.core.messages import Release
from edgewright.testing.fleet import Behaviour, Faults, Setting, Shift

PATIENCE_S = 60.0


def all_with(fault):
    return Setting(durations={}, faults=Faults(**{fault: 1.0}))


def test_shares_are_kept_and_the_same_for_a_seed():
    faults = Faults.parse("fail=0.2,clock=1")
    hit = [name for name in map(str, range(5000)) if "fail" in faults.of(name, 1)]
    assert 900 < len(hit) < 1100
    assert hit == [name for name in map(str, range(5000)) if "fail" in faults.of(name, 1)]
    assert all("clock" in faults.of(str(n), 1) for n in range(100))


@pytest.mark.parametrize("text", ["fail", "fail=x", "fail=1.5", "nosuch=0.1", "fail=nan"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(InputError, match="no fault and share"):
        Faults.parse(text)


def test_devices_that_fail_do_so_before_or_after_the_switch_and_keep_what_was_good(with_fleet, bundle, release):
    async def body(server, fleet):
        server.release(bundle.path, bundle.digest, bundle.signer)
        async with fleet.running():
            await server.assign(release=release())
            await fleet.until(lambda: sum(s.count for s in fleet.counts.ended.values()) == 12, PATIENCE_S)
            await fleet.until(lambda: all(told[-1].result for told in server.heard.values()), PATIENCE_S)
        last = [told[-1] for told in server.heard.values()]
        assert {one.result for one in last} == {"abandoned", "rolled_back"}
        assert all(one.failure == "bundle" and bundle.digest in one.quarantined for one in last)
        assert not any(one.good or one.current for one in last)

    with_fleet(body, 12, all_with("fail"))


def test_a_silent_device_is_never_heard_after_its_offer(with_fleet, bundle, release):
    async def body(server, fleet):
        server.release(bundle.path, bundle.digest, bundle.signer)
        async with fleet.running():
            await fleet.until(lambda: len(server.heard) == 3, PATIENCE_S)
            await server.assign(release=release())
            await fleet.until(lambda: fleet.counts.silent == 3 and not fleet.counts.parked, PATIENCE_S)
        assert all(one.state == "idle" and not one.target for told in server.heard.values() for one in told)
        assert not server.asked["updates"]

    with_fleet(body, 3, all_with("silent"))


def test_a_wrong_clock_is_told(with_fleet):
    async def body(server, fleet):
        async with fleet.running():
            await fleet.until(lambda: len(server.heard) == 12, PATIENCE_S)
        off = [told[0].clock_s - server.now.timestamp() for told in server.heard.values()]
        assert all(abs(error) > 9 * 365 * 86400 for error in off)
        assert min(off) < 0 < max(off)

    with_fleet(body, 12, all_with("clock"))


def test_a_clone_is_found_out_and_held(with_fleet):
    async def body(server, fleet):
        async with fleet.running():
            assert len(fleet.devices) == 2
            await fleet.until(lambda: fleet.counts.renewed == 1, PATIENCE_S)
            await server.assign(config={"x": 1})  # whoever is parked asks again
            await fleet.until(lambda: fleet.counts.held == 1, PATIENCE_S)
        assert any("409" in what for what in fleet.counts.errors)

    with_fleet(body, 1, all_with("clone"))


def test_a_revoked_device_is_held(with_fleet):
    async def body(server, fleet):
        server.revoked = {"sim-00001"}
        async with fleet.running():
            await fleet.until(lambda: fleet.counts.held == 1 and len(server.heard) == 2, PATIENCE_S)
        assert set(server.heard) == {"sim-00000", "sim-00002"}

    with_fleet(body, 3)


def test_forged_telemetry_is_readable_and_absurd(with_fleet, bundle, release):
    async def body(server, fleet):
        server.release(bundle.path, bundle.digest, bundle.signer)
        async with fleet.running():
            await server.assign(release=release())
            await fleet.until(lambda: bool(fleet.counts.ended), PATIENCE_S)
            fleet.devices[0].teller.observe()
            await fleet.until(lambda: any(server.observations().values()), PATIENCE_S)
        told = json.loads(json.dumps(next(v for v in server.observations().values() if v)))[0]
        assert told["counters"]["errors"] == 10**12

    with_fleet(body, 1, all_with("forge"))


def test_a_slow_device_takes_longer_than_its_durations(with_fleet, bundle, release):
    setting = Setting(durations={"staged": 0.01}, faults=Faults(slow=1.0))

    async def body(server, fleet):
        server.release(bundle.path, bundle.digest, bundle.signer)
        async with fleet.running():
            await server.assign(release=release())
            took = await fleet.until(lambda: bool(fleet.counts.ended), PATIENCE_S)
        assert took >= 0.15

    with_fleet(body, 1, setting)


def test_a_second_offer_after_a_failure_needs_a_new_attempt(with_fleet):
    async def body(server, fleet):
        digest = "ab" * 32  # of nothing that was released: fails for a reason that may pass
        async with fleet.running():
            device = fleet.devices[0]
            device.world.draw = lambda: 0.0
            await server.assign(release=Release("r1", digest, activate=True, attempt=1))
            await fleet.until(lambda: device.now.result == "abandoned", PATIENCE_S)
            asked = server.asked["updates"]
            await server.assign(release=Release("r1", digest, activate=True, attempt=1), config={"other": 1})
            await fleet.until(lambda: device.desired.config == {"other": 1}, PATIENCE_S)
            assert server.asked["updates"] == asked, "the same attempt is not tried again"
            await server.assign(release=Release("r1", digest, activate=True, attempt=2))
            await fleet.until(lambda: server.asked["updates"] > asked, PATIENCE_S)
        assert any((s.result, s.failure) == ("abandoned", "network") for s in server.heard["sim-00000"])

    with_fleet(body, 1)


def test_a_shift_is_parsed_and_seen_in_what_is_told():
    bundle, shift = Shift.parse("abc:lead=-2.0,errors=0.5,latency=3")
    of = Behaviour(1, 400.0, shifts={bundle: shift})
    before, after = (of.device("d").observe(of, "m", b, 0.0, 900.0) for b in ("ff" * 32, "abc" + "0" * 61))
    assert after.series["lead"].mean < before.series["lead"].mean - 1
    assert after.series["confidence"].mean < before.series["confidence"].mean
    assert after.series["latency_ms"].mean > 2 * before.series["latency_ms"].mean
    assert after.counters["errors"] > 100 > before.counters["errors"]
    with pytest.raises(InputError, match="no shift"):
        Shift.parse("abc:nosuch=1")


def test_days_drift_for_all_alike_and_devices_differ():
    of = Behaviour(1)
    assert of.day(0.0) == of.day(86399.0) != of.day(86400.0)
    assert of.device("a").hardness != of.device("b").hardness
    assert of.device("a").hardness == of.device("a").hardness
