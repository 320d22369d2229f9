"""What devices fetch over the wire: metadata, bundles in ranges, files; nothing of another tenant."""

import json

import pytest


@pytest.fixture
def shelf(fleet, library, make):
    """A device of a development tenant with a released bundle."""
    library.develop()
    bundle = make()
    library.upload(bundle)
    library.propose("r1", bundle)
    return fleet, bundle


def test_a_device_fetches_metadata_and_bundle(shelf, library):
    fleet, bundle = shelf
    device = fleet.device("a")
    assert json.loads(device.enrolled.root)["signed"]["_type"] == "root"
    answer, data = device.ask("GET", "updates/timestamp.json")
    assert answer.status == 200 and data == library.metadata("timestamp.json")
    assert device.status("GET", "updates/timestamp.json", **{"If-None-Match": answer.headers["ETag"]}) == 304
    assert device.status("GET", "updates/99.root.json") == 404
    answer, data = device.ask("GET", f"bundles/{bundle.file}")
    assert data == bundle.data and answer.headers["ETag"] == f'"{bundle.file}"'
    assert device.status("GET", f"deltas/{bundle.digest}/{'ab' * 32}") == 404


@pytest.mark.parametrize(
    "wanted, status, part",
    [
        ("bytes=0-9", 206, slice(0, 10)), ("bytes=5-", 206, slice(5, None)), ("bytes=3-99999999", 206, slice(3, None)),
        ("bytes=99999999-", 416, slice(0, 0)), ("bytes=-5", 200, slice(None)), ("bytes=0-1,4-5", 200, slice(None)),
        ("lines=1-2", 200, slice(None)), ("bytes=9-3", 416, slice(0, 0)),
    ],
)  # fmt: skip
def test_ranges(shelf, wanted, status, part):
    fleet, bundle = shelf
    device = fleet.device("a")
    answer, data = device.ask("GET", f"bundles/{bundle.file}", Range=wanted)
    assert answer.status == status and data == bundle.data[part]
    if status == 206:
        first, last, _ = part.indices(len(bundle.data))
        assert answer.headers["Content-Range"] == f"bytes {first}-{last - 1}/{len(bundle.data)}"


def test_another_tenants_device_sees_nothing_of_it(shelf):
    fleet, bundle = shelf
    device = fleet.device("b", by=fleet.hub.south)
    assert device.status("GET", f"bundles/{bundle.file}") == 404
    assert device.status("GET", f"files/{bundle.file}") == 404
    assert device.status("GET", "updates/1.targets.json") == 404
