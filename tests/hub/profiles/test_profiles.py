"""Device profiles: written, detected, told by an enrolled device; and which model fits where."""

import pytest

from edgewright.hub import profiles
from edgewright.hub.errors import Absent
from edgewright.hub.fleet.tables import Device
from edgewright.hub.profiles import fits as module
from edgewright.hub.profiles import routes_profiles
from edgewright.targets import HOST, names, target
from edgewright.targets.toml import dump

PATH = "/api/edge/device-profiles"


def document(name="press-line", **changed):
    made = target("raspberry-pi-5").to_json()
    return {**made, "name": name, **changed}


def figures(**values):
    made = dict(target("raspberry-pi-5").to_json()["figures"])
    return made | {key: {**made[key], "value": value, "source": "measured"} for key, value in values.items()}


def test_templates_come_with_the_first_page(hub):
    for name in ("a", "b", "c"):
        hub.north.post(PATH, {"target": document(name)})
    first = hub.north.get(f"{PATH}?limit=2")
    assert [one["name"] for one in first["items"]] == ["c", "b"]
    assert [one["name"] for one in first["templates"]] == list(names()) and first["templates"][0]["name"] == HOST
    rest = hub.north.get(f"{PATH}?limit=2&cursor={first['next']}")
    assert [one["name"] for one in rest["items"]] == ["a"] and rest["templates"] == []
    assert hub.north.get(f"{PATH}/raspberry-pi-5")["origin"] == "template"


def test_one_that_was_detected_elsewhere_is_imported(hub):
    text = dump(target("intel-n100")).replace('name = "intel-n100"', 'name = "gateway"')
    made = hub.north.post(PATH, {"toml": text})
    assert (made["name"], made["origin"]) == ("gateway", "written")
    assert hub.north.get(f"{PATH}/gateway") == hub.north.get(f"{PATH}/{made['id']}") == made
    with hub.state.database.read(hub.tenants["north"]) as session:
        assert profiles.resolve(session, made["id"]) == profiles.resolve(session, "gateway")
        assert profiles.resolve(session, "low").name == "low"
    with hub.state.database.read(hub.tenants["south"]) as session, pytest.raises(Absent):
        profiles.resolve(session, "gateway")


def add_device(hub, **facts):
    now = hub.state.clock()
    with hub.state.database.write(hub.tenants["north"]) as session:
        told = {"labels": {}, "config": {}, "collect": {}, "status": {}}
        session.add(Device(name="Press_1", revision=1, made=now, changed=now, facts=facts, **told))


def test_an_enrolled_device_tells_what_it_is(hub):
    add_device(
        hub, cpus=2, memory_bytes=2**31, storage_bytes=10**9, machine="aarch64", engines={"onnxruntime": "1.23"},
        target="raspberry-pi-5",
    )  # fmt: skip
    made = hub.north.post(PATH, {"device": "Press_1"})
    told = made["target"]
    assert made["origin"] == "device Press_1" and made["name"] == "press_1-class"
    assert told["figures"]["ram"]["value"] == 2**31 and told["figures"]["ram"]["source"].startswith("reported by")
    assert told["engines"]["names"] == ["onnxruntime"]
    assert told["compute"] == target("raspberry-pi-5").to_json()["compute"]
    like = hub.north.post(PATH, {"device": "Press_1", "like": "low", "name": "press-2"})
    assert like["name"] == "press-2" and like["target"]["compute"] == target("low").to_json()["compute"]


@pytest.mark.parametrize(
    ("machine", "cpus", "memory", "like"),
    [
        ("x86_64", 2, 2**34, "industrial-pc-avx2"), ("x86_64", 16, 2**36, "high"), ("aarch64", 4, 2**33, "medium"),
        ("aarch64", 12, 2**35, "medium"), ("armv7l", 1, 2**29, "low"),
    ],
)  # fmt: skip
def test_what_a_device_does_not_tell_is_that_of_a_class_of_its_architecture(hub, machine, cpus, memory, like):
    add_device(hub, cpus=cpus, memory_bytes=memory, storage_bytes=10**9, machine=machine)
    made, expected = hub.north.post(PATH, {"device": "Press_1"})["target"], target(like).to_json()
    assert (made["architecture"], made["isa"]) == (expected["architecture"], expected["isa"])


def test_a_device_that_has_told_nothing_is_no_profile(hub):
    add_device(hub)
    assert "has not told" in hub.north.ask("POST", PATH, 422, json={"device": "Press_1"}).json()["detail"]
    hub.north.ask("POST", PATH, 404, json={"device": "press-9"})


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 422, "give toml, target or device"),
        ({"toml": "x = 1", "target": {}}, 422, "give toml, target or device"),
        ({"toml": "no toml"}, 422, "not a TOML document"),
        ({"target": {}}, 422, "architecture is missing"),
        ({"target": document("raspberry-pi-5")}, 422, "a template's name"),
        ({"target": document("host")}, 422, "a template's name"),
        ({"target": document("there")}, 409, "is there already"),
        ({"target": document("there", colour="red")}, 422, "colour"),
        ({"target": document("new"), "name": "a b"}, 422, ""),
    ],
)
def test_what_is_no_profile(hub, body, status, says):
    hub.north.post(PATH, {"target": document("there")})
    assert says in hub.north.ask("POST", PATH, status, json=body).text


