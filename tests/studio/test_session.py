"""A session that ends while somebody works: what they typed is theirs still, and nobody else's."""

import pytest

expect = pytest.importorskip("playwright.sync_api").expect

TYPED = "Press 3: ask Ann before it is moved."
OTHERWISE = """async (text) => {
    const { revision } = await (await fetch('/api/edge/services')).json();
    const headers = { 'Content-Type': 'application/json' };
    const asked = { method: 'PUT', headers, body: JSON.stringify({ text, revision }) };
    return (await fetch('/api/edge/services', asked)).status;
}"""


def half_written(visitor):
    """The page whose text is half written when the session ends; the login over it."""
    page = visitor.open("/services")
    page.get_by_role("button", name="Write", exact=False).first.click()
    page.get_by_role("textbox").fill(TYPED)
    page.get_by_role("textbox").focus()
    visitor.context.clear_cookies()
    over = page.get_by_role("dialog", name="Log in")
    over.get_by_text("Your session ended").wait_for()
    return page, over


def log_in(over, tenant):
    over.get_by_label("Name", exact=True).fill("owner")
    over.get_by_label("Password", exact=True).fill("four unrelated words here")
    over.get_by_label("Tenant").fill(tenant)
    over.get_by_role("button", name="Log in", exact=True).click()


def test_what_is_being_typed_outlives_the_session(visit):
    page, over = half_written(visit())
    expect(over.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    expect(page.locator("dialog[open]")).to_have_count(1)
    log_in(over, "plant")
    over.wait_for(state="detached")
    text = page.locator("main textarea")
    expect(text).to_have_value(TYPED)
    expect(text).to_be_focused()
    page.get_by_role("button", name="Keep").wait_for()


def test_a_window_that_is_open_waits_below_the_login_and_nothing_is_asked_meanwhile(visit):
    visitor = visit()
    page = visitor.open("/settings/users")
    page.get_by_role("button", name="Add a user").click()
    window = page.get_by_role("dialog", name="Add a user")
    window.get_by_label("Name", exact=True).fill("cleo")
    visitor.context.clear_cookies()
    window.get_by_role("button", name="Add a user").click()
    over = page.get_by_role("dialog", name="Log in")
    over.get_by_text("Your session ended").wait_for()
    page.wait_for_timeout(500)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(6_000)
    assert asked == []
    log_in(over, "plant")
    over.wait_for(state="detached")
    expect(window.get_by_label("Name", exact=True)).to_have_value("cleo")
    window.get_by_role("button", name="Add a user").click()
    page.get_by_text("shown here and never again").wait_for()


def test_what_is_being_written_outlives_its_page(visit):
    page = visit().open("/services")
    page.get_by_role("button", name="Write", exact=False).first.click()
    page.get_by_role("textbox").fill(TYPED)
    page.get_by_role("link", name="Models").click()
    page.get_by_role("heading", name="Models").wait_for()
    page.get_by_role("link", name="Services").click()
    expect(page.get_by_role("textbox")).to_have_value(TYPED)
    page.get_by_role("button", name="Cancel").click()
    page.reload()
    page.get_by_role("heading", name="Nobody has written").wait_for()


def test_what_somebody_else_kept_meanwhile_is_shown_before_it_goes(visit, hub):
    visitor = visit()
    page = visitor.open("/services")
    page.get_by_role("button", name="Write", exact=False).first.click()
    page.get_by_role("textbox").fill(TYPED)
    assert page.evaluate(OTHERWISE, "Call Bob.") == 200
    page.get_by_role("button", name="Keep it").click()
    page.get_by_text("Call Bob.").wait_for()
    expect(page.get_by_role("textbox")).to_have_value(TYPED)
    page.get_by_role("button", name="Mine takes its place").click()
    page.get_by_role("button", name="Keep it").click()
    page.locator("main").get_by_text(TYPED).wait_for()
    expect(page.get_by_role("textbox")).to_have_count(0)
    assert page.evaluate(OTHERWISE, "") == 200, "for other tests"


def test_nobody_else_sees_what_was_there(visit):
    page, over = half_written(visit())
    page.evaluate("window.kept = true")
    log_in(over, "empty")
    page.get_by_role("heading", name="Three ways to start").wait_for()
    assert page.evaluate("window.kept") is None
    page.goto("/edge-ai/services")
    page.get_by_role("heading", name="Services").wait_for()
    expect(page.get_by_text(TYPED)).to_have_count(0)


def test_who_logs_out_leaves_nothing_in_memory(visit, hub):
    visitor = visit(None)
    visitor.open("/fleet")
    page = visitor.log_in("plant")
    page.get_by_role("application").wait_for()
    page.evaluate("window.kept = true")
    page.get_by_role("button", name="Your account").click()
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("heading", name="Log in").wait_for()
    assert page.evaluate("window.kept") is None
