"""The simulated fleet against a small hub: it connects, updates, reports, and comes back."""

import asyncio

import pytest

from edgewright.core.errors import InputError, TrustError
from edgewright.core.messages import Benchmark, Collect
from edgewright.testing.fleet import Faults, Fleet, Offline, Setting

PATIENCE_S = 60.0


def ended(fleet, result):
    return sum(s.count for name, s in fleet.counts.ended.items() if name.startswith(result))


def test_all_connect_and_take_a_bundle_from_metadata_to_committed(with_fleet, bundle, release):
    async def body(server, fleet):
        server.release(bundle.path, bundle.digest, bundle.signer)
        async with fleet.running():
            await fleet.until(lambda: fleet.counts.parked == 10, PATIENCE_S)
            await server.assign(release=release(activate=False))
            await fleet.until(lambda: all(d.now.state == "waiting" for d in fleet.devices), PATIENCE_S)
            assert not ended(fleet, "committed"), "nothing is switched before the hub says so"
            await server.assign(release=release())
            await fleet.until(lambda: ended(fleet, "committed") == 10, PATIENCE_S)
            for device in fleet.devices:
                device.teller.observe()
            await fleet.until(lambda: fleet.counts.acknowledged >= 10, PATIENCE_S)
            await fleet.until(lambda: all(told[-1].state == "idle" for told in server.heard.values()), PATIENCE_S)
        for statuses in server.heard.values():
            last = statuses[-1]
            assert (last.state, last.result, last.good, last.rollout) == ("idle", "committed", bundle.digest, "r1")
        assert fleet.counts.fetched_bytes == 10 * bundle.path.stat().st_size
        assert fleet.world.metadata.verifications == 1, "the same metadata is verified once"
        assert server.asked["updates"] >= 30, "and fetched by every device"
        assert not fleet.counts.errors

    with_fleet(body)


def test_the_papers_of_a_folder_are_used_again(with_fleet, tmp_path):
    async def body(server, fleet):
        again = Fleet(server.url, tmp_path / "fleet", Setting())
        await again.enrol(10)
        assert [p.peer for p in again.papers] == [p.peer for p in fleet.world.registry.known(10)]
        with pytest.raises(InputError, match="need a token each"):
            await again.enrol(11)
        async with again.running():
            await again.until(lambda: again.counts.synced + again.counts.parked >= 10, PATIENCE_S)

    with_fleet(body)


def test_a_storm_is_survived_and_told(with_fleet):
    async def body(server, fleet):
        async with fleet.running():
            await fleet.until(lambda: fleet.counts.parked == 10, PATIENCE_S)
            await fleet.until(lambda: len(server.heard) == 10, PATIENCE_S)
            heard = {name: len(told) for name, told in server.heard.items()}
            fleet.storm()
            await fleet.until(lambda: all(len(server.heard[n]) > count for n, count in heard.items()), PATIENCE_S)
            assert fleet.counts.errors.total() == 10

    with_fleet(body)


def test_reports_are_acknowledged_once_however_often_they_come(with_fleet, bundle, release):
    setting = Setting(durations={}, faults=Faults(twice=1.0, reorder=1.0))

    async def body(server, fleet):
        server.release(bundle.path, bundle.digest, bundle.signer)
        async with fleet.running():
            await server.assign(release=release())
            await fleet.until(lambda: ended(fleet, "committed") == 5, PATIENCE_S)
            server.lose_answers = 3
            for device in fleet.devices:
                device.teller.observe()
                device.teller.observe()
            await fleet.until(lambda: not any(d.outbox for d in fleet.devices), PATIENCE_S)
        assert len(server.received) > len(server.reports) == fleet.counts.acknowledged
        assert all(told[0]["bundle"] == bundle.digest for told in server.observations().values())

    with_fleet(body, 5, setting)


def test_a_renewal_gives_a_new_certificate(with_fleet):
    async def body(server, fleet):
        before = {p.name: p.peer.serial for p in fleet.papers}
        async with fleet.running():
            for device in fleet.devices:
                device.expired = True
            await fleet.until(lambda: fleet.counts.renewed == 3, PATIENCE_S)
            await fleet.until(lambda: len(server.heard) == 3, PATIENCE_S)
        after = {p.name: p.peer.serial for p in fleet.world.registry.known(3)}
        assert after == server.serials
        assert all(after[name] != before[name] for name in before)

    with_fleet(body, 3)


def test_what_the_hub_asks_for_is_uploaded_once(with_fleet):
    async def body(server, fleet):
        async with fleet.running():
            await server.assign(collect=Collect(log=1))
            await fleet.until(lambda: len(server.uploads) == 3, PATIENCE_S)
            await server.assign(collect=Collect(log=1, diagnostics=4))
            await fleet.until(lambda: fleet.counts.uploads == 6, PATIENCE_S)  # a device counts once it is answered
            await server.assign(collect=Collect(log=1, diagnostics=4, benchmark=Benchmark(9, ("ab" * 32,))))
            await fleet.until(lambda: fleet.counts.uploads == 9, PATIENCE_S)
        assert {place for _, place in server.uploads} == {"log/1", "diagnostics/4", "benchmark/9"}

    with_fleet(body, 3)


def test_what_is_not_released_is_not_run(with_fleet, release):
    async def body(server, fleet):
        async with fleet.running():
            await server.assign(release=release())
            await fleet.until(lambda: fleet.counts.errors.total() > 0, PATIENCE_S)
        assert "is not released" in next(iter(fleet.counts.errors))
        assert not fleet.counts.fetched_bytes

    with_fleet(body, 1)


def test_a_bundle_of_other_bytes_is_refused(with_fleet, bundle, release):
    async def body(server, fleet):
        server.release(bundle.path, bundle.digest, bundle.signer)
        server.bundles = {sha: bytes(len(data)) for sha, data in server.bundles.items()}
        async with fleet.running():
            await server.assign(release=release())
            await fleet.until(lambda: fleet.counts.errors.total() > 0, PATIENCE_S)
        assert next(iter(fleet.counts.errors)) == f"{TrustError.__name__}: what came is not the bundle that was signed"

    with_fleet(body, 1)


def test_an_older_timestamp_told_to_another_device_is_found_out(with_fleet, bundle, release):
    async def body(server, fleet):
        old = server.office.files["timestamp.json"]
        server.release(bundle.path, bundle.digest, bundle.signer)
        get = {"new": dict(server.office.files), "old": {**server.office.files, "timestamp.json": old}}

        def fetch(files):
            async def fetched(name):
                if name not in files:
                    raise FileNotFoundError(name)
                return files[name]

            return fetched

        metadata = fleet.world.metadata
        assert len(await metadata.refresh(fetch(get["new"]), {})) == 1
        with pytest.raises(TrustError, match="refused"):
            await metadata.refresh(fetch(get["old"]), {})

    with_fleet(body, 1)


def test_until_says_what_was_not_so(with_fleet):
    async def body(server, fleet):
        async with fleet.running():
            with pytest.raises(Offline, match="was not so yet"):
                await fleet.until(lambda: False, 0.0)

    with_fleet(body, 1)


def test_a_device_that_is_stopped_leaves_nothing_behind(with_fleet):
    async def body(server, fleet):
        async with fleet.running():
            await fleet.until(lambda: fleet.counts.parked == 10, PATIENCE_S)
        assert fleet.counts.parked == 0
        assert len(asyncio.all_tasks()) <= 1 + 2 * len(server._writers), "but the tasks of the server"

    with_fleet(body)
