"""Benchmarks in a real browser: asked for, followed, and seen side by side, with real bundles and a model."""

import re
from pathlib import Path
from types import SimpleNamespace

import httpx2
import numpy as np
import pytest

from edgewright.core.messages import Benched, BenchmarkResult
from edgewright.core.messages.benchmarks import Figure
from edgewright.hub import models
from edgewright.hub.accounts.signin import set_password
from edgewright.hub.accounts.tables import User
from edgewright.hub.benchmarks.tables import Benchmark
from edgewright.hub.fleet import benchmarks as fleet
from edgewright.hub.fleet.tables import DeviceBenchmark
from edgewright.hub.ids import new_id
from edgewright.hub.jobs.tables import Job
from edgewright.hub.library.tables import Bundle
from edgewright.hub.models.checking import checker
from edgewright.testing.beside import beside

expect = pytest.importorskip("playwright.sync_api").expect

AXE = Path(__file__).parents[2] / "studio" / "node_modules" / "axe-core" / "axe.min.js"
HUB = Path(__file__).parents[1] / "hub"
PATH = "/api/edge/benchmarks"
MACHINE = {"cpu": "Cortex-A76", "cores": 4, "logical_cpus": 4, "isa": ["neon"], "load_average": [0.4, 0.3, 0.3]}


class Api:
    """The owner of the tenant ``plant``."""

    def __init__(self, hub):
        self.hub, self.tenant = hub, hub.tenants["plant"]
        self.client = httpx2.Client(base_url=hub.url, timeout=60)
        body = {"tenant": "plant", "name": "owner", "password": "four unrelated words here"}
        session = self.client.post("/api/edge/login", json=body).json()["session"]
        self.client.headers["Authorization"] = f"Bearer {session}"

    def ask(self, method, path, status, **options):
        answer = self.client.request(method, path, **options)
        assert answer.status_code == status, answer.text
        return answer

    def get(self, path):
        return self.ask("GET", path, 200).json()

    def post(self, path, json, status=201):
        return self.ask("POST", path, status, json=json).json()

    def write(self):
        return self.hub.state.database.write(self.tenant)

    def answer(self, benchmark, device, result):
        """As the listener does when a device has measured."""
        with self.write() as session:
            row = session.query(DeviceBenchmark).filter_by(benchmark=benchmark, device=device).one()
            fleet.take(session, device, row.number, result, self.hub.state.clock())

    def work(self, benchmark, result):
        """As a worker does when it is done."""
        with self.write() as session:
            job = session.find(Job, session.find(Benchmark, benchmark).job)
            job.state, job.result, job.progress = "done", result.to_json(), {"host": "bench-2"}


def benched(subject, ratio, ms=0.3, energy="measured", seed=0, width=0.01):
    """What a place measures of one subject: most runs alike, a few of them slow; ``ratio`` to the first."""
    random = np.random.default_rng(seed)
    slow = random.random(4000) < 0.05
    runs = np.sort(ms * ratio * (1 + 0.02 * np.abs(random.standard_normal(4000))) * np.where(slow, 6.0, 1.0))
    quantiles = tuple(float(one) for one in np.quantile(runs, np.linspace(0, 1, 101)))

    def figure(value, unit="ms", kind="measured", n=4000, spread=0.02):
        return Figure(float(value), unit, kind, n, float(value) * (1 - spread), float(value) * (1 + spread))

    figures = {
        "latency_ms": figure(quantiles[50]), "latency_p95_ms": figure(quantiles[95]),
        "latency_p99_ms": figure(quantiles[99]), "throughput_per_s": figure(1000 / quantiles[50], "1/s"),
        "cold_start_ms": figure(12.0, n=3), "ram_bytes": figure(11.4e6, "B"), "size_bytes": figure(90_000 * ratio, "B"),
        "energy_mj": figure(2.0 * ratio, "mJ", energy),
    }  # fmt: skip
    paired = (1.0, 1.0, 1.0) if ratio == 1.0 else (ratio, ratio * (1 - width), ratio * (1 + width))
    notes = ("102 of 103 rounds were interrupted",)
    missing = {"latency_sustained_ms": "it was not asked for"}
    return Benched(subject, "onnxruntime", figures, missing, paired, quantiles, 412, notes)


def told(*subjects, **machine):
    return BenchmarkResult(0, subjects, MACHINE | machine)


