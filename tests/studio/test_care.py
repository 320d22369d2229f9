"""Models, versions and data are renamed, retired and removed where they are looked at."""

import pytest
from sqlalchemy import select

from edgewright.hub.ids import new_id
from edgewright.hub.library.tables import Bundle
from edgewright.hub.models.tables import Dataset, Model, Version

expect = pytest.importorskip("playwright.sync_api").expect
SOURCE = "5a" * 32


@pytest.fixture
def kept(hub):
    """A model with two versions, data, and a bundle that was made of the first version."""
    now, tenant = hub.state.clock(), hub.tenants["plant"]
    model, versions = new_id("mod"), [new_id("ver"), new_id("ver")]
    came = {"length": 1000, "upload": "upl", "until": now, "by": "usr", "made": now, "state": "ready"}
    with hub.state.database.write(tenant) as session:
        session.add(
            Model(id=model, name="gauge", description="reads gauges", numbers=2, count=2, newest=versions[1], by="usr",
                  made=now)
        )  # fmt: skip
        for number, version in enumerate(versions, 1):
            session.add(
                Version(id=version, model=model, number=number, stage="validated", filename="gauge.onnx",
                        digest=SOURCE if number == 1 else "", **came)
            )  # fmt: skip
        session.add(Dataset(id=new_id("dat"), name="dials", filename="dials.npz", **came))
        session.add(
            Bundle(digest="ab" * 32, source=SOURCE, file="cd" * 32, length=1, name="gauge-small", version="1",
                   hardware=[], engines=[], signer="00", evidence={}, files={}, made=now)
        )  # fmt: skip
    yield model
    with hub.state.database.write(tenant) as session:
        for kind in (Model, Version, Dataset, Bundle):
            for row in session.scalars(select(kind)):
                session.delete(row)


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()
    return page.get_by_role("dialog")


def test_a_model_and_its_versions(kept, visit):
    model = kept
    page = visit().open(f"/models?model={model}")
    window = press(page, "Rename")
    expect(window.get_by_label("Name")).to_have_value("gauge")
    window.get_by_label("Name").fill("meter")
    window.get_by_role("button", name="Keep").click()
    panel = page.get_by_role("complementary", name="meter")
    panel.get_by_text("reads gauges").wait_for()

    press(page, "Retire Version 2").get_by_role("button", name="Retire Version 2").click()
    panel.get_by_text("retired", exact=True).wait_for()
    press(page, "Bring Version 2 back").get_by_role("button", name="Bring Version 2 back").click()
    expect(panel.get_by_text("retired", exact=True)).to_have_count(0)

    panel.get_by_role("button", name="Version 1").click()
    expect(panel.get_by_role("link", name="gauge-small 1")).to_have_attribute(
        "href", f"/edge-ai/sdk-export?bundle={'ab' * 32}"
    )
    press(page, "Remove Version 1").get_by_role("button", name="Remove Version 1").click()
    expect(panel.get_by_role("button", name="Version 1", exact=False)).to_have_count(0)
    panel.get_by_role("button", name="Version 2").first.wait_for()

    window = press(page, "Remove the model")
    window.get_by_text("meter is gone for good, with its one version").wait_for()
    window.get_by_role("button", name="Remove the model").click()
    expect(page.get_by_role("button", name="meter")).to_have_count(0)
    assert "model=" not in page.url


def test_data(kept, visit):
    page = visit().open("/models?tab=datasets")
    window = press(page, "Rename dials")
    window.get_by_label("Name").fill("faces")
    window.get_by_role("button", name="Keep").click()
    press(page, "Remove faces").get_by_role("button", name="Remove", exact=True).click()
    page.get_by_text("No dataset yet").wait_for()
