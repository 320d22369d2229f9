"""The parked poll: what is kept, refusals, clones, a hub that lies or hangs up."""

import threading

import pytest

from edgewright.agent.net import Offline, Refusal
from edgewright.agent.net.hub import Hub
from edgewright.agent.net.line import HOLD_S, Line
from edgewright.agent.net.wishes import Wishes
from edgewright.core.messages import Desired, Release
from edgewright.testing.faults import cutting, refusing

NAME = "press-1"
SYNC = "/device/v1/sync"


def hanging_up(exchange):
    exchange.close_connection = True
    return True


def test_the_newest_word_is_kept(hub, one, enrolled):
    hub.want(NAME, Desired(0, Release("r", "a" * 64), config={"limits": {}}))
    one.link.poll()
    assert Wishes(enrolled).desired == one.wishes.desired == hub.desired[NAME]
    one.link.poll()
    assert [sync.revision for sync in hub.syncs[NAME]] == [0, 1]
    assert [sync.facts is None for sync in hub.syncs[NAME]] == [False, True]


def test_a_hub_that_was_restored_has_the_last_word(hub, one):
    hub.desired[NAME] = Desired(9)
    one.link.poll()
    hub.desired[NAME] = Desired(3, Release("r", "a" * 64))
    one.link.poll()
    assert one.wishes.desired.revision == 3


def test_an_answer_that_was_overtaken_changes_nothing(enrolled):
    wishes = Wishes(enrolled)
    assert wishes.take(Desired(5), 0) and not wishes.take(Desired(4), 0) and wishes.desired.revision == 5
    assert wishes.take(Desired(6), 0) and not wishes.take(Desired(6), 6)


@pytest.mark.parametrize("spoil", [b"", b"{", b'{"revision": -1}', b"\xff" * 1000])
def test_a_word_on_the_disk_that_cannot_be_read_is_asked_for_again(enrolled, spoil):
    (enrolled / "desired.json").write_bytes(spoil)
    assert Wishes(enrolled).desired == Desired(0)


def test_revoked_devices_ask_again_after_an_hour(hub, devices):
    clock = [0.0]
    one = devices(pause=lambda: clock[0])
    hub.revoke(NAME)
    one.link.poll()
    asked = len(hub.asked)
    assert one.link.poll() == HOLD_S and len(hub.asked) == asked and one.events[0][0] == "refused"
    with pytest.raises(Offline, match="asked again in"), one.line.dial() as other:
        other.ask("GET", "/device/v1/anchors", most_bytes=100)
    clock[0] += HOLD_S
    hub.revoked.clear()
    one.link.poll()
    assert not one.line.trouble and one.line.held_s == 0.0


def test_a_parked_poll_ends_with_the_revocation(hub, one):
    one.link._wait_s = 55.0
    waiting = threading.Thread(target=one.link.poll)
    waiting.start()
    hub.until(lambda: bool(hub.syncs[NAME]))
    hub.revoke(NAME)
    waiting.join(30.0)
    assert not waiting.is_alive() and "403" in one.line.trouble


def test_a_parked_poll_ends_with_the_agent(hub, one):
    one.link._wait_s = 55.0
    one.link.start()
    hub.until(lambda: bool(hub.syncs[NAME]))
    one.link.close()
    assert not one.link.alive


def test_a_cloned_device(hub, one):
    """Somebody renewed this identity from a copy of the folder."""
    hub.faults.append(refusing("sync", 409))
    one.link.poll()
    assert one.line.held_s > 0 and one.events[0][0] == "refused"


def test_a_certificate_that_cannot_be_renewed_either(hub, one):
    hub.faults += [refusing("sync", 401, -1), refusing("renew", 401, -1)]
    one.link.poll()
    assert one.line.held_s == 0.0
    one.link.poll()
    assert one.line.held_s > 0


@pytest.mark.parametrize(
    "fault",
    [
        cutting("sync", 3), lambda e: bool(e.send(200, b"{}")) or True,
        lambda e: bool(e.send(200, b"x" * 300_000)) or True,
        lambda e: bool(e.send(200, b'{"revision": 1, "anchors": [1]}')) or True,
        lambda e: bool(e.wfile.write(b"\0" * 70_000)) or True, hanging_up,
        refusing("sync", 500), refusing("sync", 400),
    ],
)  # fmt: skip
def test_answers_that_cannot_be_read_are_the_same_as_none(hub, one, fault):
    hub.want(NAME, Desired(0, Release("r", "a" * 64)))
    hub.faults.append(fault)
    one.link.poll()
    assert one.line.trouble and one.wishes.desired == Desired(0)
    hub.faults.clear()
    one.link.poll()
    assert not one.line.trouble and one.wishes.desired.revision == 1


def test_a_kept_connection_that_the_hub_closed_is_made_anew(hub, one):
    one.link.poll()
    closing = [True]

    def close(exchange):
        if closing.pop() if closing else False:
            exchange.connection.close()
            exchange.close_connection = True
            return True
        return False

    hub.faults.append(close)
    one.link.poll()
    assert not one.line.trouble and len(hub.syncs[NAME]) == 2


def test_what_a_hub_says_is_made_harmless(hub, enrolled):
    hub.faults.append(lambda exchange: bool(exchange.refuse(400, "a\n\x1b[2Jb" + "x" * 900)) or True)
    with Hub(hub.url, Line(enrolled)) as dialled, pytest.raises(Refusal) as refusal:
        dialled.ask("GET", SYNC, most_bytes=10)
    assert "\x1b" not in str(refusal.value) and "\n" not in str(refusal.value) and len(str(refusal.value)) < 400
