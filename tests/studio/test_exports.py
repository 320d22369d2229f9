"""Exports and the device analyzer in a real browser: with a real bundle, and a model that fits on some devices."""

import io
import re
import zipfile
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest

from edgewright.hub import models
from edgewright.hub.models.checking import checker
from edgewright.testing.beside import beside

expect = pytest.importorskip("playwright.sync_api").expect

AXE = Path(__file__).parents[2] / "studio" / "node_modules" / "axe-core" / "axe.min.js"
HUB = Path(__file__).parents[1] / "hub"


class Api:
    """The owner of a tenant, as the helpers of the hub's tests have them."""

    def __init__(self, hub, tenant, password="four unrelated words here"):
        self.client = httpx2.Client(base_url=hub.url, timeout=60)
        body = {"tenant": tenant, "name": "owner", "password": password}
        session = self.client.post("/api/edge/login", json=body).json()["session"]
        self.client.headers["Authorization"] = f"Bearer {session}"

    def ask(self, method, path, status, **options):
        answer = self.client.request(method, path, **options)
        assert answer.status_code == status, answer.text
        return answer

    def get(self, path):
        return self.ask("GET", path, 200).json()

    def post(self, path, json):
        return self.ask("POST", path, 201, json=json).json()


@pytest.fixture(scope="module")
def made(hub):
    """A bundle and two models of the tenant ``plant``."""
    api = Api(hub, "plant")
    bundle = beside(HUB / "library" / "conftest.py").packed()
    signer = bundle.key.public.raw.hex()
    api.ask("POST", f"/api/edge/bundles?signer={signer}", 201, content=bundle.data)
    modelling = beside(HUB / "modelling.py")
    uploads = modelling.Uploads(SimpleNamespace(state=hub.state, north=api))
    small = uploads.version(modelling.onnx(), "small")
    large = uploads.version(modelling.onnx(width=600_000), "large")
    yield SimpleNamespace(bundle=bundle, small=small, large=large)
    for one in api.get("/api/edge/models")["items"]:
        api.ask("DELETE", f"/api/edge/models/{one['id']}", 204)
    api.ask("DELETE", f"/api/edge/bundles/{bundle.digest}", 204)
    models.resume(hub.state, hub.state.clock())
    checker(hub.state).wait()
    api.client.close()


def settled(page):
    expect(page.locator("main [role=status][aria-label=Loading]")).to_have_count(0, timeout=60_000)
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    grave = [one for one in found if one["impact"] in ("serious", "critical")]
    assert [(one["id"], [node["target"] for node in one["nodes"][:3]]) for one in grave] == []
    wide = page.evaluate("document.querySelector('main').scrollWidth - document.querySelector('main').clientWidth")
    assert wide <= 0
    assert page.evaluate("document.documentElement.scrollHeight - innerHeight") <= 0
    return page


@pytest.mark.parametrize(("size", "dark"), [((1440, 900), False), ((390, 844), True)], ids=["wide", "phone, dark"])
def test_both_pages_are_open_to_all(visit, made, size, dark):
    visitor = visit(size=size, dark=dark)
    for path in (
        "/sdk-export",
        "/sdk-export?kind=ios",
        "/device-analyzer",
        "/device-analyzer?tab=profiles&profile=low",
    ):
        settled(visitor.open(path))


def test_a_client_is_built_downloaded_and_handed_on(visit, made, hub):
    page = visit().open("/sdk-export")
    row = page.get_by_role("listitem").filter(has=page.get_by_role("button", name="Build python", exact=True))
    row.get_by_role("button", name="Build python", exact=True).click()
    file = "classifier-1.0.0-python.zip"
    with page.expect_download() as coming:
        page.get_by_role("list").get_by_role("link", name=f"Download {file}").click()
    with zipfile.ZipFile(coming.value.path()) as opened:
        assert "README.md" in opened.namelist()
    page.get_by_role("button", name=re.compile("^python")).first.click()
    panel = page.get_by_role("complementary")
    expect(panel.get_by_text(f"--kind python --key signer.pub -o {file}")).to_be_visible()
    panel.get_by_role("button", name="Make a link for 24 hours").click()
    url = panel.get_by_label("Hand it to somebody").inner_text()
    assert zipfile.ZipFile(io.BytesIO(httpx2.get(url).content)).testzip() is None
    assert page.url.endswith("?kind=python")
    page.reload()
    expect(page.get_by_role("region", name="Made before").get_by_role("link", name=file)).to_be_visible()
    page.get_by_role("complementary").get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("button", name="Build python", exact=True).first).to_be_visible()


