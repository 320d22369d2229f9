"""A version goes on with the bundles that were made of it: optimized, deployed, monitored, and never back."""

import pytest

from edgewright.hub.fleet.tables import Device, Period
from edgewright.hub.ids import new_id
from edgewright.hub.jobs.stages import advance_all
from edgewright.hub.jobs.tables import Job
from edgewright.hub.library.tables import Bundle
from edgewright.hub.models.tables import Version

SOURCE, BUNDLE, OTHER = "5a" * 32, "ab" * 32, "cd" * 32


@pytest.fixture
def version(hub):
    return add_version(hub, 1, digest=SOURCE, stage="validated")


def write(hub, *rows, tenant="north"):
    with hub.state.database.write(hub.tenants[tenant]) as session:
        session.add_all(rows)


def add_version(hub, number, **more):
    now = hub.state.clock()
    row = Version(
        id=new_id("ver"), model="mod", number=number, upload="upl", filename="a.onnx", length=1, by="usr", made=now,
        until=now, state="ready", **more,
    )  # fmt: skip
    id_ = row.id
    write(hub, row)
    return id_


def add_job(hub, version, bundle):
    now, id_ = hub.state.clock(), new_id("job")
    write(
        hub,
        Job(
            id=id_, kind="optimization", state="done", reason="", version=version, dataset="dat", target="host",
            profile="", wish={}, needs={}, content="c", priority=0, progress={}, report="", page="",
            result={"bundle": bundle}, stop="", worker=None, claim=0, attempts=1, deaths=0, by="usr", made=now,
            queued=now, began=now, ended=now,
        ),
    )  # fmt: skip
    return id_


def add_bundle(hub, digest=BUNDLE, source=SOURCE, tenant="north"):
    row = Bundle(
        digest=digest, source=source, file=digest, length=1, name="a", version="1", hardware=[], engines=[],
        signer="00", evidence={}, files={}, made=hub.state.clock(),
    )  # fmt: skip
    write(hub, row, tenant=tenant)


def run(hub, bundle, tenant="north", name="press"):
    now = hub.state.clock()
    row = Device(
        name=name, labels={}, facts={}, revision=1, release=None, config={}, collect={}, status={}, current=bundle,
        made=now, changed=now,
    )  # fmt: skip
    write(hub, row, tenant=tenant)


def tell(hub, bundle):
    write(hub, Period(device="", began_s=0, seconds=60, model="a", bundle=bundle, told=b""))


def stages(hub, *versions):
    """Once all is advanced that there is, and once more to no effect."""
    advance_all(hub.state)
    assert advance_all(hub.state) == 0
    with hub.state.database.read(hub.tenants["north"]) as session:
        found = [session.find(Version, version).stage for version in versions]
    return found if len(found) > 1 else found[0]


def test_what_was_made_of_a_version_takes_it_on(hub, version):
    """Wherever that was: the bundle may have been sealed elsewhere, and uploaded."""
    add_bundle(hub, OTHER, source="00" * 32)
    add_bundle(hub, tenant="south")
    assert stages(hub, version) == "validated"
    add_bundle(hub)
    assert stages(hub, version) == "optimized"
    run(hub, BUNDLE, tenant="south")
    run(hub, OTHER)
    assert stages(hub, version) == "optimized", "a device of others, or with another bundle"
    run(hub, BUNDLE, name="lathe")
    assert stages(hub, version) == "deployed"
    tell(hub, BUNDLE)
    assert stages(hub, version) == "monitored"


def test_what_was_kept_goes_on_in_the_place_of_its_parent(hub, version):
    job = add_job(hub, version, BUNDLE)
    kept = add_version(hub, 2, digest="77" * 32, stage="optimized", parent=version, job=job)
    add_bundle(hub)
    run(hub, BUNDLE)
    assert stages(hub, version, kept) == ["validated", "deployed"]
    add_bundle(hub, OTHER)
    tell(hub, OTHER)
    tell(hub, BUNDLE)
    assert stages(hub, version, kept) == ["monitored", "monitored"]


def test_what_is_retired_stays_so(hub):
    version = add_version(hub, 1, digest=SOURCE, stage="retired")
    add_bundle(hub)
    run(hub, BUNDLE)
    assert stages(hub, version) == "retired"
