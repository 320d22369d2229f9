"""Where the focus goes, and what a press beside a window loses."""

import pytest

expect = pytest.importorskip("playwright.sync_api").expect

BESIDE = (20, 700)


def test_a_press_beside_a_window_closes_it_until_something_is_typed(visit):
    page = visit().open("/settings/users")
    opener = page.get_by_role("button", name="Add a user")
    opener.click()
    window = page.get_by_role("dialog")
    name = window.get_by_label("Name", exact=True)
    expect(name).to_be_focused()
    page.mouse.click(*BESIDE)
    expect(window).to_have_count(0)
    expect(opener).to_be_focused()
    opener.click()
    name.fill("bea")
    page.mouse.click(*BESIDE)
    expect(name).to_have_value("bea")
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()


def test_what_is_shown_once_stays_until_it_is_closed(visit):
    page = visit().open("/fleet")
    opener = page.get_by_role("button", name="Enrol a device")
    opener.click()
    page.get_by_role("dialog").get_by_role("button", name="Make a token").click()
    token = page.get_by_role("dialog").get_by_text("--token")
    token.wait_for()
    page.mouse.click(*BESIDE)
    for _ in range(3):
        page.keyboard.press("Escape")
        expect(token).to_be_visible()
    page.get_by_role("button", name="Close").last.click()
    expect(token).to_have_count(0)
    expect(opener).to_be_focused()


def test_a_windows_own_scrollbar_is_no_place_beside_it(visit):
    page = visit(size=(900, 320)).open("/settings/users")
    page.get_by_role("button", name="Add a user").click()
    window = page.get_by_role("dialog")
    box = window.bounding_box()
    assert window.evaluate("it => it.scrollHeight > it.clientHeight")
    page.mouse.click(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
    expect(window).to_be_visible()


def test_search_gives_the_focus_back(visit):
    page = visit().open("/")
    opener = page.get_by_role("button", name="Search devices")
    opener.click()
    expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()


@pytest.mark.parametrize("width", [1440, 800])
def test_a_panel_over_the_page_takes_the_focus_and_gives_it_back(visit, width):
    page = visit(size=(width, 800)).open("/fleet?view=list")
    row = page.get_by_role("button", name="press-01")
    row.focus()
    page.keyboard.press("Enter")
    panel = page.get_by_role("complementary", name="press-01")
    panel.get_by_text("turin/line-2").first.wait_for()
    expect(panel if width < 1280 else row).to_be_focused()
    panel.get_by_role("button", name="Close").click()
    expect(row).to_be_focused()


def test_a_panel_that_a_link_opened_gives_the_focus_to_the_page(visit):
    page = visit(size=(800, 800)).open("/fleet?device=press-01")
    panel = page.get_by_role("complementary", name="press-01")
    expect(panel).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("main#page")).to_be_focused()


def test_escape_closes_an_upload_that_has_not_begun_and_a_file_not_chosen_does_not(visit, tmp_path):
    page = visit().open("/models?upload=model")
    window, file = page.get_by_role("dialog"), page.locator("dialog input[type=file]")
    file.dispatch_event("cancel", {"bubbles": True})  # what Chromium sends when its window is left without a file
    expect(window).to_be_visible()
    (tmp_path / "chosen.onnx").write_bytes(b"x")
    file.set_input_files(tmp_path / "chosen.onnx")
    window.get_by_text("chosen.onnx").wait_for()
    page.keyboard.press("Escape")
    expect(window).to_have_count(0)
