"""Lists that are longer than what the hub tells at a time, and links to what is far back in them."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest

expect = pytest.importorskip("playwright.sync_api").expect

MADE = "2026-01-02T03:04:05Z"


def listed(page, path, rows):
    """The hub tells ``rows`` under ``path``, in pages; the queries that came."""
    asked = []

    def answer(route):
        query = {name: told[0] for name, told in parse_qs(urlsplit(route.request.url).query).items()}
        asked.append(query)
        found = [one for one in rows if query.get("search", "") in one["name"]]
        start, limit = int(query.get("cursor", 0)), int(query["limit"])
        more = start + limit < len(found)
        route.fulfill(json={"items": found[start : start + limit], "next": str(start + limit) if more else None})

    page.route(re.compile(rf"/api/edge/{path}(\?|$)"), answer)
    return asked


def models(count):
    newest = {"newest": None, "versions": 0, "description": "", "made": MADE}
    return [{"id": f"mod_{n}", "name": f"press-{n:04}", **newest} for n in range(count)]


@pytest.mark.parametrize(("count", "cut"), [(250, False), (1_250, True)])
def test_older_models_are_reached(visit, count, cut):
    visitor = visit()
    listed(visitor.page, "models", models(count))
    page = visitor.open("/models")
    expect(page.locator("tbody tr")).to_have_count(min(count, 1_000))
    told = page.get_by_text("These are 1,000 of them.")
    expect(told).to_be_visible() if cut else expect(told).to_have_count(0)
    page.get_by_label("Search models by name").fill(f"press-{count - 1:04}")
    expect(page.locator("tbody tr")).to_have_count(1)
    assert page.url.endswith(f"?q=press-{count - 1:04}")


def test_a_select_shows_the_job_that_a_link_names(visit):
    visitor = visit()
    job = {"state": "cancelled", "target": "host", "made": MADE, "reason": "", "progress": None, "result": None,
           "version": "ver_1", "dataset": "dat_1"}  # fmt: skip
    page = visitor.page
    listed(page, "optimization-jobs", [{"id": "job_1", "name": "", "wish": {"name": "the newest"}, **job}])
    page.route(
        "**/api/edge/optimization-jobs/job_2",
        lambda route: route.fulfill(json={"id": "job_2", "wish": {"name": "an old one"}, **job}),
    )
    listed(page, "optimization-jobs/job_2/candidates", [])
    visitor.open("/accelerator-studio?job=job_2")
    expect(page.get_by_label("Jobs").locator("option:checked")).to_contain_text("an old one")


def test_a_select_shows_the_rollout_that_a_link_names(visit):
    visitor = visit()
    page = visitor.page
    listed(page, "rollouts", [{"id": "rol_1", "name": "the newest", "state": "done"}])
    page.route(
        "**/api/edge/rollouts/rol_2",
        lambda route: route.fulfill(status=404, json={"detail": "there is no such rollout"}),
    )
    visitor.open("/fleet?rollout=rol_2")
    expect(page.get_by_role("combobox", name="Rollouts")).to_have_value("rol_2")
    expect(page.get_by_role("combobox", name="Rollouts").locator("option:checked")).to_have_text("rol_2")


def test_a_profile_is_made_of_any_device_by_a_part_of_its_name(visit):
    page = visit().open("/device-analyzer?tab=profiles")
    page.get_by_role("button", name="Add a profile").click()
    page.get_by_role("radio", name="An enrolled device").click()
    device = page.get_by_role("combobox", name="Device", exact=True)
    with page.expect_response(lambda answer: "q=ess-07" in answer.url):
        device.fill("ess-07")
    offered = page.locator("#devices-found option")
    expect(offered).to_have_count(1)
    device.fill(offered.get_attribute("value"))
    page.get_by_role("dialog").get_by_role("button", name="Add the profile").click()
    told = page.get_by_role("dialog").get_by_role("alert")
    expect(told).to_contain_text("The device press-07 has not told what it is yet")


def test_resolved_alerts_beyond_a_page_are_shown_and_the_cut_is_told(visit):
    visitor = visit()
    alert = {
        "kind": "device.silent", "subject": "device/press-01", "severity": "warning", "told": "it is silent",
        "since": MADE, "resolved": MADE, "acknowledged": None, "acknowledged_by": "", "returns": 0,
        "state": "resolved", "evidence": {},
    }  # fmt: skip
    listed(visitor.page, "alerts", [{"id": f"alr_{n}", "name": "", **alert} for n in range(1_250)])
    page = visitor.open("/alerts?state=resolved")
    page.get_by_text("The newest 1,000 are listed").wait_for()
