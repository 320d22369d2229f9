"""Benchmarks: asked for by people, measured by workers and devices, told side by side."""

import pytest

from edgewright.core.messages import Benched, BenchmarkResult, render
from edgewright.core.messages.benchmarks import Figure
from edgewright.hub.fleet.tables import Device

PATH = "/api/edge/benchmarks"


def found(number, bundle, value=0.5):
    """What a device would have measured."""
    figure = Figure(value, "ms", n=900, low=value - 0.01, high=value + 0.01)
    one = Benched(bundle.digest, "onnxruntime", {"latency_ms": figure}, {}, (1.0, 1.0, 1.0), (0.4, value, 0.9), 40)
    return render(BenchmarkResult(number, (one,), {"cpu": "Cortex-A76"}))


def on_devices(fleet, bundle, *names, status=201, **more):
    body = {"subjects": [bundle.digest], "hub": False, "devices": list(names), "seconds": 2.0, **more}
    return fleet.north.post(PATH, body, status)


def places(told):
    return [(one["name"], one["state"]) for one in told["places"]]


def test_devices_measure_what_they_are_asked_once_and_side_by_side(fleet, bundle, release):
    release(bundle)
    one, two = fleet.device("press-1", group="line"), fleet.device("press-2", group="line")
    for device in (one, two):
        device.sync()
    one.send_sync(60)
    made = on_devices(fleet, bundle, group="line", name="before the release")
    assert made["state"] == "running" and places(made) == [("press-1", "asked"), ("press-2", "asked")]
    status, told = one.synced()
    asked = told["collect"]["benchmark"]
    assert status == 200 and asked["bundles"] == [bundle.digest] and asked["seconds"] == 2.0
    assert one.status("PUT", f"uploads/benchmark/{asked['number'] + 1}", found(9, bundle)) == 404
    assert one.status("PUT", f"uploads/benchmark/{asked['number']}", b'{"number": 1, "subjects": 7}') == 422
    assert one.status("PUT", f"uploads/benchmark/{asked['number']}", found(asked["number"], bundle)) == 204
    assert one.status("PUT", f"uploads/benchmark/{asked['number']}", found(asked["number"], bundle, 9.0)) == 204
    told = fleet.north.get(f"{PATH}/{made['id']}")
    assert places(told) == [("press-1", "done"), ("press-2", "asked")] and told["state"] == "running"
    (subject,) = told["places"][0]["result"]["subjects"]
    assert subject["metrics"]["latency_ms"]["value"] == 0.5, "the first answer counts"
    assert told["places"][0]["result"]["machine"] == {"cpu": "Cortex-A76"}
    status, told = one.sync(wait=60)
    assert status == 200 and told["collect"]["benchmark"] is None, "it is over for this device"
    number = two.sync()[1]["collect"]["benchmark"]["number"]
    why = render(BenchmarkResult(number, why="none of them could be measured"))
    assert two.status("PUT", f"uploads/benchmark/{number}", why) == 204
    told = fleet.north.get(f"{PATH}/{made['id']}")
    assert told["state"] == "done" and told["places"][1]["reason"] == "none of them could be measured"
    events = [one["data"] for one in fleet.north.get(f"/api/edge/events?after=0&of={made['id']}")["items"]]
    assert [(one["device"], one["state"]) for one in events] == [("press-1", "done"), ("press-2", "failed")]
    assert fleet.audit("benchmark.made")[0]["detail"]["devices"] == ["press-1", "press-2"]


def test_a_device_is_at_one_after_the_other(fleet, bundle, release):
    release(bundle)
    device = fleet.device("press-1")
    first, second = (on_devices(fleet, bundle, "press-1") for _ in range(2))
    assert places(second) == [("press-1", "waiting")] and "before it" in second["places"][0]["reason"]
    asked = device.sync(wait=60)[1]["collect"]["benchmark"]["number"]
    assert device.status("PUT", f"uploads/benchmark/{asked}", found(asked, bundle)) == 204
    after = device.sync(wait=60)[1]["collect"]["benchmark"]["number"]
    assert after > asked
    assert fleet.north.get(f"{PATH}/{first['id']}")["state"] == "done"
    told = fleet.north.post(f"{PATH}/{second['id']}/cancel", {}, 200)
    assert told["state"] == "cancelled" and device.sync(wait=60)[1]["collect"]["benchmark"] is None
    assert device.status("PUT", f"uploads/benchmark/{after}", found(after, bundle)) == 204, "it came too late"
    assert fleet.north.get(f"{PATH}/{second['id']}")["places"][0]["result"] is None
    fleet.north.post(f"{PATH}/{second['id']}/cancel", {}, 409)


def test_devices_run_what_was_signed_for_them_alone(fleet, bundle, uploads):
    fleet.device("press-1")
    assert "never released" in on_devices(fleet, bundle, "press-1", status=409)["detail"]
    version = uploads.version()
    body = {"subjects": [version["id"]], "hub": False, "devices": ["press-1"]}
    assert "ask the hub alone" in fleet.north.post(PATH, body, 409)["detail"]
    with fleet.state.database.read(fleet.tenant) as session:
        assert "benchmark" not in session.find(Device, "press-1").collect


