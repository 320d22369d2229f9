"""PostgreSQL falls in the middle of a wave and comes back: devices serve on, what was acknowledged is there."""

import pytest
from sqlalchemy.exc import SQLAlchemyError

from edgewright.agent.net.hub import Offline, Refusal
from edgewright.core.messages import Event, Report


@pytest.fixture
def server(postgres_servers):
    with postgres_servers() as made:
        yield made


@pytest.fixture
def url(server, with_tables):
    return with_tables(server.make())


def test_a_database_that_falls_in_the_middle_of_a_wave(plant, made, server):
    for bundle in (made.a, made.b):
        plant.upload(bundle)
    for number in range(3):
        plant.agent(f"press-{number}")
    plant.completed(made.a)
    rollout = plant.release(made.b, name="m-2", waves="1d,100")
    plant.go(lambda: any(one.machine.now.state != "idle" for one in plant.agents.values()))
    first, acknowledged = plant.agents["press-0"], set()

    def report(number):
        try:
            first.report(Report("b", number, events=(Event(0.0, "k"),)))
            acknowledged.add(number)
        except (Offline, Refusal) as error:
            assert isinstance(error, Refusal) and error.status == 503 and error.after_s > 0, error

    report(1)
    server.stop()
    for number in range(2, 4):
        report(number)
        for one in plant.agents.values():
            one.turn()
        with pytest.raises(SQLAlchemyError):
            plant.reconciler.round()
    assert acknowledged == {1}, "what is not written is not acknowledged"
    assert {one.machine.now.good for one in plant.agents.values()} <= {made.a.digest, made.b.digest}
    server.start()
    plant.back()
    for number in range(1, 5):
        report(number)
    assert acknowledged == {1, 2, 3, 4} and plant.told("press-0").count == 4
    plant.go(lambda: plant.shown(rollout)["state"] == "completed", seconds=20.0)
    assert {one.machine.now.good for one in plant.agents.values()} == {made.b.digest}
