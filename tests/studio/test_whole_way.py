"""The whole way in a browser, against programs: a model and its data are uploaded, optimized, stopped with the best
kept, kept as a version, compared, released, and run on a device that said so."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgewright.testing.site import Site

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
LONG_MS = 180_000


@pytest.fixture
def hub(build, tmp_path):
    """A hub with a worker beside it, and a device of its own that is enrolled and waits."""
    with Site(tmp_path / "site", options=("--jobs", "1")) as site:
        site.enrol("press-1", "line")
        with site.api() as api:
            api.patch("/devices/press-1", {"collect": {"period_s": 2.0}})
        site.start("press-1")
        yield SimpleNamespace(url=f"http://{site.people}", site=site, once={})


def upload(page, path, kind):
    page.goto(f"/edge-ai/models?{'tab=datasets&' if kind == 'dataset' else ''}upload={kind}")
    page.set_input_files("dialog input[type=file]", path)
    page.locator("dialog").get_by_role("button", name="Upload").click()
    page.locator("dialog").wait_for(state="detached")


def test_from_an_upload_to_a_device(hub, visit):
    visitor = visit(tenant="line")
    page = visitor.open("/models")
    page.set_default_timeout(LONG_MS)
    upload(page, DIGITS / "digits.onnx", "model")
    upload(page, DIGITS / "digits.npz", "dataset")
    hub.site.wait(lambda api: api.get("/datasets")["items"][0]["state"] == "ready")
    hub.site.wait(lambda api: api.get("/models")["items"][0]["newest"]["state"] == "ready")

    page.goto("/edge-ai/accelerator-studio")
    page.get_by_label("Time budget").fill("600")
    page.get_by_role("button", name="Optimize").click()
    keep = page.get_by_role("button", name="Stop and keep the best")
    keep.wait_for()
    # Candidates appear while it searches, before anybody asks for the page anew.
    page.get_by_text(re.compile(r"^[3-9] candidates measured|^[1-9]\d+ candidates measured")).wait_for()
    keep.click()
    over = hub.site.wait(lambda api: (job := api.get("/optimization-jobs")["items"][0])["ended"] and job, 180.0)
    assert over["state"] == "done", over
    page.get_by_role("button", name="Release it").wait_for()

    page.get_by_role("button", name="Keep as a version").click()
    page.wait_for_url(re.compile(r"/models\?model=mod_\w+&version=ver_\w+"))
    kept, first = hub.site.wait(ready_versions)
    assert kept["stage"] == "optimized" and kept["parent"] == first["id"]
    page.get_by_text("As its search found, held against the original, for the worker's machine").wait_for()
    for number in (1, 2):
        page.get_by_role("checkbox", name=f"Compare Version {number}").check()
    page.get_by_role("columnheader", name="Version 2").wait_for()
    assert page.get_by_role("row", name=re.compile("^File 238 kB")).count() == 1, "what was uploaded, and its size"

    page.goto("/edge-ai/accelerator-studio")
    page.get_by_role("button", name="Release it").click()
    dialog = page.locator("dialog")
    dialog.get_by_label("Group").select_option("line")
    dialog.get_by_label("Waves end at").fill("100")
    dialog.get_by_label(re.compile("Each soaks for")).fill("0.05")
    dialog.get_by_role("button", name="Release to wave 1").click()
    page.wait_for_url(re.compile(r"/fleet\?.*rollout=rol_\w+"))
    rollout = re.search(r"rollout=(rol_\w+)", page.url)[1]
    done = hub.site.wait(
        lambda api: (r := api.get(f"/rollouts/{rollout}"))["state"] in ("completed", "halted", "paused") and r, 180.0
    )
    assert done["state"] == "completed", done
    page.locator("option", has_text="completed").wait_for(state="attached")  # the page says so by itself
    with hub.site.api() as api:
        assert api.get("/devices/press-1")["current"] in done["bundles"]


def ready_versions(api):
    (model,) = api.get("/models")["items"]
    found = api.get(f"/models/{model['id']}/versions")["items"]
    return found if all(one["state"] == "ready" for one in found) else None
