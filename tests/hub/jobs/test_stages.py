"""A version goes on with the bundle that was made of it: deployed, monitored, and never back."""

import pytest

from edgewright.hub.fleet.tables import Period
from edgewright.hub.ids import new_id
from edgewright.hub.jobs.stages import advance_all
from edgewright.hub.jobs.tables import Job
from edgewright.hub.models.tables import Version
from edgewright.hub.rollouts.tables import Rollout

DIGEST = "ab" * 32


@pytest.fixture
def version(hub):
    now = hub.state.clock()
    with hub.state.database.write(hub.tenants["north"]) as session:
        row = Version(
            model="mod", number=1, upload="upl", filename="a.onnx", length=1, by="usr", made=now, until=now,
            state="ready", stage="optimized",
        )  # fmt: skip
        session.add(row)
        session.flush()
        session.add(
            Job(
                id=new_id("job"), kind="optimization", state="done", reason="", version=row.id, dataset="dat",
                target="host", profile="", wish={}, needs={}, content="c", priority=0, progress={}, report="", page="",
                result={"bundle": DIGEST}, stop="", worker=None, claim=0, attempts=1, deaths=0, by="usr", made=now,
                queued=now, began=now, ended=now,
            )
        )  # fmt: skip
    return row.id


def stage(hub, version):
    with hub.state.database.read(hub.tenants["north"]) as session:
        return session.find(Version, version).stage


def roll_out(hub, tenant, bundle=DIGEST):
    now = hub.state.clock()
    with hub.state.database.write(hub.tenants[tenant]) as session:
        session.add(
            Rollout(
                id=new_id("rol"), name="r", bundle_name="a", bundles={bundle: {}}, policy={}, plan={}, needs=[],
                conflicts=[], author="usr", approvals=[], made=now, started=now, state="wave", order={},
                superseded_by=None, look={}, heard=now, due=None,
            )
        )  # fmt: skip


def test_what_was_made_of_a_version_takes_it_on(hub, version):
    roll_out(hub, "north", "cd" * 32)
    roll_out(hub, "south")
    assert advance_all(hub.state) == 0 and stage(hub, version) == "optimized"
    roll_out(hub, "north")
    assert advance_all(hub.state) == 1 and stage(hub, version) == "deployed"
    assert advance_all(hub.state) == 0
    with hub.state.database.write(hub.tenants["north"]) as session:
        session.add(Period(device="", began_s=0, seconds=60, model="a", bundle=DIGEST, told=b""))
    assert advance_all(hub.state) == 1 and stage(hub, version) == "monitored"
    assert advance_all(hub.state) == 0


def test_what_is_retired_stays_so(hub, version):
    with hub.state.database.write(hub.tenants["north"]) as session:
        session.find(Version, version).stage = "retired"
    roll_out(hub, "north")
    assert advance_all(hub.state) == 0 and stage(hub, version) == "retired"