@pytest.fixture(scope="module")
def made(hub):
    """Two bundles, of which one was released, and a model of the tenant ``plant``."""
    api, packed = Api(hub), beside(HUB / "library" / "conftest.py").packed
    first, second = packed("7.0.0"), packed("7.1.0", seed=3)
    for bundle in (first, second):
        signer = bundle.key.public.raw.hex()
        api.ask("POST", f"/api/edge/bundles?signer={signer}", 201, content=bundle.data)
    with api.write() as session:
        session.find(Bundle, first.digest).released = True
    modelling = beside(HUB / "modelling.py")
    version = modelling.Uploads(SimpleNamespace(state=hub.state, north=api)).version(name="digits")
    yield SimpleNamespace(api=api, first=first, second=second, version=version)
    for one in api.get(f"{PATH}?limit=200")["items"]:
        if one["state"] == "running":
            api.post(f"{PATH}/{one['id']}/cancel", {}, 200)
        api.ask("DELETE", f"{PATH}/{one['id']}", 204)
    for one in api.get("/api/edge/models")["items"]:
        api.ask("DELETE", f"/api/edge/models/{one['id']}", 204)
    for bundle in (first, second):
        with api.write() as session:
            session.find(Bundle, bundle.digest).released = False
        api.ask("DELETE", f"/api/edge/bundles/{bundle.digest}", 204)
    models.resume(hub.state, hub.state.clock())
    checker(hub.state).wait()
    api.client.close()


@pytest.fixture(scope="module")
def finished(made):
    """A benchmark of two bundles on the hub and two devices: once faster, once no difference, once slower."""
    api, one, two = made.api, made.first.digest, made.second.digest
    with api.write() as session:
        session.find(Bundle, two).released = True
    body = {"subjects": [one, two], "devices": ["press-01", "press-02"], "seconds": 20, "name": "before the release"}
    id_ = api.post(PATH, body)["id"]
    with api.write() as session:
        session.find(Bundle, two).released = False
    api.work(id_, told(benched(one, 1.0), benched(two, 0.334, seed=1)))
    mixed = told(benched(one, 1.0, energy="estimated"), benched(two, 0.995, seed=1, width=0.03), load_average=[9.0])
    api.answer(id_, "press-01", mixed)
    lame = Benched(one, why="it is not in a slot of this device")
    api.answer(id_, "press-02", told(lame, benched(two, 1.0)))
    return id_


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


@pytest.mark.parametrize(
    ("size", "dark"), [((1440, 900), False), ((1024, 768), True), ((390, 844), True)], ids=["wide", "narrow", "phone"]
)
def test_the_pages_are_open_to_all(visit, made, finished, size, dark):
    visitor = visit(size=size, dark=dark)
    asked = f"subject={made.first.digest}&subject={made.version['id']}&device=press-03&device=no-such"
    for path in (
        "",
        f"/{finished}",
        f"/{finished}?place=device:press-01&axis=linear&scale=same",
        "?new=1",
        f"?new=1&{asked}",
        "/bmk_00000000000000000000000000",
    ):
        settled(visitor.open(f"/benchmarks{path}"))


def test_an_empty_history_teaches_and_leads_to_the_form(visit):
    page = visit("empty").open("/benchmarks")
    page.get_by_role("heading", name="Nothing was measured yet").wait_for()
    page.locator("main").get_by_role("link", name="New benchmark").first.click()
    page.get_by_text("There is nothing to measure yet").wait_for()
    expect(page.get_by_role("button", name="Measure")).to_be_disabled()
    expect(page.get_by_role("region", name="Before it can start")).to_contain_text("Choose what is to be measured")


def test_what_cannot_run_is_told_before_it_is_sent(visit, made):
    page = visit().open(f"/benchmarks?new=1&subject={made.version['id']}&device=press-05")
    why = page.get_by_role("region", name="Before it can start")
    expect(why).to_contain_text("digits v1 is a model as it was uploaded, and devices run bundles")
    expect(page.get_by_role("button", name="Measure")).to_be_disabled()
    page.get_by_role("button", name="Take digits v1 out").click()
    page.get_by_role("checkbox", name=re.compile("^classifier 7.1.0")).check()
    expect(why).to_contain_text("classifier 7.1.0 was never released")
    page.get_by_role("button", name="Leave press-05 out").click()
    expect(why).to_have_count(0)
    page.get_by_role("checkbox", name="A worker of the hub").uncheck()
    expect(why).to_contain_text("Choose where it is to be measured")


