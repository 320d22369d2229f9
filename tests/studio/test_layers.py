"""A version's layers in a real browser: measured when somebody asks, shown as they were measured, live."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgewright.hub.jobs.queue import claim, held, move
from edgewright.hub.jobs.results import settle_measured
from edgewright.hub.jobs.rules import Able
from edgewright.testing.beside import beside

expect = pytest.importorskip("playwright.sync_api").expect

HERE = Path(__file__).parent


EXPORTS, MODELLING = beside(HERE / "test_exports.py"), beside(HERE.parent / "hub" / "modelling.py")
MEASURED = {
    "operators": [
        {"name": "mix_fused", "op": "MatMul", "kernel": "CPU", "ms": 0.3, "share": 0.75, "layers": ["mix", "share"]},
        {"name": "ReorderOutput", "op": "ReorderOutput", "kernel": "CPU", "ms": 0.1, "share": 0.25, "layers": []},
    ],
    "sensitivity": [{"layer": "mix", "sqnr_db": 41.25}], "why": "", "timed_on": "dataset", "samples": 16,
    "engine": "onnxruntime", "threads": 1, "machine": {"cpu": "Cortex-A76", "libraries": {"onnxruntime": "1.2.3"}},
    "notes": [],
}  # fmt: skip


@pytest.fixture(scope="module")
def made(hub):
    """A model with two layers, and a dataset, of the tenant ``plant``."""
    api = EXPORTS.Api(hub, "plant")
    uploads = MODELLING.Uploads(SimpleNamespace(state=hub.state, north=api))
    version = uploads.version(MODELLING.onnx(), "layered")
    data = uploads.upload(MODELLING.npz(), filename="some.npz", dataset="some samples")
    yield SimpleNamespace(api=api, version=version, data=data)
    api.ask("DELETE", f"/api/edge/models/{version['model']}", 204)
    api.ask("DELETE", f"/api/edge/datasets/{data['id']}", 204)
    api.client.close()


def opened(visitor, made, more=""):
    page = visitor.open(f"/models?model={made.version['model']}{more}")
    page.get_by_text("Layers (2)").wait_for()
    return page.get_by_role("complementary", name="layered")


def taken(hub, how):
    """What a worker does with the next job."""
    tenant, job, number = claim(hub.state, "wrk_test", Able.of(["onnxruntime"]))
    if how == "done":
        assert settle_measured(hub.state, tenant, job, number, "wrk_test", MEASURED)
        return
    with hub.state.database.write(tenant) as session:
        move(session, held(session, job, number, "wrk_test"), "failed", hub.state.clock(), "the engine gave up")


def test_layers_are_measured_when_asked_and_the_page_follows(visit, hub, made):
    visitor = visit()
    panel, page = opened(visitor, made), visitor.page
    panel.get_by_text("is measured on a worker of this hub").wait_for()
    expect(panel.get_by_role("radio")).to_have_text(["MACs", "Weights"])
    panel.get_by_role("button", name="Measure the layers").focus()
    page.keyboard.press("Enter")
    window = page.get_by_role("dialog", name="Measure the layers")
    expect(window.get_by_label("Dataset")).to_have_value(made.data["id"])
    EXPORTS.settled(page)
    window.get_by_label("Seconds").press("Enter")
    window.wait_for(state="detached")
    panel.get_by_text("no worker is running").wait_for()
    expect(panel.get_by_role("button", name="Measure the layers")).to_be_disabled()
    panel.get_by_role("button", name="Stop").click()
    panel.get_by_role("status").get_by_text("stopped").wait_for()
    made.api.post(f"/api/edge/versions/{made.version['id']}/profile", {"dataset": made.data["id"]})
    panel.get_by_text("no worker is running").wait_for()
    taken(hub, "done")
    panel.get_by_text("Timed on").wait_for()
    expect(panel.get_by_role("status")).to_have_count(0)
    made.api.post(f"/api/edge/versions/{made.version['id']}/profile", {"dataset": None})
    taken(hub, "failed")
    panel.get_by_text("the engine gave up").wait_for()
    panel.get_by_text("What stands below was measured before.").wait_for()
    panel.get_by_role("row", name=re.compile("mix")).first.get_by_text("41.3").wait_for()


@pytest.mark.parametrize(("size", "dark"), [((1440, 900), False), ((390, 844), True)], ids=["wide", "phone, dark"])
def test_layers_that_run_as_one_share_one_time(visit, hub, made, size, dark):
    at = f"/api/edge/versions/{made.version['id']}/profile"
    made.api.post(at, {"dataset": made.data["id"]})
    taken(hub, "done")
    visitor = visit(size=size, dark=dark)
    panel, page = opened(visitor, made), visitor.page
    table = panel.get_by_role("table", name="Layers")
    lead, inside = table.get_by_role("row").nth(1), table.get_by_role("row").nth(2)
    expect(lead).to_contain_text("0.3000")
    expect(lead).to_contain_text("75.0%")
    expect(lead).to_contain_text("41.3")
    expect(inside).to_contain_text("runs inside mix")
    expect(inside).not_to_contain_text("%")
    expect(panel).to_contain_text("The engine added ReorderOutput: 0.1 ms, 25.0% of the time.")
    expect(panel).to_contain_text("(Cortex-A76) with onnxruntime 1.2.3, one thread, on samples of some samples")
    expect(panel.get_by_role("radio", name="Time")).to_be_checked()
    EXPORTS.settled(page)
    panel.get_by_role("radio", name="Sensitivity").focus()
    page.keyboard.press("Space")
    page.wait_for_url("**heat=sensitivity**")
    panel.get_by_role("button", name="Most first").click()
    expect(panel.get_by_role("columnheader", name="INT8, dB")).to_have_attribute("aria-sort", "ascending")
    EXPORTS.settled(page)
    wide = panel.evaluate("e => e.scrollWidth - e.clientWidth")
    assert wide <= 0, f"the panel is {wide} pixels too wide"
    page.reload()
    expect(panel.get_by_role("radio", name="Sensitivity")).to_be_checked()
