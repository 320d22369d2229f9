"""Coming in, and staying in: tokens, authorised keys, renewal, clocks."""

import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from edgewright.agent.net import Line, NotYet, Offline, Refusal, enrol
from edgewright.agent.net.enrolment import key_digest, renew
from edgewright.agent.net.line import IDENTITY, Enrolment
from edgewright.core.errors import InputError, TrustError
from edgewright.core.messages import Desired
from edgewright.testing.faults import refusing
from edgewright.testing.hubs import TestHub
from edgewright.trust.authority import load_anchors

NAME = "press-1"


def test_by_a_token(hub, enrolled):
    kept = Enrolment.load(enrolled)
    assert (kept.url, kept.tenant, kept.device, kept.target) == (hub.url, "acme", NAME, "pi4")
    line = Line(enrolled)
    assert line.identity.peer.identity.device == NAME and line.floor.year >= 2026
    assert (enrolled / IDENTITY).stat().st_mode & 0o077 == 0
    with pytest.raises(InputError, match="enrolled already"):
        enrol(enrolled, hub.url, hub.token(), NAME)


def test_a_token_is_used_once(hub, tmp_path):
    token = hub.token()
    enrol(tmp_path / "one", hub.url, token, "one")
    with pytest.raises(Refusal, match="used already"):
        enrol(tmp_path / "two", hub.url, token, "two")


def test_a_token_of_another_hub(hub, tmp_path):
    with TestHub(tmp_path / "other") as other, pytest.raises(TrustError, match="of another hub"):
        enrol(tmp_path / "state", hub.url, other.token(), NAME)
    assert hub.asked == ["GET /device/v1/anchors"], "nobody else is told the token"


def test_by_a_key_that_is_authorised(hub, tmp_path):
    state = tmp_path / "state"
    with pytest.raises(InputError, match="--anchor"):
        enrol(state, hub.url)
    with pytest.raises(NotYet) as waits:
        enrol(state, hub.url, anchor=hub.authority.anchor_digest)
    assert waits.value.after_s == 7.0 and waits.value.digest == key_digest(state)
    hub.authorised.add(waits.value.digest)
    made = enrol(state, hub.url, anchor=hub.authority.anchor_digest)
    assert made.device == f"device-{waits.value.digest[:8]}"


@pytest.mark.parametrize("step", ["save_anchors", "updates.begin", "Enrolment.keep", "_installed"])
def test_an_enrolment_that_is_cut_off_is_done_again_with_the_same_token(hub, tmp_path, monkeypatch, step):
    def cut(*_):
        raise KeyboardInterrupt

    token = hub.token()
    with monkeypatch.context() as patched:
        patched.setattr(f"edgewright.agent.net.enrolment.{step}", cut)
        with pytest.raises(KeyboardInterrupt):
            enrol(tmp_path / "state", hub.url, token, NAME)
    enrol(tmp_path / "state", hub.url, token, NAME)
    assert Line(tmp_path / "state").identity.peer.serial == hub.serials[NAME][-1]


@pytest.mark.parametrize("url", ["http://h:1", "https://", "https://h:x", "https://h/path", "https://u@h", "h:8444"])
def test_addresses_that_are_none(tmp_path, url):
    with pytest.raises(InputError, match="address of a hub"):
        enrol(tmp_path / "state", url, "t")


def test_nobody_is_there(tmp_path, hub):
    token = hub.token()
    with pytest.raises(Offline):
        enrol(tmp_path / "state", "https://127.0.0.1:1", token)


def test_renewal(hub, one):
    before = one.line.identity.peer.serial
    with contextlib.closing(one.line.dial()) as dialled:
        renew(one.line, dialled)
        assert one.line.identity.peer.serial == hub.serials[NAME][-1] != before
    one.link.poll()
    assert hub.syncs[NAME]


def test_renewed_when_it_is_time(hub, devices):
    one = devices(clock=lambda: (datetime.now(UTC) + timedelta(days=22)).timestamp())
    one.turn()
    assert len(hub.serials[NAME]) == 2 and hub.syncs[NAME]


def test_a_certificate_that_ended_is_renewed(hub, one):
    hub.now += timedelta(days=200)
    one.turn()
    assert not hub.syncs[NAME] and one.link.expired
    one.turn()
    assert len(hub.serials[NAME]) == 2 and hub.syncs[NAME], one.line.trouble


@pytest.mark.parametrize("clock_s", [0.0, 2_208_988_800.0])
def test_a_clock_at_1970_or_years_ahead(hub, devices, offer, clock_s):
    """It says what its clock is, and still gets its updates, unless they are too old for a clock that is ahead."""
    offer("a")
    one = devices(clock=lambda: clock_s)
    assert one.line.clock_fault
    if clock_s:
        for _ in range(3):
            one.turn()
        assert "expired" in one.machine._effects.metadata(one.machine.now).reason
        assert one.machine.now.state == "metadata" and not one.machine.now.bad, "it waits for the clock"
    else:
        assert one.until("idle").result == "committed"
    assert hub.statuses[NAME]


def test_a_hub_whose_certificate_ended_before_what_is_known_of_the_time(hub, devices):
    hub.now -= timedelta(days=120)
    hub.serve()
    one = devices(clock=lambda: 0.0)
    one.turn()
    assert "expired" in one.line.trouble and not hub.syncs[NAME]


def test_new_roots_come_before_the_old_ones_go(hub, one):
    hub.authority = hub.authority.announce_root(hub.now)
    hub.serve()
    hub.want(NAME, Desired(0, anchors=(hub.authority.anchors.decode(),)))
    one.turn()
    assert len(load_anchors(one.state / IDENTITY)) == 2 and one.events[0][0] == "anchors"
    hub.authority = hub.authority.rotate_issuing(hub.now)
    hub.serve()
    one.link._hub.close()
    hub.want(NAME, Desired(0))
    one.turn()
    assert one.wishes.desired.revision == 2 and not one.line.trouble


def test_roots_that_would_shut_the_device_out_are_not_taken(hub, one, tmp_path):
    with TestHub(tmp_path / "other") as other:
        hub.want(NAME, Desired(0, anchors=(other.authority.anchors.decode(),)))
        one.turn()
    assert "not taken" in one.events[0][1] and len(load_anchors(one.state / IDENTITY)) == 1
    one.link._hub.close()
    one.turn()
    assert not one.line.trouble and one.wishes.desired.revision == 1


def test_damaged_enrolments(enrolled, tmp_path):
    with pytest.raises(InputError, match="not enrolled"):
        Line(tmp_path)
    whole = json.loads((enrolled / "hub.json").read_text())
    for damaged in ({"url": 3}, [], whole | {"labels": ["a"]}, whole | {"tenant": 1}):
        (enrolled / "hub.json").write_text(json.dumps(damaged))
        with pytest.raises(InputError, match="enrol again"):
            Line(enrolled)


def test_busy_hubs_are_left_alone_for_as_long_as_they_say(hub, one):
    hub.faults.append(refusing("sync", 503, Retry_After="40"))
    one.turn()
    assert one.polled >= 40 and "503" in one.line.trouble
    one.turn()
    assert one.polled <= 1 and not one.line.trouble


def test_an_enrolment_is_a_value(enrolled):
    assert replace(Enrolment.load(enrolled), target="x").target == "x"
