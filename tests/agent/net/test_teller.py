"""What the hub is told: reports until they are taken, the log and diagnostics when they are asked for."""

import io
import tarfile
import threading

import pytest

from edgewright.agent import Reports
from edgewright.agent.net import Link, Teller
from edgewright.agent.net.collecting import LOG_BYTES, Collector
from edgewright.agent.observing import event
from edgewright.core.messages import Collect, Desired, Event
from edgewright.testing.faults import cutting, refusing

NAME = "press-1"


class Nothing:
    def look(self, collect):
        pass


@pytest.fixture
def told(one, tmp_path):
    """A teller on ``one``, and its reports."""
    log = tmp_path / "some.log"
    log.write_bytes(b"x" * 2**20 + b"the end")
    logs = lambda: {"agent": log, "runtime": tmp_path / "none"}  # noqa: E731
    with Reports(one.state / "reports") as reports:
        made = Teller(one.link, reports, Nothing(), Collector(one.state, logs, lambda: {"journal": [1, 2]}))
        made.reports = reports
        yield made
        made.close()


def say(told, count=1):
    for number in range(count):
        event(told.reports, Event(float(number), "noted", "", f"number {number}"))


def heard(hub):
    return [e.detail for report in hub.reports[NAME].values() for e in report.events]


def test_reports_are_kept_until_they_are_taken(hub, told):
    say(told, 5)
    assert told.tell() == 5.0 and heard(hub) == [f"number {n}" for n in range(5)]
    assert told.reports.batch() == []


@pytest.mark.parametrize(
    "fault", [refusing("reports", 503), refusing("reports", 500), cutting("reports", 5), refusing("reports", 429)]
)
def test_a_receipt_that_is_lost(hub, told, fault):
    say(told, 3)
    hub.faults.append(fault)
    told.tell()
    assert len(told.reports.batch()) == 3
    told.tell()
    assert heard(hub) == ["number 0", "number 1", "number 2"] and not told.reports.batch()


def test_a_receipt_for_another_report(hub, one, told):
    say(told)
    hub.faults.append(lambda e: "reports" in e.path and (e.send(200, b'{"boot": "b", "sequence": 7}') or True))
    told.tell()
    assert len(told.reports.batch()) == 1 and "another report" in one.line.trouble


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_report_that_is_never_taken_does_not_stop_the_others(hub, told, status):
    say(told, 3)
    hub.faults.append(refusing("reports", status, 2))  # all together, and the first one alone
    told.tell()
    assert heard(hub) == ["number 1", "number 2"] and not told.reports.batch()


def test_what_this_agent_cannot_read_any_more_is_dropped(hub, told):
    told.reports.append({"events": "nonsense", "e": "nonsense", "o": 3})
    say(told)
    told.tell()
    assert "number 0" in heard(hub) and not told.reports.batch()


def test_the_state_is_told_when_it_changes(hub, one, told):
    link = Link(one.line, one.wishes, one, lambda: None, wait_s=55.0)
    teller = Teller(link, told.reports, Nothing(), Collector(one.state, dict, dict))
    link.start()
    try:
        for count in range(1, 4):  # each poll is parked for longer than this test may take
            hub.until(lambda count=count: len(hub.syncs[NAME]) >= count, 10.0)
            teller.changed()
            teller.tell()
        say(told, 2)
        teller.tell()
        assert heard(hub) == ["number 0", "number 1"], "over the connection of the poll, which is ended for it"
        hub.want(NAME, Desired(0))
        hub.until(lambda: one.wishes.desired.revision == 1, 10.0)
    finally:
        teller.close()
        link.close()
    assert not one.line.trouble


def test_logs_and_diagnostics_once_for_each_request(hub, one, told):
    hub.want(NAME, Desired(0, collect=Collect(log=2, diagnostics=1)))
    one.link.poll()
    told.tell()
    log = hub.uploads.pop((NAME, "log", 2))
    assert b"the end" in log and len(log) <= LOG_BYTES and b"cannot be read" in log
    with tarfile.open(fileobj=io.BytesIO(hub.uploads.pop((NAME, "diagnostics", 1)))) as archive:
        assert sorted(archive.getnames()) == ["journal.json", "log.txt", "versions.json"]
    told.tell()
    assert not hub.uploads
    again = Collector(one.state, dict, dict)
    again.answer(one.link._hub, one.wishes.desired.collect)
    assert not hub.uploads, "also after a restart"


def test_a_log_that_is_not_taken_is_offered_again(hub, one, told):
    hub.want(NAME, Desired(0, collect=Collect(log=1)))
    one.link.poll()
    hub.faults.append(refusing("uploads", 503))
    told.tell()
    assert not hub.uploads
    told.tell()
    assert list(hub.uploads) == [(NAME, "log", 1)]


def test_a_revoked_device_says_nothing_for_an_hour(hub, one, told):
    say(told)
    hub.revoke(NAME)
    told.tell()
    asked = len(hub.asked)
    assert told.tell() > 3500.0 and len(hub.asked) == asked and len(told.reports.batch()) == 1


def test_a_turn_that_is_asked_for_while_a_poll_begins(hub, one):
    """Its ring comes when the poll has forgotten the last one, and not when it is about to."""
    link, had = Link(one.line, one.wishes, one, lambda: None, wait_s=55.0), threading.Event()

    def ask():
        with link.turn():
            had.set()

    class Begins(threading.Event):
        def clear(self):
            super().clear()
            if not asking.is_alive() and not had.is_set():
                asking.start()
                asking.join(0.3)  # it comes as far as it can

    asking = threading.Thread(target=ask)
    link._stir = Begins()
    link.start()
    try:
        assert had.wait(20.0), "the poll was parked, and nobody told it"
    finally:
        link.close()
        asking.join()
