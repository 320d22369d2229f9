"""What a release was taken back for is not offered again, and figures are those of what runs."""

from pathlib import Path

import pytest

from edgewright.testing.beside import beside

expect = pytest.importorskip("playwright.sync_api").expect
answering = beside(Path(__file__).parent / "test_asking.py").answering
GOOD, BAD, WHEN = "1a" * 32, "2b" * 32, "2026-11-21T09:30:00.000Z"


def bundle(digest, version):
    return {"digest": digest, "file": digest, "length": 5000, "name": "digits", "version": version, "source": digest,
            "hardware": [], "engines": ["onnxruntime"], "signer": "3c" * 32, "signed_by": "k", "released": True,
            "evidence": {"target": "host"}, "made": WHEN}  # fmt: skip


def rollout(number, digest, state):
    return {"id": f"rol_{number}", "name": "r", "group": "", "bundles": {digest: {"name": "digits"}}, "state": state,
            "wave": 0, "phase": "soak", "since": WHEN, "waves": ["100%"], "made": WHEN, "devices": 1}  # fmt: skip


def test_exports_begin_with_a_bundle_whose_release_went_well(visit):
    rollouts = [rollout(2, BAD, "rolled_back"), rollout(1, GOOD, "completed")]
    answers = {"/bundles": {"items": [bundle(BAD, "2"), bundle(GOOD, "1")], "next": None},
               "/rollouts": {"items": rollouts, "next": None}}  # fmt: skip
    page = answering(visit(), answers).open("/sdk-export")
    chosen = page.get_by_label("Bundle", exact=True).locator("select")
    expect(chosen).to_have_value(GOOD)
    chosen.select_option(BAD)
    page.locator("dd").get_by_text("its release was taken back").wait_for()


def test_a_devices_latency_is_that_of_what_runs_on_it(visit):
    def period(digest, p99):
        told = {"count": 300, "mean": 1.0, "low": 0.5, "high": p99, "quantiles": {"0.5": 1.0, "0.99": p99}}
        return {"began": WHEN, "seconds": 3600, "model": "digits", "bundle": digest, "observed_s": 60.0,
                "counters": {"requests": 300}, "classes": {}, "series": {"latency_ms": told}}  # fmt: skip

    device = {"name": "press", "group": "", "target": "", "labels": {}, "online": True, "state": "idle",
              "current": GOOD, "good": GOOD, "target_bundle": "", "wanted": GOOD, "rollout": "", "reason": "",
              "revision": 1, "offset_s": 0.0, "made": WHEN, "seen": WHEN, "changed": WHEN, "revoked": None, "facts": {},
              "status": {}, "config": {}, "collect": {}, "told": {}, "dropped": 0}  # fmt: skip
    periods = {"items": [period(GOOD, 2.125), period(BAD, 0.75)], "next": None}
    answers = {"/devices/press": device, "/devices/press/telemetry": periods}
    page = answering(visit(), answers).open("/fleet?device=press")
    panel = page.get_by_role("complementary", name="press")
    panel.get_by_text("2.125").or_(panel.get_by_text("2.13")).wait_for()
    expect(panel.get_by_text("0.75")).to_have_count(0)
