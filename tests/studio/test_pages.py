"""The pages in a real browser: each is there, works by keyboard alone, and has nothing that axe finds serious."""

import re
from pathlib import Path

import pytest

expect = pytest.importorskip("playwright.sync_api").expect

AXE = Path(__file__).parents[2] / "studio" / "node_modules" / "axe-core" / "axe.min.js"
PAGES = {
    "/": "Overview", "/accelerator-studio": "Accelerator studio", "/models": "Models", "/fleet": "Fleet",
    "/benchmarks": "Benchmarks", "/benchmarks?new=1": "New benchmark",
    "/fleet?view=list&device=press-03": "Fleet", "/alerts": "Alerts", "/settings/account": "Settings",
    "/settings/users": "Settings", "/settings/tokens": "Settings", "/settings/webhooks": "Settings",
    "/settings/rules": "Settings", "/settings/audit?line=1": "Settings", "/nothing": "There is no such page",
}  # fmt: skip


def settle(page):
    """Until nothing is about to be there any more."""
    expect(page.locator("main [role=status][aria-label=Loading]")).to_have_count(0, timeout=60_000)


def serious(page):
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    grave = [one for one in found if one["impact"] in ("serious", "critical")]
    return [(one["id"], [node["target"] + [node["failureSummary"]] for node in one["nodes"][:3]]) for one in grave]


@pytest.mark.parametrize(("size", "dark"), [((1440, 900), False), ((390, 844), True)], ids=["wide", "phone, dark"])
def test_each_page_is_there_and_open_to_all(visit, size, dark):
    visitor = visit(size=size, dark=dark)
    for path, title in PAGES.items():
        page = visitor.open(path)
        settle(page)
        assert page.locator("h1").inner_text() == title
        assert serious(page) == [], path
        wide = page.evaluate("document.querySelector('main').scrollWidth - document.querySelector('main').clientWidth")
        assert wide <= 0, f"{path} is {wide} pixels too wide"
        beyond = page.evaluate("document.documentElement.scrollHeight - innerHeight")
        assert beyond <= 0, f"{path} goes on for {beyond} pixels of nothing"


def test_who_is_not_logged_in_comes_back_to_where_they_were_going(visit):
    visitor = visit(None)
    page = visitor.open("/fleet?device=press-03")
    assert serious(page) == []
    visitor.log_in("plant", "not the password at all")
    page.get_by_role("alert").wait_for()
    assert "password is wrong" in page.get_by_role("alert").inner_text()
    visitor.log_in("plant")
    page.get_by_role("complementary", name="press-03").wait_for()
    assert page.url.endswith("/edge-ai/fleet?device=press-03")


def test_a_one_time_password_is_replaced_first(visit, hub):
    visitor = visit(None)
    visitor.open("/")
    page = visitor.log_in("fresh", hub.once["fresh"])
    page.get_by_label("New password", exact=True).fill("quite other words now")
    page.get_by_label("New password, again").fill("quite other words now")
    page.get_by_role("button", name="Keep this password").click()
    page.get_by_role("heading", name="Three ways to start").wait_for()


def test_by_keyboard_alone_a_device_is_found_and_left(visit):
    page = visit().open("/")
    page.keyboard.press("/")
    page.keyboard.type("press-03")
    page.get_by_role("option", name=re.compile("press-03")).wait_for()
    page.keyboard.press("Enter")
    panel = page.get_by_role("complementary", name="press-03")
    panel.get_by_text("it is 15 minutes ahead").wait_for()
    page.keyboard.press("Escape")
    panel.wait_for(state="detached")
    assert page.url.endswith("/edge-ai/fleet")
    page.get_by_role("application").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_role("complementary", name="press-03").wait_for()


def test_a_device_is_chosen_on_the_map_and_stands_in_the_address(visit):
    page = visit().open("/fleet")
    page.get_by_text("38", exact=True).wait_for()
    page.get_by_role("application").click(position={"x": 100, "y": 22})
    page.wait_for_url("**/fleet?device=press-00")
    page.get_by_role("complementary", name="press-00").wait_for()


