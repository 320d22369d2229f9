"""An upload from the browser that is cut in the middle, and goes on by itself from where it was."""

import numpy as np
import pytest

pytest.importorskip("edgewright.hub.models", reason="this hub keeps no models")


def test_an_upload_goes_on_after_a_cut(visit, tmp_path):
    path = tmp_path / "parts.npz"
    np.savez(path, image=np.zeros((12_000, 1024), np.float32), labels=np.arange(12_000) % 5)  # two requests, 49 MB
    page, asked = visit().open("/models?tab=datasets&upload=dataset"), []

    def pass_on(route):
        asked.append((route.request.method, route.request.headers.get("upload-offset")))
        cut = [method for method, _ in asked].count("PATCH") == 2 and asked[-1][0] == "PATCH"
        route.abort("connectionreset") if cut else route.continue_()

    page.route("**/api/edge/uploads/*", pass_on)
    page.locator("dialog input[type=file]").set_input_files(path)
    page.get_by_role("button", name="Upload", exact=True).click()
    page.locator("dialog").wait_for(state="detached")
    assert [method for method, _ in asked] == ["PATCH", "PATCH", "HEAD", "PATCH"]
    assert asked[1][1] == asked[3][1] == str(32 * 2**20)
    page.get_by_role("cell", name="ready").wait_for()
    page.get_by_role("cell", name="12,000").wait_for()
    page.get_by_role("cell", name="5 classes").wait_for()
