"""The fleet's map: a letter a device."""

from datetime import timedelta

import pytest

from edgewright.hub.alerts.mapping import Block, Map, Maps, overlay
from edgewright.hub.fleet.tables import Device
from edgewright.hub.rollouts.tables import Member, Rollout

PATH, ROLLOUT = "/api/edge/fleet/map", "rol_01jd7x3w9q4e5r6t7y8a9b0c1d"


@pytest.fixture
def place(hub, clock):
    """Adds a device; ``of``: its tenant."""

    def add(name, group="", of="north", **more):
        now = clock()
        empty = {"labels": {}, "facts": {}, "config": {}, "collect": {}, "status": {}}
        row = Device(name=name, group=group, revision=0, made=now, changed=now, **empty | {"seen": now} | more)
        with hub.state.database.write(hub.tenants[of]) as session:
            session.add(row)

    return add


def letters(told):
    return {one["group"]: (one["devices"], one["health"]) for one in told["blocks"]}


def test_an_empty_fleet_has_an_empty_map(hub):
    assert hub.north.get(PATH)["blocks"] == []


def test_each_device_is_a_letter_in_its_group(hub, place, clock):
    place("b", "line-1")
    place("a", "line-1", offset_s=300.0)
    place("c", "line-1", offset_s=7200.0)
    place("away", "line-2", seen=clock() - timedelta(hours=1))
    place("gone", "line-2", revoked=clock())
    place("alone")
    assert letters(hub.north.get(PATH)) == {
        "": (["alone"], "o"), "line-1": (["a", "b", "c"], "wob"), "line-2": (["away"], "s")
    }  # fmt: skip


def test_names_come_once(hub, place, clock):
    place("a", "line-1")
    first = hub.north.get(PATH)
    again = hub.north.get(f"{PATH}?layout={first['layout']}")
    assert again["layout"] == first["layout"] and letters(again) == {"line-1": (None, "o")}
    place("b", "line-1")
    clock.go_on(minutes=1)
    assert letters(hub.north.get(f"{PATH}?layout={first['layout']}")) == {"line-1": (["a", "b"], "oo")}


def test_a_map_is_one_tenants(hub, place):
    place("a", of="south")
    assert hub.north.get(PATH)["blocks"] == []
    assert letters(hub.south.get(PATH)) == {"": (["a"], "o")}


def test_a_rollout_lies_over_it(hub, place, clock):
    for name in "abcd":
        place(name)
    told = {
        "bundles": {}, "policy": {"waves": "10,100"}, "plan": {}, "needs": [], "conflicts": [], "approvals": [],
        "order": {}, "look": {}, "made": clock(), "heard": clock(),
    }  # fmt: skip
    with hub.state.database.write(hub.tenants["north"]) as session:
        session.add(Rollout(id=ROLLOUT, name="r-1", bundle_name="r", author="usr_1", **told))
        session.flush()
        for name, wave, state, control in (
            ("a", 0, "active", False),
            ("b", 1, "waiting", True),
            ("d", 1, "failed", False),
        ):
            row = Member(rollout=ROLLOUT, device=name, wave=wave, state=state, control=control, bundle="", before={})
            session.add(row)
    (block,) = hub.north.get(f"{PATH}?rollout={ROLLOUT}")["blocks"]
    assert (block["states"], block["waves"]) == ("aQ.x", "01.1")
    hub.south.ask("GET", f"{PATH}?rollout={ROLLOUT}", 404)


def test_whoever_asks_meanwhile_gets_the_same_map(clock):
    maps, drawn = Maps(), []

    def draw():
        drawn.append(Map(clock(), "", (Block("", ("a",), "o"),)))
        return drawn[-1]

    first = maps.of("north", clock(), draw)
    assert maps.of("north", clock(), draw) is first
    assert maps.of("south", clock(), draw) is not first
    clock.go_on(minutes=5)
    assert maps.of("north", clock(), draw) is not first
    assert len(drawn) == 3


def test_the_thirtysixth_wave_has_a_letter():
    told = overlay([Block("", ("a", "b"), "oo")], [("a", 35, "staged", False)])
    assert told == [("g.", "z.")]


@pytest.mark.parametrize("query", ["layout=xyz", "layout=" + "a" * 17, "rollout=nothing"])
def test_what_is_no_layout_or_rollout_is_refused(hub, query):
    hub.north.ask("GET", f"{PATH}?{query}", 422)


def test_a_stranger_sees_none(hub):
    hub.nobody.ask("GET", PATH, 401)