def test_a_device_that_is_revoked_measures_nothing(fleet, bundle, release):
    release(bundle)
    fleet.device("press-1")
    made = on_devices(fleet, bundle, "press-1")
    fleet.north.post("/api/edge/devices/press-1/revoke", {}, 200)
    told = fleet.north.get(f"{PATH}/{made['id']}")
    assert told["state"] == "failed" and told["places"][0]["reason"] == "the device was revoked"
    assert "revoked" in on_devices(fleet, bundle, "press-1", status=409)["detail"]


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ({"hub": False}, 422, "nowhere"), ({"subjects": []}, 422, ""), ({"subjects": ["x"]}, 422, ""),
        ({"subjects": ["0" * 64]}, 404, ""), ({"subjects": ["ver_" + "0" * 26]}, 404, ""),
        ({"seconds": 0.5}, 422, ""), ({"seconds": 1e9}, 422, ""), ({"group": "no-such"}, 422, "no device in the group"),
        ({"devices": ["no-such"]}, 404, ""), ({"subjects": [f"{n:064}" for n in range(9)]}, 422, ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_what_cannot_be_measured_is_refused(hub, bundle, release, body, status, why):
    release(bundle)
    told = hub.north.post(PATH, {"subjects": [bundle.digest], **body}, status)
    assert why in told["detail"] and not hub.north.get(PATH)["items"]


def test_a_plan_limits_the_benchmarks_of_a_day(hub, bundle, clock):
    from edgewright.hub.plans import set_plan

    set_plan(hub.state, "north", "benchmarks_a_day=1")
    body = {"subjects": [bundle.digest]}
    made = hub.north.post(PATH, body)
    assert "benchmarks a day" in hub.north.post(PATH, body, 429)["detail"]
    hub.north.post(f"{PATH}/{made['id']}/cancel", {}, 200)
    hub.north.ask("DELETE", f"{PATH}/{made['id']}", 204)
    hub.north.post(PATH, body, 429)
    clock.go_on(days=1)
    hub.log_in_again("north").post(PATH, body)


def test_who_may_not_measure_may_look(hub, bundle):
    made = hub.north.post(PATH, {"subjects": [bundle.digest]})
    viewer = hub.user("someone", "viewer")
    assert viewer.get(f"{PATH}/{made['id']}")["state"] == "running"
    viewer.post(PATH, {"subjects": [bundle.digest]}, 403)
    for action in ("cancel",):
        viewer.post(f"{PATH}/{made['id']}/{action}", {}, 403)
    hub.north.ask("DELETE", f"{PATH}/{made['id']}", 409)
    hub.north.post(f"{PATH}/{made['id']}/cancel", {}, 200)
    hub.north.ask("DELETE", f"{PATH}/{made['id']}", 204)
    hub.north.get(f"{PATH}/{made['id']}", 404)
    assert hub.north.get(PATH)["items"] == []


def test_a_worker_measures_versions_and_bundles_side_by_side(jobs, bundle, make, library, uploads, until):
    jobs.state._parts.pop("jobs.inputs")  # what people uploaded, as in a hub that serves
    other = make("2.0.0", seed=3)
    library.upload(other)
    version = uploads.version()
    body = {"subjects": [version["id"], bundle.digest, other.digest], "seconds": 2.0, "name": "three of them"}
    made = jobs.north.post(PATH, body)
    assert "no worker is running" in made["places"][0]["reason"]
    assert jobs.north.get("/api/edge/optimization-jobs")["items"] == [], "it is none"
    worker = jobs.worker(EDGEWRIGHT_TEST_REAL="1")

    def over():
        told = jobs.north.get(f"{PATH}/{made['id']}")
        return told if told["state"] != "running" else None

    told = until(over, worker.log.read_text())
    (place,) = told["places"]
    assert told["state"] == "done" and place["state"] == "done" and place["name"], place
    assert [one["name"] for one in told["subjects"]] == ["digits v1", "classifier 1.0.0", "classifier 2.0.0"]
    first, second, third = place["result"]["subjects"]
    assert [one["subject"] for one in (first, second, third)] == body["subjects"]
    assert first["ratio"] == [1.0, 1.0, 1.0]
    for one in (first, second, third):
        assert not one["why"] and one["metrics"]["latency_ms"]["kind"] == "measured" and one["distribution_ms"]
        assert one["metrics"]["size_bytes"]["value"] > 0 and one["metrics"]["ram_bytes"]["value"] > 0
    kinds = {one["kind"] for one in jobs.north.get(f"/api/edge/events?after=0&of={made['id']}")["items"]}
    assert kinds == {"benchmark.state"}
    jobs.north.ask("DELETE", f"{PATH}/{made['id']}", 204)


def test_a_worker_tells_which_could_not_be_measured(jobs, bundle, make, library, until):
    jobs.state._parts.pop("jobs.inputs")
    wider = make("3.0.0", width=6)
    library.upload(wider)
    made = jobs.north.post(PATH, {"subjects": [bundle.digest, wider.digest], "seconds": 1.0})
    worker = jobs.worker(EDGEWRIGHT_TEST_REAL="1")

    def over():
        told = jobs.north.get(f"{PATH}/{made['id']}")
        return told if told["state"] != "running" else None

    (place,) = until(over, worker.log.read_text())["places"]
    sound, other = place["result"]["subjects"]
    assert sound["metrics"] and not other["metrics"].get("latency_ms") and "x" in other["why"]


def test_a_model_whose_inputs_cannot_be_made_up_says_what_to_do(jobs, uploads, until):
    from onnx import TensorProto, helper

    jobs.state._parts.pop("jobs.inputs")
    words = [helper.make_tensor_value_info(name, TensorProto.STRING, ["n"]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("StringNormalizer", ["x"], ["y"])], "words", words[:1], words[1:])
    version = uploads.version(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    made = jobs.north.post(PATH, {"subjects": [version["id"]], "seconds": 1.0})
    worker = jobs.worker(EDGEWRIGHT_TEST_REAL="1")

    def over():
        told = jobs.north.get(f"{PATH}/{made['id']}")
        return told if told["state"] != "running" else None

    (place,) = until(over, worker.log.read_text())["places"]
    assert place["state"] == "failed" and "measure a bundle of it" in place["reason"]
    assert "retry" not in place["reason"] and "measure again" in place["reason"]