def test_by_keyboard_alone_it_is_asked_for_stopped_and_removed(visit, made):
    page = visit().open("/benchmarks")
    page.locator("main").get_by_role("link", name="New benchmark").first.focus()
    page.keyboard.press("Enter")
    page.get_by_role("searchbox", name="Search models and bundles").focus()
    page.keyboard.type("7.0")
    page.get_by_role("checkbox", name=re.compile("^classifier 7.1.0")).wait_for(state="detached")
    page.get_by_role("checkbox", name=re.compile("^classifier 7.0.0")).focus()
    page.keyboard.press("Space")
    page.get_by_role("searchbox", name="Search models and bundles").fill("digits")
    page.get_by_role("checkbox", name=re.compile("^digits v1")).focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Make digits v1 the baseline").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Name", exact=True).fill("by keyboard")
    page.get_by_label("Name", exact=True).press("Enter")
    page.get_by_role("heading", name="by keyboard").wait_for()
    assert re.search(r"/benchmarks/bmk_[0-9a-z]{26}$", page.url)
    place = page.get_by_role("region", name="Worker of the hub")
    expect(place).to_contain_text("queued")
    expect(place).to_contain_text("No worker is running")
    id_ = page.url.rpartition("/")[2]
    assert made.api.get(f"{PATH}/{id_}")["subjects"][0]["name"] == "digits v1"
    page.get_by_role("button", name="Stop it").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop it").click()
    expect(place).to_contain_text("cancelled")
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("dialog")).to_contain_text("by keyboard")
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    page.get_by_role("heading", name="Benchmarks", exact=True).wait_for()
    expect(page.get_by_role("link", name="by keyboard")).to_have_count(0)
    made.api.ask("GET", f"{PATH}/{id_}", 404)


def test_what_the_hub_refuses_is_told_and_the_form_stays(visit, made, hub):
    from edgewright.hub.plans import set_plan

    page = visit().open(f"/benchmarks?new=1&subject={made.version['id']}&name=one+too+many")
    expect(page.get_by_role("button", name="Measure")).to_be_enabled()
    set_plan(hub.state, "plant", "benchmarks_a_day=0")
    page.get_by_role("button", name="Measure").click()
    expect(page.get_by_role("alert")).to_contain_text("benchmarks a day")
    expect(page.get_by_label("Name", exact=True)).to_have_value("one too many")
    set_plan(hub.state, "plant", "unlimited")
    page.get_by_role("button", name="Measure").click()
    page.get_by_role("heading", name="one too many").wait_for()


def test_a_finished_one_says_where_it_is_faster_and_where_nothing_can_be_told(visit, finished):
    page = visit().open("/benchmarks")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="before the release"))
    expect(row).to_contain_text("Hub and 2 devices")
    row.get_by_role("link").click()
    page.wait_for_url(f"**/benchmarks/{finished}")
    short = page.get_by_role("region", name="In short")
    expect(short).to_contain_text("faster at the hub; no difference can be told at press-01")
    expect(short).to_contain_text("Ratios hold within a place")
    hub = page.get_by_role("region", name="Worker of the hub (bench-2)")
    expect(hub.get_by_role("table", name="Worker of the hub (bench-2)").get_by_role("row")).to_have_count(3)
    expect(hub.get_by_text("2.99× as fast as A")).to_be_visible()
    expect(hub.get_by_text("[2.96×, 3.02×]")).to_be_visible()
    hub.locator("canvas").hover()
    expect(hub.get_by_text("of runs took at most")).to_be_visible()
    hub.get_by_text("The distribution as a table").click()
    expect(hub.get_by_role("rowheader", name="slowest")).to_be_visible()
    expect(hub.get_by_text("102 of 103 rounds were interrupted")).to_be_visible()
    expect(hub.get_by_text("it was not asked for")).to_be_visible()
    expect(hub.get_by_text("Cortex-A76", exact=True)).to_be_visible()
    one = page.get_by_role("region", name="press-01")
    expect(one.get_by_text("no difference from A can be told")).to_be_visible()
    expect(one.get_by_text("busy: load 9 on 4 CPUs")).to_be_visible()
    one.get_by_role("button", name="Details of press-01").click()
    assert page.url.endswith("?place=device%3Apress-01")
    energy = one.get_by_role("row").filter(has=page.get_by_role("rowheader", name=re.compile("^Energy per call")))
    expect(energy).to_contain_text("measured and estimated figures are not compared")
    expect(energy.get_by_role("cell")).to_have_text([re.compile("mJ estimated"), re.compile("mJ measured")])
    two = page.get_by_role("region", name="press-02")
    expect(two.get_by_text("it is not in a slot of this device")).to_be_visible()
    expect(two.get_by_text("so the others are compared with classifier 7.1.0")).to_be_visible()