def test_an_alert_is_seen_to(visit):
    page = visit().open("/alerts")
    page.get_by_role("button", name=re.compile("press-07 is silent")).click()
    page.get_by_role("button", name="I see to it").click()
    page.get_by_role("complementary").get_by_text("owner sees to it").wait_for()
    page.reload()
    page.get_by_role("complementary").get_by_text("owner sees to it").wait_for()


def test_a_user_is_let_in_with_a_password_that_is_shown_once(visit):
    page = visit().open("/settings/users")
    page.get_by_role("button", name="Add a user").click()
    window = page.get_by_role("dialog")
    window.get_by_label("Name", exact=True).fill("ann")
    window.get_by_role("button", name="Add a user").click()
    page.get_by_text("shown here and never again").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("cell", name="ann", exact=True).wait_for()


def test_what_a_webhook_is_told_is_chosen_and_changed(visit):
    page = visit().open("/settings/webhooks")
    page.get_by_role("button", name="Add a webhook").click()
    window = page.get_by_role("dialog")
    window.get_by_label("Address", exact=True).fill("https://ci.example.com/edgewright")
    window.get_by_label("Alerts").select_option(label="no alerts")
    expect(window.get_by_role("button", name="Add a webhook")).to_be_disabled()
    window.get_by_text("it would be told nothing").wait_for()
    window.get_by_label("Jobs").check()
    assert serious(page) == []
    window.get_by_role("button", name="Add a webhook").click()
    window.get_by_text("shown here and never again").wait_for()
    window.get_by_role("button", name="Close").click()
    row = page.get_by_role("row").filter(has_text="https://ci.example.com/edgewright")
    expect(row.get_by_role("cell", name="Jobs", exact=True)).to_be_visible()
    row.get_by_role("button", name="Change").click()
    window.get_by_label("Alerts").select_option("critical")
    window.get_by_label("Rollouts").check()
    window.get_by_role("button", name="Keep it").click()
    window.wait_for(state="detached")
    expect(row.get_by_role("cell", name="alerts from “critical” on, Jobs, Rollouts")).to_be_visible()


def test_a_hub_that_is_gone_is_told_and_what_was_known_stays(visit):
    visitor = visit()
    page = visitor.open("/fleet")
    page.get_by_role("application").wait_for()
    page.route("**/api/edge/**", lambda route: route.abort())
    page.get_by_role("radio", name="List").click()
    page.get_by_text("The hub did not answer").wait_for()
    page.locator("header").get_by_text("The hub does not answer").wait_for()
    page.unroute("**/api/edge/**")
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("button", name="press-00").wait_for()


def test_the_theme_is_kept(visit):
    page = visit().open("/settings/account")
    page.get_by_role("radiogroup", name="Looks").get_by_role("radio", name="Dark").click()
    page.reload()
    page.wait_for_selector("h1")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_nothing_is_asked_of_anybody_else_and_the_first_page_is_small(visit, hub):
    visitor = visit()
    asked, size = [], []

    def answered(response):
        asked.append(response.url)
        if "/edge-ai" in response.url:
            size.append(int(response.header_value("content-length")))

    visitor.page.on("response", answered)
    settle(visitor.open("/"))
    assert all(url.startswith(hub.url) for url in asked)
    assert sum(size) < 300_000


def test_the_empty_hub_teaches(visit):
    page = visit("empty").open("/")
    page.get_by_role("link", name="Make a token").click()
    page.get_by_role("button", name="Make a token").wait_for()
    assert page.url.endswith("/fleet?enrol=1")


HIDE = """(hidden) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event('visibilitychange'));
}"""


def test_a_tab_that_nobody_sees_holds_no_connection(visit):
    """Without TLS a browser has six for all tabs of a hub: the seventh would wait for ever."""

    def streams(request):
        return "/api/edge/events" in request.url

    visitor = visit()
    with visitor.context.expect_event("request", streams):
        page = visitor.open("/models")
    with page.expect_event("requestfailed", streams):
        page.evaluate(HIDE, True)
    with page.expect_request(streams):
        page.evaluate(HIDE, False)
    with page.expect_event("requestfailed", streams):
        page.evaluate(HIDE, True)
    page.evaluate(HIDE, False)
