"""An upload from the browser that is cut in the middle, and goes on by itself from where it was."""

import numpy as np
import pytest

pytest.importorskip("edgewright.hub.models", reason="this hub keeps no models")
expect = pytest.importorskip("playwright.sync_api").expect
CHUNK = 32 * 2**20


@pytest.fixture
def file(tmp_path):
    """A data set that takes two requests, of 49 MB."""
    path = tmp_path / "parts.npz"
    np.savez(path, image=np.zeros((12_000, 1024), np.float32), labels=np.arange(12_000) % 5)
    return path


def upload(page, file):
    page.locator("dialog input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Upload", exact=True).click()


def listen(page, answer):
    """Requests of the upload after the first, as (method, offset); ``answer(route, requests)`` may answer them."""
    asked = []

    def pass_on(route):
        asked.append((route.request.method, route.request.headers.get("upload-offset")))
        if len(asked) == 1 or not answer(route, asked):
            route.continue_()

    page.route("**/api/edge/uploads/*", pass_on)
    return asked


def test_an_upload_goes_on_after_a_cut_and_asks_again_where_the_hub_does_not_say_how_far_it_came(visit, file):
    page = visit().open("/models?tab=datasets&upload=dataset")
    troubles = {2: "cut", 3: 503, 4: 429}

    def answer(route, asked):
        trouble = troubles.get(len(asked))
        if trouble == "cut":
            route.abort("connectionreset")
        elif trouble:
            route.fulfill(status=trouble)
        return trouble

    asked = listen(page, answer)
    upload(page, file)
    page.get_by_text("The hub takes no more for a moment (it answered 503).").wait_for()
    page.locator("dialog").wait_for(state="detached")
    assert [method for method, _ in asked] == ["PATCH", "PATCH", "HEAD", "HEAD", "HEAD", "PATCH"]
    assert asked[1][1] == asked[-1][1] == str(CHUNK)
    page.get_by_role("cell", name="ready").wait_for()
    page.get_by_role("cell", name="12,000").wait_for()
    page.get_by_role("cell", name="5 classes").wait_for()


def test_an_upload_goes_on_as_soon_as_the_line_is_back(visit, file):
    visitor = visit()
    visitor.page.clock.install()
    page = visitor.open("/models?tab=datasets&upload=dataset")
    gone = [True]
    asked = listen(page, lambda route, _: gone[0] and (route.abort("internetdisconnected") or True))
    upload(page, file)
    page.get_by_text("The line was cut.").wait_for()
    while len(asked) < 5:  # the next try would be four seconds from here
        page.wait_for_timeout(50)
    page.clock.pause_at(page.evaluate("Date.now() + 10"))  # and now never comes
    gone[0] = False
    for _ in range(1200):
        if asked[-1][0] == "PATCH":
            break
        page.evaluate("dispatchEvent(new Event('online'))")  # again: it may not have begun to wait
        page.wait_for_timeout(50)
    page.clock.resume()
    first, again, *asks, last = [method for method, _ in asked]
    assert (first, again, set(asks), last) == ("PATCH", "PATCH", {"HEAD"}, "PATCH")
    page.locator("dialog").wait_for(state="detached")


def test_an_upload_that_stopped_says_what_is_kept_and_goes_on_when_it_is_told_to(visit, file):
    page = visit().open("/models?tab=datasets&upload=dataset")
    asked = listen(page, lambda route, asked: len(asked) < 4 and (route.fulfill(status=401) or True))
    upload(page, file)
    told = page.get_by_role("alert")
    told.get_by_text("Your session ended.").wait_for()
    told.get_by_text("are on the hub and stay there for a week").wait_for()
    page.get_by_role("button", name="Go on").click()
    told.get_by_text("Your session ended.").wait_for()
    page.get_by_role("button", name="Go on").click()
    page.locator("dialog").wait_for(state="detached")
    assert [method for method, _ in asked] == ["PATCH", "PATCH", "HEAD", "HEAD", "PATCH"]


def test_who_goes_elsewhere_during_an_upload_stays_there(visit, file):
    page = visit().open("/fleet")
    page.get_by_role("link", name="Models").click()
    page.get_by_role("radio", name="Datasets").click()
    page.get_by_role("button", name="Upload data", exact=True).first.click()
    asked = listen(page, lambda route, asked: True)
    upload(page, file)
    while len(asked) < 2:
        page.wait_for_timeout(50)
    with page.expect_event("requestfailed"):
        page.go_back()
    page.get_by_role("application").wait_for()
    page.wait_for_timeout(500)
    assert page.url.endswith("/edge-ai/fleet")
    assert len(asked) == 2


def test_a_file_that_is_refused_at_the_door_leaves_no_model_behind(visit, tmp_path):
    (tmp_path / "secret.pkl").write_bytes(b"no model")
    (tmp_path / "line.onnx").write_bytes(b"no model either")
    page = visit().open("/models?upload=model")
    window = page.get_by_role("dialog", name="Upload a model")
    window.get_by_label("File").set_input_files(tmp_path / "secret.pkl")
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as removed:
        window.get_by_role("button", name="Upload", exact=True).click()
    assert removed.value.status == 204
    window.get_by_role("alert").wait_for()
    expect(window.get_by_label("Name", exact=True)).to_have_value("secret")
    expect(window.get_by_label("Belongs to").get_by_role("option", name="secret")).to_have_count(0)
    window.get_by_label("File").set_input_files(tmp_path / "line.onnx")
    window.get_by_label("Name", exact=True).fill("line")
    window.get_by_role("button", name="Upload", exact=True).click()
    panel = page.get_by_role("complementary", name="line")
    panel.wait_for()
    page.get_by_role("button", name="Upload a model").first.click()  # another one, whatever is open
    expect(window.get_by_label("Belongs to")).to_have_value("")
    window.get_by_role("button", name="Close").click()
    panel.get_by_role("button", name="Upload a version").click()
    expect(page.get_by_role("dialog", name="Upload a version of line")).to_be_visible()