def test_what_a_device_answers_appears_by_itself(visit, made):
    body = {"subjects": [made.first.digest], "hub": False, "devices": ["press-10", "press-11"]}
    id_ = made.api.post(PATH, body)["id"]
    page = visit().open(f"/benchmarks/{id_}")
    expect(page.get_by_text("0 of 2 places")).to_be_visible()
    made.api.answer(id_, "press-11", told(benched(made.first.digest, 1.0)))
    expect(page.get_by_text("1 of 2 places")).to_be_visible()
    expect(page.get_by_role("region", name="press-11").get_by_text("done")).to_be_visible()
    made.api.answer(id_, "press-10", BenchmarkResult(0, why="none of them could be measured"))
    expect(page.get_by_role("region", name="press-10")).to_contain_text("None of them could be measured.")
    expect(page.get_by_text("1 failed")).to_be_visible()


def test_measuring_again_begins_with_the_same(visit, made, finished):
    page = visit().open(f"/benchmarks/{finished}")
    page.get_by_role("link", name="Measure again").click()
    page.get_by_role("heading", name="New benchmark").wait_for()
    expect(page.get_by_label("Name", exact=True)).to_have_value("before the release")
    for name in ("press-01", "press-02"):
        page.get_by_role("button", name=f"Leave {name} out").wait_for()
    page.get_by_role("button", name="Make classifier 7.1.0 the baseline").wait_for()


def test_other_pages_lead_here(visit, made):
    visitor = visit()
    page = visitor.open(f"/models?model={made.version['model']}")
    page.get_by_role("complementary").get_by_role("link", name="Benchmark").click()
    page.get_by_role("button", name="Take digits v1 out").wait_for()
    page = visitor.open(f"/sdk-export?bundle={made.first.digest}")
    page.locator("main").get_by_role("link", name="Benchmark", exact=True).click()
    page.get_by_role("button", name="Take classifier 7.0.0 out").wait_for()
    page = visitor.open("/fleet?device=press-12")
    page.get_by_role("complementary", name="press-12").get_by_role("link", name="Benchmark").click()
    page.get_by_role("button", name="Leave press-12 out").wait_for()
    expect(page.get_by_role("checkbox", name="A worker of the hub")).not_to_be_checked()


def test_the_history_goes_on(visit, made, finished):
    now = made.api.hub.state.clock()
    with made.api.write() as session:
        for n in range(60):
            subject = {"id": made.first.digest, "kind": "bundle", "name": "classifier 7.0.0"}
            session.add(
                Benchmark(id=new_id("bmk"), name=f"run {n}", subjects=[subject], seconds=1.0, seed=0, job="", by="",
                          made=now)
            )  # fmt: skip
    page = visit().open("/benchmarks")
    expect(page.get_by_role("row")).to_have_count(51)
    expect(page.get_by_role("link", name="before the release")).to_have_count(0)
    page.get_by_role("button", name="Show more").click()
    expect(page.get_by_role("link", name="before the release")).to_be_visible()
    expect(page.get_by_role("button", name="Show more")).to_have_count(0)


def test_who_may_only_look_sees_no_way_to_start(visit, made, finished, hub):
    made.api.post("/api/edge/users", {"name": "looker", "roles": ["viewer"]})
    with made.api.write() as session:
        looker = session.query(User).filter_by(name="looker").one()
        set_password(session, looker, hub.state.passwords.hash("four unrelated words here"), "")
    page = visit(None).open(f"/benchmarks/{finished}")
    page.get_by_label("Name", exact=True).fill("looker")
    page.get_by_label("Password", exact=True).fill("four unrelated words here")
    page.get_by_label("Tenant").fill("plant")
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_role("region", name="In short").wait_for()
    expect(page.get_by_role("link", name="Measure again")).to_have_count(0)
    expect(page.get_by_role("button", name="Remove")).to_have_count(0)