def test_figures_are_changed_one_by_one(hub):
    made = hub.north.post(PATH, {"target": document()})
    path = f"{PATH}/{made['id']}"
    ram = {"ram_model": {"value": 10**6, "unit": "B", "source": "measured: what is left beside the PLC"}}
    changed = hub.north.ask("PATCH", path, 200, json={"figures": ram, "title": "Presses"}).json()
    assert changed["title"] == "Presses" and changed["target"]["figures"]["ram_model"] == ram["ram_model"]
    hub.north.ask("PATCH", path, 422, json={"figures": {"ram_model": {"value": -1, "unit": "B", "source": "x"}}})
    hub.north.ask("PATCH", path, 422, json={"figures": {"colour": {"value": 1, "unit": "B", "source": "x"}}})
    assert hub.north.get(path) == changed
    hub.north.ask("DELETE", path, 204)
    hub.north.ask("GET", path, 404)


class TestFits:
    def test_each_model_is_told_of_on_each_device_class(self, hub, uploads, make):
        small, large = uploads.version(make.onnx()), uploads.version(make.onnx(width=600_000), "large")
        tiny = hub.north.post(PATH, {"target": document("tiny", figures=figures(ram_model=7.3e6))})["id"]

        def row(version):
            told = hub.north.get(f"/api/edge/versions/{version['id']}/fits")["fits"]
            return {one["profile"]: one for one in told}

        rows = row(small), row(large)
        assert set(rows[0]) == {*names(), tiny}
        assert rows[0]["raspberry-pi-5"]["verdict"] == "fits" and rows[1]["stm32h7"]["verdict"] == "does not fit"
        assert "8-bit activations" in " ".join(rows[1]["stm32h7"]["problems"]) and rows[1]["stm32h7"]["remedies"]
        assert rows[1][tiny]["verdict"] == "does not fit" and rows[1][tiny]["shares"]["memory"] > 1
        latency = [rows[i]["raspberry-pi-5"]["latency"] for i in range(2)]
        assert latency[0]["kind"] == latency[1]["kind"] == "predicted"
        assert latency[0]["value"] < latency[1]["value"]

    def test_it_is_what_the_command_line_tells(self, hub, uploads, make, tmp_path):
        from edgewright.advice.choose import advise
        from edgewright.formats.onnx import from_proto

        proto = make.onnx(width=64)
        found = uploads.version(proto)
        path = f"/api/edge/versions/{found['id']}/fits?profile=raspberry-pi-4"
        (told,) = hub.north.get(path)["fits"]
        wanted = advise(from_proto(proto), target("raspberry-pi-4")).to_json()
        for key in ("problems", "latency", "engine", "number_types", "recipe"):
            assert told[key] == wanted[key], key

    def test_it_is_computed_once(self, hub, uploads, make, monkeypatch):
        path = f"/api/edge/versions/{uploads.version(make.onnx())['id']}/fits"
        first, run = hub.north.get(path), module.run_child
        monkeypatch.setattr(module, "run_child", None)
        assert hub.north.get(path) == first
        asked = []
        monkeypatch.setattr(module, "run_child", lambda f, a, **how: asked.append(a) or run(f, a, **how))
        made = hub.north.post(PATH, {"target": document(figures=figures(ram_model=10))})
        (told,) = hub.north.get(f"{path}?profile={made['id']}")["fits"]
        assert told["verdict"] == "does not fit" and [len(one["targets"]) for one in asked] == [1]

    @pytest.mark.parametrize("told", [{}, None, "x", [1]])
    def test_what_the_child_answers_is_held_against_what_it_may(self, hub, uploads, make, monkeypatch, told):
        found = uploads.version(make.onnx())
        monkeypatch.setattr(module, "run_child", lambda f, a, **how: dict.fromkeys(a["targets"], told))
        path = f"/api/edge/versions/{found['id']}/fits?profile=low"
        assert "makes no sense" in hub.north.ask("GET", path, 422).json()["detail"]

    def test_what_there_is_not_fits_nowhere(self, hub, uploads, make):
        found = uploads.version(make.onnx())
        path = f"/api/edge/versions/{found['id']}/fits"
        hub.north.ask("GET", f"{path}?profile=toaster", 404)
        hub.south.ask("GET", f"{path}?profile=low", 404)
        refused = uploads.upload(b"nothing", filename="a.onnx", model=uploads.model("other"))
        hub.north.ask("GET", f"/api/edge/versions/{refused['id']}/fits?profile=low", 409)


def test_profiles_are_few_enough_and_short_enough_to_be_listed(hub, monkeypatch):
    made = hub.north.post(PATH, {"target": document()})
    long = document("long", notes=["It is told at length. " * 40] * 50)
    assert "32,768" in hub.north.ask("POST", PATH, 422, json={"target": long}).json()["detail"]
    hub.north.ask("PATCH", f"{PATH}/{made['id']}", 422, json={"target": long})
    monkeypatch.setattr(routes_profiles, "MOST", 1)
    hub.north.ask("POST", PATH, 409, json={"target": document("second")})