def test_a_build_that_fails_late_moves_nobody(visit, made):
    page, held = visit().open("/sdk-export"), []
    page.route(
        "**/api/edge/artifacts",
        lambda route: held.append(route) if route.request.method == "POST" else route.continue_(),
    )
    page.get_by_role("button", name="Build python", exact=True).first.click()
    page.get_by_role("link", name="Fleet").click()
    page.get_by_role("application").wait_for()
    with page.expect_response("**/api/edge/artifacts"):
        held[0].fulfill(status=500)
    page.wait_for_timeout(500)
    assert page.url.endswith("/edge-ai/fleet")


def test_the_signers_key_is_the_one_that_verifies_it(visit, made):
    page = visit().open("/sdk-export")
    with page.expect_download() as coming:
        page.get_by_role("button", name="Save the signer's key").click()
    assert Path(coming.value.path()).read_text() == made.bundle.key.public.text()


def test_what_was_never_run_says_so(visit, made):
    page = visit().open("/sdk-export?kind=ios")
    row = page.get_by_role("listitem").filter(has=page.get_by_role("button", name=re.compile("^ios")))
    expect(row.get_by_text("not verified here")).to_be_visible()
    expect(page.get_by_role("complementary").get_by_text("nothing was compiled or run")).to_be_visible()


def test_a_cell_says_why_not_and_what_would_help_and_leads_on(visit, made):
    page = visit().open("/device-analyzer")
    expect(page.get_by_role("button", name="small, low: fits")).to_be_visible()
    page.get_by_role("button", name=re.compile("^large, stm32h7: does not fit")).click()
    panel = page.get_by_role("complementary")
    expect(panel.get_by_role("heading", name="Why it does not fit")).to_be_visible()
    expect(panel.get_by_role("heading", name="What would help")).to_be_visible()
    expect(panel.get_by_text("predicted").first).to_be_visible()
    assert f"version={made.large['id']}" in page.url and "profile=stm32h7" in page.url
    panel.get_by_role("link", name="Optimize for this device").click()
    page.wait_for_url("**/accelerator-studio?**")
    expect(page.get_by_label("Model", exact=True)).to_have_value(made.large["id"])
    expect(page.get_by_label("Device", exact=True)).to_have_value("stm32h7")


def test_a_profile_is_added_of_a_file_found_in_the_matrix_and_removed(visit, made):
    from edgewright.targets import target
    from edgewright.targets.toml import dump

    page = visit().open("/device-analyzer")
    page.get_by_role("button", name="Add a profile").click()
    window = page.get_by_role("dialog")
    window.get_by_label("Or paste it").fill("no toml")
    window.get_by_role("button", name="Add the profile").click()
    expect(window.get_by_role("alert")).to_contain_text("not a TOML document")
    window.get_by_label("Or paste it").fill(dump(target("intel-n100")).replace('"intel-n100"', '"gateway"', 1))
    window.get_by_role("button", name="Add the profile").click()
    panel = page.get_by_role("complementary")
    expect(panel.get_by_text("Intel ARK, Intel Processor N100", exact=True).first).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^small, gateway: fits"))).to_be_visible()
    panel.get_by_role("button", name="Remove the profile").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove the profile").click()
    expect(page.get_by_role("button", name=re.compile("^small, gateway"))).to_have_count(0)


def test_without_a_bundle_or_a_model_the_pages_teach(visit):
    page = visit("empty").open("/sdk-export")
    page.get_by_role("link", name="Start an optimization").wait_for()
    visit("empty").open("/device-analyzer").get_by_role("link", name="Upload a model").wait_for()
