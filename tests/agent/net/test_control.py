"""Orders on the device while its agent runs: one line each way over a socket of its own."""

import json
import socket
import threading

import pytest

from edgewright.agent import Agent
from edgewright.agent.net import control
from edgewright.agent.net.command import main
from edgewright.agent.net.control import ASKED_BYTES, Busy, Control, Orders, Told, ask
from edgewright.agent.net.hand import Hand
from edgewright.agent.sources import update_from
from edgewright.core.errors import EdgewrightError, InputError, StorageError

NAME = "press-1"


def test_while_the_agent_runs(hub, enrolled, services, offer, made, capsys):
    """A stick's bundle, back again, and where it is; the hub's older word does not undo it."""
    offer("a")
    service = services(enrolled)
    hub.told(NAME, lambda s: s.result == "committed")
    assert main(["update", str(made.b.path), "--state", str(enrolled)]) == 0
    assert service.wishes.overruled["rollout"] == "r1" and service.agent.runtime.serving() == {made.b.digest}
    assert main(["rollback", "--state", str(enrolled)]) == 0
    assert main(["update", str(made.b.path), "--state", str(enrolled)]) == 2, "it was refused here"
    assert main(["update", str(enrolled / "none"), "--state", str(enrolled)]) == 2
    capsys.readouterr()
    assert main(["status", "--json", "--state", str(enrolled)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["agent"], told["runtime"], told["state"], told["serves"]) == (True, True, "idle", made.a.digest)
    assert told["hub"]["trouble"] == "" and made.b.digest in told["refused"]
    assert main(["status", "--state", str(enrolled)]) == 0
    assert "agent    runs\n" in capsys.readouterr().out
    services.stop(service)
    assert ask(enrolled, do="status") is None
    assert main(["status", "--json", "--state", str(enrolled)]) == 0
    assert json.loads(capsys.readouterr().out)["agent"] is False
    with Agent(enrolled) as again:  # what serves goes on without an agent; here it ends
        again.start()
        again.runtime.stop()


@pytest.fixture
def hand(one):
    """A hand on a device whose hub is not asked."""
    orders = Orders(lambda: None)
    made = Hand(one.machine, orders, lambda: one.slots.current, one.wishes.overrule)
    made.orders, made.one = orders, one

    def give(asked, turns=80):
        told = []
        thread = threading.Thread(target=lambda: told.append(_caught(orders, asked)))
        thread.start()
        for _ in range(10**6):
            if orders.waiting is not None:
                break
        for _ in range(turns):
            if not made.turn():
                break
            one.machine.step()
        orders.close()
        thread.join(60)
        return told[0]

    made.give = give
    return made


def _caught(orders, asked):
    try:
        return orders.order(asked)
    except EdgewrightError as error:
        return error


def test_it_comes_before_what_the_hub_wants_and_has_on_its_way(hand, hub, offer, made, key):
    one = hand.one
    offer("a", activate=False)
    one.until("waiting")
    (one.state / "keys").mkdir(exist_ok=True)
    (one.state / "keys" / "s.pub").write_text(key.public.text())
    told = hand.give({"update": update_from(made.b.path)})
    assert told == {"result": "committed", "good": made.b.digest, "reason": ""}
    one.turn()
    assert one.wishes.overruled["bundle"] == made.a.digest and one.slots.current == made.b.digest


def test_there_is_nothing_to_go_back_to(hand):
    assert isinstance(hand.give({}), InputError)


def test_one_order_at_a_time_and_none_after_the_end():
    orders = Orders(lambda: None)
    told = []
    thread = threading.Thread(target=lambda: told.append(_caught(orders, {})))
    thread.start()
    while orders.waiting is None:
        pass
    assert isinstance(_caught(orders, {}), Busy)
    orders.close()
    thread.join(60)
    assert isinstance(told[0], StorageError) and isinstance(_caught(orders, {}), Busy)


@pytest.mark.parametrize("line", [b"\n", b"[]\n", b"{\n", b"x" * (ASKED_BYTES + 10), b'{"do": 3}\n', b'{"do":"fly"}\n'])
def test_what_cannot_be_read_is_answered_and_harms_nobody(tmp_path, line):
    def answer(asked):
        if asked.get("do") != "status":
            raise InputError("no")
        return {"state": "idle"}

    with Control(tmp_path, answer):
        assert (tmp_path / "run" / control.SOCKET).stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(str(tmp_path / "run" / control.SOCKET))
            one.sendall(line)
            one.shutdown(socket.SHUT_WR)
            assert json.loads(one.makefile("rb").readline())["exit_status"] == 2
        assert ask(tmp_path, do="status") == {"state": "idle"}
        with pytest.raises(Told, match="no") as caught:
            ask(tmp_path, do="rollback")
        assert caught.value.exit_status == 2
    assert ask(tmp_path, do="status") is None and ask(tmp_path / "none", do="status") is None


def test_a_folder_whose_path_is_too_long_for_a_socket(tmp_path):
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    with Control(folder, lambda asked: {"state": "idle"}):
        assert ask(folder, do="status") == {"state": "idle"}


def test_a_socket_that_a_killed_agent_left(tmp_path):
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(tmp_path / "run" / control.SOCKET))
    assert ask(tmp_path, do="status") is None
    with Control(tmp_path, lambda asked: {}):
        assert ask(tmp_path, do="status") == {}


def test_an_agent_that_ends_before_it_answers(tmp_path):
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "run" / control.SOCKET))
        one.listen()
        thread = threading.Thread(target=lambda: one.accept()[0].close())
        thread.start()
        with pytest.raises(StorageError, match="agent"):
            ask(tmp_path, do="status")
        thread.join(60)
