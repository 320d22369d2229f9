"""Groups: what all their devices are told, and what a device has of its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.core.messages.desired import CONFIG_BYTES
from edgewright.hub.fleet.desired import laid_over

ALL = {"models": {"*": {"max_batch": 4}}}


def patch(fleet, path, status=200, by=None, **body):
    return (by or fleet.north).ask("PATCH", f"/api/edge/{path}", status, json=body).json()


def test_devices_of_a_group_hear_at_once_and_those_that_join_later_too(fleet):
    first, other = fleet.device("a", group="line/3"), fleet.device("b")
    first.sync()
    other.sync()
    first.send_sync(60)
    told = patch(fleet, "groups/line/3", config=ALL, collect={"period_s": 60.0, "download_bytes_s": 1000})
    assert (told["devices"], told["config"]) == (1, ALL) and told["changed"]
    status, told = first.synced()
    assert status == 200 and told["config"] == ALL
    assert (told["collect"]["period_s"], told["collect"]["download_bytes_s"]) == (60.0, 1000)
    assert other.sync() == (204, None), "it is in no group"
    late = fleet.device("c", group="line/3")
    assert late.sync()[1]["config"] == ALL
    patch(fleet, "devices/b", group="line/3")
    assert other.sync(wait=60)[1]["config"] == ALL
    patch(fleet, "devices/b", group="")
    assert other.sync(wait=60)[1]["config"] == {}
    assert patch(fleet, "groups/line/3", config=ALL)["devices"] == 2
    assert first.sync() == (204, None), "nothing changed"


def test_what_a_device_has_of_its_own_comes_first_until_it_is_taken_back(fleet):
    device = fleet.device("a", group="g")
    patch(fleet, "groups/g", config={**ALL, "server": {"cache_mb": 1.0}}, collect={"period_s": 60.0})
    patch(fleet, "devices/a", config={"models": {"*": {"threads": 2}, "m": {}}}, collect={"period_s": 5.0})
    told = device.sync(wait=60)[1]
    assert told["config"] == {"models": {"*": {"max_batch": 4, "threads": 2}, "m": {}}, "server": {"cache_mb": 1.0}}
    assert told["collect"]["period_s"] == 5.0
    shown = fleet.north.get("/api/edge/devices/a")
    assert shown["collect"] == {"period_s": 5.0} and shown["told"]["config"] == told["config"]
    patch(fleet, "devices/a", config={}, collect={"period_s": None})
    told = device.sync(wait=60)[1]
    assert told["collect"]["period_s"] == 60.0 and told["config"]["models"] == ALL["models"]
    patch(fleet, "groups/g", config={}, collect={"period_s": None})
    told = device.sync(wait=60)[1]
    assert told["collect"]["period_s"] == 900.0 and told["config"] == {}


def test_revisions_are_of_the_devices_and_the_log_tells_who(fleet):
    for name in ("a", "b"):
        fleet.device(name, group="g")
    before = {fleet.row(name).revision for name in ("a", "b")}
    patch(fleet, "groups/g", config=ALL)
    after = {fleet.row(name).revision for name in ("a", "b")}
    assert min(after) > max(before) and len(after) == 2
    (entry,) = fleet.audit("group.changed")
    assert entry["subject"] == "g" and entry["detail"]["devices"] == 2 and len(entry["detail"]["config"]) == 64


def test_what_a_device_could_not_read_is_refused(fleet):
    fleet.device("a", group="g")
    long = {"models": {"m": {"x": "y" * (CONFIG_BYTES // 2)}}}
    patch(fleet, "devices/a", config=long)
    assert "a: " in patch(fleet, "groups/g", 422, config={"models": {"n": {"x": "y" * (CONFIG_BYTES // 2)}}})["detail"]
    patch(fleet, "groups/g", config={"models": {"n": {"x": "y" * 100}}})
    patch(fleet, "groups/g", 422, collect={"period_s": 0})
    patch(fleet, "groups/g", 422, collect={"log": 1})
    fleet.north.post("/api/edge/enrolments", {"group": "h"})
    patch(fleet, "groups/h", config={"models": {"n": {"x": "y" * (CONFIG_BYTES // 2)}}})
    patch(fleet, "devices/a", 422, group="h")
    assert fleet.row("a").group == "g"


def test_a_group_is_there_when_something_names_it_and_is_found_by_pages(fleet):
    assert "no group" in patch(fleet, "groups/lien-3", 404, config=ALL)["detail"]
    fleet.north.ask("GET", "/api/edge/groups/lien-3", 404)
    for name in ("a", "b", "c"):
        fleet.north.post("/api/edge/enrolments", {"group": name})
    patch(fleet, "groups/b", config=ALL)
    fleet.device("one", group="c")
    found, cursor = [], ""
    while cursor is not None:
        page = fleet.north.get(f"/api/edge/groups?limit=1{f'&cursor={cursor}' if cursor else ''}")
        found += [(one["name"], one["devices"], one["changed"] is not None) for one in page["items"]]
        cursor = page["next"]
    assert found == [("a", 0, False), ("b", 0, True), ("c", 1, False)]
    assert fleet.north.get("/api/edge/groups/b")["config"] == ALL


def test_groups_of_two_tenants_that_have_one_name(fleet):
    mine, theirs = fleet.device("a", group="g"), fleet.device("s", by=fleet.hub.south, group="g")
    theirs.sync()
    patch(fleet, "groups/g", by=fleet.hub.south, config={"server": {"cache_mb": 9.0}})
    patch(fleet, "groups/g", config=ALL)
    assert mine.sync()[1]["config"] == ALL
    assert theirs.sync(wait=60)[1]["config"] == {"server": {"cache_mb": 9.0}}
    viewer = fleet.hub.user("someone", "viewer")
    patch(fleet, "groups/g", 403, by=viewer, config={})


TABLES = st.dictionaries(
    st.sampled_from(["server", "models", "limits"]),
    st.dictionaries(st.sampled_from("ab"), st.integers() | st.dictionaries(st.sampled_from("xy"), st.integers())),
)


@given(TABLES, TABLES)
def test_nothing_of_the_devices_own_is_lost(group, own):
    found = laid_over(group, own)
    assert laid_over(found, own) == found and laid_over(group, {}) == group and laid_over({}, own) == own
    assert set(found) == {*group, *own}
    for name, table in own.items():
        for key, value in table.items():
            if name == "models" and isinstance(value, dict):
                assert value.items() <= found[name][key].items()
            else:
                assert found[name][key] == value


@pytest.mark.parametrize("name", ["%00", "a b", "-x", "x" * 65])
def test_names_that_are_none(fleet, name):
    fleet.north.ask("GET", f"/api/edge/groups/{name}", 404)
