"""From the hub to what serves: real bundles through the real library, listener and agents."""

from types import SimpleNamespace

from edgewright.agent import children
from edgewright.core.child import run_child
from edgewright.core.messages import Report
from edgewright.hub import library
from edgewright.hub.fleet.tables import Ledger
from edgewright.testing.agents import in_process
from edgewright.testing.fleet.behaviour import Behaviour, forged


def test_a_delta_between_two_real_bundles(plant, made):
    for bundle in (made.large, made.larger):
        plant.upload(bundle)
    one = plant.agent("press-1")
    plant.completed(made.large)
    library.delta(plant.fleet.state, plant.fleet.tenant, made.larger.digest, made.large.digest)
    plant.made_deltas()
    plant.completed(made.larger, name="m-2")
    history = one.machine.history()
    assert "'delta': True" in str(history), history
    assert one.witness.served[-1] == made.larger.digest


def test_validly_signed_poison_halts_at_the_canaries(plant, made, key, tmp_path, monkeypatch, poisons):
    plant.upload(made.a)
    for number in range(4):
        plant.agent(f"press-{number}")
    plant.completed(made.a)
    poison = set()

    def child(name, told, **how):  # what is poison is opened in a process of its own, as on a device
        apart = name.endswith("probe_in_child") and any(one in told["path"] for one in poison)
        return (run_child if apart else in_process)(name, told, **how)

    monkeypatch.setattr(children, "run_child", child)
    for what, most_s in (("nan", 60.0), ("greedy", 60.0), ("endless", 1.0)):
        monkeypatch.setattr(children, "_PROBE_S", most_s)
        path = tmp_path / f"{what}.ewb"
        bad = plant.upload(SimpleNamespace(path=path, digest=getattr(poisons, what)(path, key)))
        poison.add(bad.digest)
        rollout = plant.release(bad, name=what, waves="3d,100", max_failure=0.01)
        plant.go(lambda: plant.shown(rollout)["state"] == "rolled_back")  # noqa: B023 - used at once
        tried = [one for one in plant.agents.values() if bad.digest in one.machine.now.bad]
        assert len(tried) == 3 and {one.machine.now.result for one in tried} == {"abandoned"}, what
        for one in plant.agents.values():
            assert one.machine.now.good == made.a.digest and bad.digest not in one.witness.served
            assert one in tried or bad.digest not in str(one.machine.history()), "offered to the canaries alone"


def test_what_one_device_makes_up_halts_nothing(plant, made):
    """One of three canaries: what it says counts as if it lay at the edge of what the others say."""
    for bundle in (made.a, made.b):
        plant.upload(bundle)
    for number in range(6):
        plant.agent(f"press-{number}")
    plant.completed(made.a)
    nature = {name: Behaviour(requests=300.0).device(name) for name in plant.agents}
    sequence = iter(range(1, 10_000))

    def observe(forgers):
        for name, one in plant.agents.items():
            if one.slots.current:
                now = plant.clock().timestamp()
                told = nature[name].observe(Behaviour(requests=300.0), "m", one.slots.current, now - 60, 60.0)
                told = forged(told) if name in forgers else told
                one.report(Report("boot-1", next(sequence), (told,)))

    observe(())
    rollout = plant.release(made.b, name="m-2", waves="3d,100", soak_s=60.0)
    forgers, found = set(), set()

    def looked():
        if not forgers and plant.shown(rollout)["phase"] in ("soak", "gate"):
            forgers.add(next(n for n, one in plant.agents.items() if one.slots.current == made.b.digest))
        observe(forgers)
        look = plant.shown(rollout)["look"] or {}
        found.update(one["metric"] for one in look.get("evidence", {}).get("findings", ()) if forgers)
        return plant.shown(rollout)["state"] != "wave" or plant.shown(rollout)["wave"]

    plant.go(looked, seconds=20.0)
    assert found >= {"errors", "latency"}, "it was looked at"
    assert plant.shown(rollout)["state"] == "wave", plant.shown(rollout)["look"]


def test_another_bundles_telemetry_is_not_believed(plant, made):
    plant.upload(made.a)
    one = plant.agent("press-1")
    plant.completed(made.a)
    told = Behaviour().device("x").observe(Behaviour(), "m", made.b.digest, plant.clock().timestamp() - 60, 60.0)
    one.report(Report("boot-1", 1, (told,)))
    assert plant.fleet.row("press-1", Ledger).dropped == 1 and plant.told("press-1").has("boot-1", 1)
