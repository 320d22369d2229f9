"""What is asked of the hub is what stood there when it was asked; how a figure is known stands beside it."""

import json

import pytest
from playwright.sync_api import expect

JOB = "job_01jd7x3w9q4e5r6t7y8a9b0c1d"
ROLLOUT = "rol_01jd7x3w9q4e5r6t7y8a9b0c1d"
WHEN = "2026-11-21T09:30:00.000Z"


def figure(value, unit, kind="measured"):
    return {"value": value, "low": value, "high": value, "n": 1, "unit": unit, "kind": kind, "conditions": {}}


def candidate(id_, ms, bytes_, kind, recipe=()):
    metrics = {"latency_ms": figure(ms, "ms", kind), "size_bytes": figure(bytes_, "B"),
               "accuracy_drop": figure(0.0, "points")}  # fmt: skip
    return {"id": id_, "recipe": list(recipe), "engine": "onnxruntime", "feasible": True, "metrics": metrics}


@pytest.fixture
def searched():
    """What a hub answers that has one job, with a search for a device that is not here."""
    base = candidate("a" * 12, 4.0, 1e6, "predicted")
    best = candidate("b" * 12, 2.0, 5e5, "predicted", [{"pass": "fuse"}])
    wish = {"limits": {"max_latency_ms": 5.0}, "preference": None, "budget_s": 600.0, "seed": 3, "threads": 4,
            "keep_structure": True, "name": "press"}  # fmt: skip
    told = {
        "id": JOB, "kind": "optimization", "state": "cancelled", "reason": "", "version": "", "dataset": "",
        "target": "raspberry-pi-5", "wish": wish, "priority": 0, "progress": {"tried": 1, "baseline": base},
        "result": None, "worker": None, "attempts": 1, "by": "x", "made": WHEN, "began": WHEN, "ended": WHEN,
    }  # fmt: skip
    return {
        f"/optimization-jobs/{JOB}": told, "/optimization-jobs": {"items": [told], "next": None},
        f"/optimization-jobs/{JOB}/candidates": {"items": [{"number": 1, "candidate": best}], "next": None},
    }  # fmt: skip


@pytest.fixture
def job(visit, searched):
    """A page whose hub has that."""
    return answering(visit(), searched)


def answering(visitor, answers):
    """The page; what it asks of these paths is answered so."""

    def answer(route):
        path = route.request.url.partition("/api/edge")[2].partition("?")[0]
        if route.request.method == "GET" and path in answers:
            route.fulfill(status=200, content_type="application/json", body=json.dumps(answers[path]))
        else:
            route.continue_()

    visitor.page.route("**/api/edge/**", answer)
    return visitor


def test_what_is_predicted_is_called_so(job):
    page = job.open(f"/accelerator-studio?job={JOB}")
    page.get_by_role("heading", name="1 candidate judged").wait_for()
    assert "latencies are predicted" in page.get_by_role("heading", name="Candidates").inner_text()
    panel = page.get_by_role("region", name="Candidate", exact=True)
    faster = panel.get_by_role("listitem").filter(has_text="as fast")
    expect(faster).to_contain_text("predicted")
    expect(panel.get_by_role("listitem").filter(has_text="smaller")).not_to_contain_text("predicted")
    page.get_by_role("list", name="Pareto front").get_by_text("predicted").first.wait_for()


def test_asking_again_asks_for_the_same(job):
    page = job.open(f"/accelerator-studio?job={JOB}")
    page.get_by_text("10 min").wait_for()
    page.get_by_text("More", exact=True).click()
    expect(page.get_by_label("Threads")).to_have_value("4")
    expect(page.get_by_label("Seed")).to_have_value("3")
    expect(page.get_by_label("Keep the structure")).to_be_checked()


def test_another_candidate_is_made_by_a_job_of_its_own(job):
    """Within the limits that stand there, which need not be the search's."""
    page, made = job.open(f"/accelerator-studio?job={JOB}&limits=max_size_mb:0.6"), []

    def choose(route):
        made.append(route.request.post_data_json)
        route.fulfill(status=201, content_type="application/json", body=json.dumps({"id": "job_" + "0" * 26}))

    page.route(f"**/optimization-jobs/{JOB}/choice", choose)
    panel = page.get_by_role("region", name="Candidate", exact=True)
    panel.get_by_role("button", name="Make a bundle of this one").click()
    page.wait_for_url("**/accelerator-studio?job=job_" + "0" * 26)
    assert made == [{"candidate": "b" * 12, "limits": {"max_size_mb": 0.6}}]


def test_a_release_says_what_it_takes_the_place_of(visit, searched):
    mine, theirs = "1a" * 32, "2b" * 32
    searched[f"/optimization-jobs/{JOB}"] |= {
        "state": "done",
        "result": {"best": "b" * 12, "pareto": [], "binding": None, "bundle": mine, "notes": [], "stopped": ""},
    }
    sealed = {"version": "1", "file": "", "length": 1, "hardware": [], "released": False, "made": WHEN}
    answers = {
        **searched,
        "/groups": {"items": [{"name": "line", "devices": 3, "online": 0, "changed": None}], "next": None},
        "/devices": {"items": [{"name": "press", "current": theirs}], "next": None},
        "/bundles": {
            "items": [{"digest": mine, "name": "tiles", **sealed}, {"digest": theirs, "name": "digits", **sealed}],
            "next": None,
        },
    }
    page = answering(visit(), answers).open(f"/accelerator-studio?job={JOB}")
    page.get_by_role("button", name="Release it").click()
    window = page.get_by_role("dialog")
    window.get_by_text("run “digits” now. This release puts “tiles” in its place").wait_for()
    window.get_by_text("None of these 3 devices was heard of").wait_for()


