"""The hub's disk is full: devices serve on and keep what was not taken; afterwards everything goes on."""

import shutil
import subprocess

import pytest

from edgewright.agent.net.hub import Refusal
from edgewright.core.messages import Event, Report


@pytest.fixture
def disk(tmp_path):
    place = tmp_path / "data"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("no disk may be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture
def url(disk, tables):
    return f"sqlite:///{shutil.copy(tables, disk / 'hub.db')}"


def fill(disk):
    with (disk / "ballast").open("wb", buffering=0) as stream:
        try:
            while stream.write(bytes(4096)):
                pass
        except OSError:
            pass


def test_a_full_disk_loses_no_report_and_stops_no_device(plant, made, disk):
    for bundle in (made.a, made.b):
        plant.upload(bundle)
    one = plant.agent("press-1")
    plant.completed(made.a)
    asked = plant.north.post("/api/edge/devices/press-1/collect", {"kind": "log"})["number"]
    rollout = plant.release(made.b, name="m-2")
    acknowledged, refused = [], 0
    fill(disk)
    for number in range(60):  # the database's files have room of their own for a while
        try:
            one.report(Report("b", number, events=tuple(Event(0.0, "k", detail="x" * 400) for _ in range(50))))
            acknowledged.append(number)
        except Refusal as refusal:
            assert refusal.status == 503 and refusal.after_s > 0
            refused += 1
            break
    assert refused, "it was full"
    device = plant.devices.Device(one.state / "identity", plant.fleet.url)
    answer, told = device.ask("PUT", f"uploads/log/{asked}", bytes(2**20))
    assert answer.status == 503 and int(answer.headers["Retry-After"]) > 0, told
    for _ in range(3):
        one.turn()
    assert one.slots.current == made.a.digest
    (disk / "ballast").unlink()
    plant.back()
    assert device.status("PUT", f"uploads/log/{asked}", bytes(2**20)) == 204
    device.close()
    for number in range(len(acknowledged) + 1):
        one.report(Report("b", number, events=(Event(0.0, "k"),)))
    assert plant.told("press-1").count == len(acknowledged) + 1
    plant.go(lambda: plant.shown(rollout)["state"] == "completed")
    assert one.machine.now.good == made.b.digest
