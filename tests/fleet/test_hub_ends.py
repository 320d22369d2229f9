"""A hub that is killed in the middle, and one that was restored from an older backup of its folder: real processes."""

import asyncio
import json
import shutil
from contextlib import closing

from edgewright.agent.net.enrolment import renew
from edgewright.core.messages import Event, Report
from edgewright.hub.database import EVERY, Database
from edgewright.hub.fleet.tables import Ledger
from edgewright.monitoring.seen import Seen
from edgewright.testing.fleet import Fleet, Setting, invite
from edgewright.testing.fleet.reporting import Outbox
from edgewright.testing.site import Site

PATIENCE_S = 120.0


def uploaded(site, bundle, key):
    with site.api() as hub:
        hub.upload("/bundles", bundle.path, signer=key.public.raw.hex())


def released(site, bundle, **policy):
    """On its way; the rollout's id."""
    wanted = {"name": bundle.path.stem, "waves": "100", "soak_s": 0.0, "trial_s": 0.0} | policy
    with site.api() as hub:
        return hub.post("/rollouts", {"bundles": [bundle.digest], **wanted})["id"]


def has(site, told):
    """Whether the hub's database has all these reports (device, boot, sequence)."""
    with Database(f"sqlite:///{site.folder / 'hub' / 'hub.db'}") as database, database.read(EVERY) as session:
        kept = {row.device: Seen.from_json(json.loads(row.seen)) for row in session.query(Ledger)}
    return all(kept[device].has(boot, sequence) for device, boot, sequence in told)


def test_killed_in_the_middle_of_a_wave(tmp_path, made, key, agent_of, monkeypatch):
    """It goes on where it was: everybody gets the release once, and no report that it acknowledged is lost."""
    acknowledged, real = set(), Outbox.acknowledge

    def acknowledge(self, receipt):
        acknowledged.add((names[self], receipt.boot, receipt.sequence))
        return real(self, receipt)

    monkeypatch.setattr(Outbox, "acknowledge", acknowledge)
    names = {}

    async def run(site):
        with site.api() as hub:
            tokens = invite(hub, 12, "line")
        fleet = Fleet(f"https://{site.devices}", tmp_path / "fleet", Setting(durations={}))
        await fleet.enrol(12, tokens)
        async with fleet.running():
            names.update({one.outbox: one.papers.name for one in fleet.devices})
            await fleet.until(lambda: fleet.counts.parked == 12, PATIENCE_S)
            rollout = released(site, made.a, waves="4d,100", group="line")
            good = lambda: sum(one.now.good == made.a.digest for one in fleet.devices)  # noqa: E731
            await fleet.until(lambda: good() >= 1 and acknowledged, PATIENCE_S)
            site.hub.process.kill()
            site.hub.process.wait()
            assert has(site, acknowledged)
            site.hub = await asyncio.to_thread(site._started)
            await fleet.until(lambda: good() == 12 and not any(one.outbox for one in fleet.devices), PATIENCE_S)
            done = lambda hub: hub.get(f"/rollouts/{rollout}")["state"] == "completed"  # noqa: E731
            await asyncio.to_thread(site.wait, done)
        assert {one.now.before for one in fleet.devices} == {""}, "nobody was given it twice"
        assert has(site, acknowledged) and len(acknowledged) >= 12

    with Site(tmp_path / "site") as site:
        for bundle in (made.a, made.b):
            uploaded(site, bundle, key)
        with site.api() as hub:
            token = hub.post("/enrolments", {"device": "first", "group": "other"})["token"]
        agent_of("first", f"https://{site.devices}", token)
        other = released(site, made.b, group="other")  # with it come the tenant's keys
        site.wait(lambda hub: hub.get(f"/rollouts/{other}")["state"] == "wave")
        asyncio.run(run(site))


def test_restored_from_an_older_backup(tmp_path, made, key, agent_of):
    """It knows nothing of a release, a renewal, a configuration and a device since then; nobody is lost by it, but the
    device."""
    with Site(tmp_path / "site") as site:
        for bundle in (made.a, made.b):
            uploaded(site, bundle, key)
        agents = {}
        for name in ("renewed", "calm"):
            with site.api() as hub:
                token = hub.post("/enrolments", {"device": name})["token"]
            agents[name] = agent_of(name, f"https://{site.devices}", token)

        def completed(bundle):
            rollout = released(site, bundle)

            def turn(hub):
                for one in agents.values():
                    one.turn()
                return hub.get(f"/rollouts/{rollout}")["state"] == "completed"

            site.wait(turn, PATIENCE_S)
            assert {one.machine.now.good for one in agents.values()} == {bundle.digest}

        completed(made.a)
        site.hub.close()
        shutil.copytree(site.folder / "hub", tmp_path / "backup", symlinks=True)
        site.hub = site._started()
        completed(made.b)
        renewed, calm = agents["renewed"], agents["calm"]
        with closing(renewed.line.dial()) as dialled:
            renew(renewed.line, dialled)
        with site.api() as hub:
            hub.patch("/devices/calm", {"config": {"limits": {"since": 1}}})
        site.wait(lambda hub: calm.turn() is not None and calm.wishes.desired.config)
        before = calm.wishes.desired.revision
        serial = renewed.line.identity.peer.serial
        renewed.report(Report("b", 1, events=(Event(0.0, "before"),)))

        site.hub.close()
        shutil.rmtree(site.folder / "hub")
        shutil.copytree(tmp_path / "backup", site.folder / "hub", symlinks=True)
        site.hub = site._started()
        with site.api() as hub:  # as many changes as were lost, so that their numbers could come again
            for number in range(4):
                hub.patch("/devices/calm", {"config": {"limits": {"after": number}}})
        site.wait(lambda hub: calm.turn() is not None and "after" in calm.wishes.desired.config.get("limits", {}))
        assert calm.wishes.desired.revision > before, "numbers do not come again"
        site.wait(lambda hub: [one.turn() for one in agents.values()] and renewed.line.identity.peer.serial != serial)
        assert not renewed.line.trouble, "the one whose certificate the hub does not know came back by the one before"
        completed(made.b)
        renewed.report(Report("b", 2, events=(Event(0.0, "after"),)))
        assert has(site, {("renewed", "b", 2)})