def test_the_newest_data_that_suit_the_model_are_proposed(visit):
    def tensor(name, *shape):
        return {"name": name, "dtype": "float32", "shape": list(shape)}

    def data(n, *inputs):
        return {"id": f"dat_{n}", "name": f"data {n}", "state": "ready", "reason": "", "filename": "a.npz", "file": "",
                "length": 1, "made": WHEN, "facts": {"samples": 9, "inputs": list(inputs), "labels": None}}  # fmt: skip

    signature = {"inputs": [tensor("x", None, 3, 8, 8)], "outputs": []}
    version = {"id": "ver_1", "model": "mod_1", "number": 1, "state": "ready", "stage": "validated", "facts": {},
               "made": WHEN, "length": 1, "signature": signature}  # fmt: skip
    model = {"id": "mod_1", "name": "press", "description": "", "newest": version, "versions": 1, "made": WHEN}
    sets = [data(1, tensor("x", 3, 9, 9)), data(2, tensor("image", 3, 8, 8)), data(3, tensor("x", 3, 8, 8)),
            data(4, tensor("x", 3, 8, 8))]  # fmt: skip
    answers = {"/models": {"items": [model], "next": None}, "/datasets": {"items": sets, "next": None}}
    page = answering(visit(), answers).open("/accelerator-studio?job=new")
    chosen = page.get_by_label("Data", exact=True)
    expect(chosen).to_have_value("dat_3")
    assert chosen.locator("option").all_inner_texts()[1:] == ["data 1 (other inputs)", "data 2", "data 3", "data 4"]


def test_a_limit_below_one_can_be_typed(visit):
    page = visit().open("/accelerator-studio?job=new")
    page.get_by_role("checkbox", name="Latency").check()
    typed = page.get_by_role("spinbutton", name="Latency (ms)")
    typed.fill("")
    typed.press_sequentially("0.05")
    expect(typed).to_have_value("0.05")
    page.keyboard.press("Tab")
    expect(typed).to_have_value("0.05")
    assert "0.05" in page.url


def test_an_order_for_one_wave_is_none_for_the_next(visit):
    rollout = {
        "id": ROLLOUT, "name": "press 1.1", "group": "", "bundles": {}, "state": "wave", "wave": 0, "phase": "soak",
        "since": WHEN, "waves": ["1d", "50%", "100%"], "policy": {}, "plan": {}, "needs": [], "conflicts": [],
        "devices": 40, "author": "x", "approvals": [], "signed": True, "superseded_by": None, "reverting": "",
        "made": WHEN, "started": WHEN, "development": False, "counts": [{"active": 1}, {}, {}], "look": None,
        "notes": [],
    }  # fmt: skip
    answers = {f"/rollouts/{ROLLOUT}": rollout, "/rollouts": {"items": [rollout], "next": None},
               f"/rollouts/{ROLLOUT}/decisions": {"items": [], "next": None}}  # fmt: skip
    page = answering(visit(), answers).open(f"/fleet?by=rollout&rollout={ROLLOUT}")
    page.get_by_role("button", name="Release to wave 2").click()
    window = page.get_by_role("dialog")
    window.get_by_role("button", name="Release to wave 2").wait_for()
    rollout["wave"] = 1  # its gate let it through meanwhile
    window.wait_for(state="detached")
    page.get_by_role("button", name="Release to wave 3").click()
    with page.expect_request("**/advance?wave=1") as asked:
        window.get_by_role("button", name="Release to wave 3").click()
    assert asked.value.method == "POST"


def test_an_order_without_a_network_is_not_kept_for_later(visit):
    visitor = visit()
    page = visitor.open("/settings/users")
    page.get_by_role("button", name="Add a user").click()
    window = page.get_by_role("dialog")
    window.get_by_label("Name", exact=True).fill("zoe")
    visitor.context.set_offline(True)
    window.get_by_role("button", name="Add a user").click()
    window.get_by_text("The hub did not answer").wait_for()
    asked = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    with page.expect_response("**/api/edge/**"):
        visitor.context.set_offline(False)
    assert asked == []


def test_a_token_may_see_unless_more_is_chosen(visit):
    page = visit().open("/settings/tokens")
    for name, how, scopes in (("curl", None, "reads"), ("ci", "what you choose", ["bundles.write", "models.read"])):
        page.get_by_role("button", name="Make a token").first.click()
        window = page.get_by_role("dialog")
        window.get_by_label("What it is for").fill(name)
        if how:
            window.get_by_role("radio", name=how).click()
            expect(window.get_by_role("button", name="Make a token")).to_be_disabled()
            for scope in scopes:
                window.get_by_label(scope, exact=True).check()
        with page.expect_request(lambda asked: asked.method == "POST" and asked.url.endswith("/tokens")) as made:
            window.get_by_role("button", name="Make a token").click()
        sent = made.value.post_data_json["scopes"]
        assert all(one.endswith(".read") for one in sent) and len(sent) > 5 if how is None else sorted(sent) == scopes
        window.get_by_role("button", name="Close").click()
        row = page.get_by_role("row", name=name)
        expect(row.get_by_text("write")).to_have_count(1 if how else 0)
