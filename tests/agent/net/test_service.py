"""The whole agent on a hub, with a real runtime; and its command line."""

import os
import shutil
import socket
import subprocess
import sys
import threading

import pytest

from edgewright.agent import Agent, Trial
from edgewright.agent.net import Service
from edgewright.agent.net.command import main
from edgewright.agent.net.unit import unit
from edgewright.agent.net.wishes import Wishes
from edgewright.core.child import environment
from edgewright.core.errors import InputError, StorageError
from edgewright.core.messages import Collect, Desired, Release
from edgewright.core.notify import notify

NAME = "press-1"
LONG = 120.0


def test_from_the_hub_to_what_is_served(hub, enrolled, services, offer, made, key):
    service = services(enrolled)
    offer("a")
    told = hub.told(NAME, lambda s: bool(s.result))
    assert (told.result, told.current, told.good) == ("committed", made.a.digest, made.a.digest), told
    first = service.agent.runtime.process.pid
    offer("b", "r2")
    told = hub.told(NAME, lambda s: s.rollout == "r2" and bool(s.result))
    assert (told.result, told.current) == ("committed", made.b.digest), told
    assert service.agent.runtime.serving() == {made.b.digest} and service.agent.runtime.process.pid == first
    release = Release("r2", made.a.digest, activate=True, attempt=2, trial_s=0.0)
    config = {"models": {"m": {"max_batch": 4}}}
    hub.want(NAME, Desired(0, release, config, Collect(diagnostics=1)))
    told = hub.told(NAME, lambda s: s.attempt == 2 and bool(s.result))
    assert (told.result, told.current) == ("committed", made.a.digest)
    hub.until(lambda: (NAME, "diagnostics", 1) in hub.uploads)
    kinds = lambda: [e.kind for report in hub.reports[NAME].values() for e in report.events]  # noqa: E731
    hub.until(lambda: kinds().count("idle") >= 3)
    assert kinds()[:4] == ["booted", "metadata", "preflight", "fetching"] and kinds().count("committed") == 2
    services.stop(service)
    assert service.agent.runtime.process is None, "let go, and not stopped"
    with Agent(enrolled, trial=Trial(0.0)) as again:
        again.start()
        assert again.runtime.alive and again.runtime.serving() == {made.a.digest}
        assert "max_batch" in (enrolled / "runtime.toml").read_text()
        now = again.update(made.c.path)
        assert (now.result, now.good) == ("committed", made.c.digest), "a stick, of a signer that the hub had named"
        again.runtime.stop()


def test_a_key_that_comes_with_an_update_is_one_that_the_runtime_must_know(
    hub, enrolled, services, offer, made, tmp_path
):
    from edgewright.testing.agents import multiplier
    from edgewright.trust import SigningKey

    offer("a")
    service = services(enrolled)
    hub.told(NAME, lambda s: s.result == "committed")
    first, other = service.agent.runtime.process.pid, SigningKey.generate()
    digest = multiplier(tmp_path / "other.ewb", other, 5.0, version="other")
    hub.release(tmp_path / "other.ewb", other.public)
    hub.want(NAME, Desired(0, Release("r2", digest, activate=True, trial_s=0.0)))
    told = hub.told(NAME, lambda s: s.rollout == "r2" and bool(s.result))
    assert (told.result, told.current) == ("committed", digest), told
    assert service.agent.runtime.serving() == {digest}
    assert service.agent.runtime.process.pid == first, "it reads the folder of keys anew"


def test_keys_go_when_no_bundle_needs_them(tmp_path):
    from edgewright.agent import Slots
    from edgewright.agent.net.keys import prune
    from edgewright.testing.agents import multiplier
    from edgewright.trust import SigningKey

    slots, keys, signers = Slots(tmp_path), tmp_path / "keys", [SigningKey.generate() for _ in range(3)]
    keys.mkdir()
    digests = []
    for number, signer in enumerate(signers[:2]):
        digests.append(multiplier(tmp_path / f"{number}.ewb", signer, 2.0, version=str(number)))
        (tmp_path / "made").mkdir()
        (tmp_path / f"{number}.folder").rename(tmp_path / "made" / "m")
        slots.put(digests[-1], tmp_path / "made")
    names = [signer.public.raw.hex() for signer in signers]
    for name, signer in zip(names, signers, strict=True):
        (keys / f"{name}.pub").write_text(signer.public.text())
    (keys / "owner.pub").write_text(signers[2].public.text())
    assert prune(tmp_path, slots) == [names[2]] and (keys / "owner.pub").is_file()
    slots.collect([digests[0]])
    assert prune(tmp_path, slots) == [names[1]] and prune(tmp_path, slots) == []
    (slots.model(digests[0]) / "signature.json").write_text("{")
    (keys / f"{names[1]}.pub").write_text("x")
    assert prune(tmp_path, slots) == [], "nothing, while a bundle cannot be looked at"


def test_by_hand_and_what_the_hub_wanted_before(enrolled, made, key, capsys, monkeypatch):
    """A stick's bundle stays until the hub says something new."""
    (enrolled / "keys").mkdir()
    (enrolled / "keys" / "signer.pub").write_text(key.public.text())
    wanted = Desired(3, Release("r1", made.b.digest, activate=True))
    Wishes(enrolled).take(wanted, 0)
    monkeypatch.setattr("edgewright.agent.agent.Runtime", lambda state, *_: _witness(state))
    monkeypatch.setattr("edgewright.agent.device.Trial", lambda: Trial(0.0))
    assert main(["update", str(made.a.path), "--state", str(enrolled)]) == 0
    assert Wishes(enrolled).overruled == {"rollout": "r1", "attempt": 1, "bundle": made.b.digest}
    assert main(["update", str(made.c.path), "--state", str(enrolled)]) == 0
    assert main(["rollback", "--state", str(enrolled)]) == 0
    assert main(["status", "--state", str(enrolled)]) == 0
    said = capsys.readouterr().out
    assert f"committed: {made.a.digest}" in said and f"rolled_back: {made.a.digest}" in said
    assert f"refused  {made.c.digest[:12]}" in said and "(revision 3)" in said
    assert main(["rollback", "--state", str(enrolled)]) == 2, "there is nothing before it"


def _witness(state):
    from edgewright.testing.agents import Witness

    found = Witness(state)
    found.lock, found.let_go = threading.RLock(), lambda: None
    return found


def test_two_agents_on_one_folder(enrolled):
    with Service(enrolled), pytest.raises(StorageError, match="another agent"):
        Service(enrolled)


def test_before_enrolment(tmp_path, capsys):
    with pytest.raises(InputError, match="not enrolled"):
        Service(tmp_path)
    assert main(["run", "--state", str(tmp_path)]) == 2
    assert main(["status", "--state", str(tmp_path / "none")]) == 2
    assert main(["status", "--state", str(tmp_path)]) == 0


def test_enrolled_from_the_command_line(hub, tmp_path, capsys):
    state = tmp_path / "state"
    labels = ["--label", "line=3", "--target", "pi4"]
    assert main(["enrol", "--hub", hub.url, "--token", hub.token(), "--state", str(state), "--name", "p", *labels]) == 0
    assert "enrolled as p of acme" in capsys.readouterr().out
    assert main(["enrol", "--hub", hub.url, "--state", str(tmp_path / "other")]) == 2
    digest = hub.authority.anchor_digest
    assert main(["enrol", "--hub", hub.url, "--state", str(tmp_path / "other"), "--anchor", digest]) == 1
    said = capsys.readouterr()
    assert "this device's key" in said.out and "authorise" in said.err
    assert main(["enrol", "--hub", hub.url, "--token", "x", "--label", "y", "--state", str(tmp_path)]) == 2


def test_run_from_the_command_line_until_sigterm(hub, enrolled):
    command = [sys.executable, "-P", "-m", "edgewright.agent", "run", "--state", str(enrolled), "--stop-runtime", "--"]
    command += ["--http", "127.0.0.1:0"]
    with subprocess.Popen(command, env=environment(None), stderr=subprocess.PIPE) as child:
        hub.until(lambda: bool(hub.syncs[NAME]))
        child.terminate()
        said = child.communicate(timeout=LONG)[1].decode()
        assert child.returncode == 0, said


def test_the_core_install_is_enough(tmp_path):
    """What the agent imports: nothing of the hub, of flows, of compression, of the runtime."""
    script = (
        "import sys, edgewright.agent.net.command\n"
        "print([n for n in sys.modules if n.partition('.')[2].partition('.')[0] in "
        "('hub', 'flows', 'compression', 'runtime', 'graphs') or n in ('httpx', 'requests', 'fastapi', 'onnx')])"
    )
    ran = subprocess.run([sys.executable, "-c", script], env=environment(None), capture_output=True, check=True)
    assert ran.stdout.decode().strip() == "[]"


def test_the_unit_names_what_matters(capsys, tmp_path):
    assert main(["unit", "--state", str(tmp_path / "a%b")]) == 0
    said = capsys.readouterr().out
    for line in ("Type=notify", "KillMode=process", "WatchdogSec=120", "NoNewPrivileges=yes", "a%%b"):
        assert line in said
    assert 'run --state "/s"' in unit("/s", "/usr/bin/edgewright agent")
    assert "StateDirectory=edgewright\n" in unit("/var/lib/edgewright", "/bin/true")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
@pytest.mark.parametrize("state", ["/var/lib/edgewright", '/srv/a b%c"d'])
def test_systemd_can_read_the_units(tmp_path, state):
    """Its syntax alone: no systemd runs here."""
    from edgewright.hub.unit import unit as hub_unit

    (tmp_path / "agent.service").write_text(unit(state, "/bin/true agent"))
    (tmp_path / "hub.service").write_text(hub_unit(state, ["/bin/true", "hub", "--data", state, "--public-url", "x%y"]))
    (tmp_path / "bad.service").write_text("[Service]\nExecStart=/bin/true\nProtectSystems=strict\n")
    for name, clean in (("agent", True), ("hub", True), ("bad", False)):
        command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / f"{name}.service")]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=LONG, check=False)
        told = [line for line in (ran.stdout + ran.stderr).splitlines() if f"{name}.service" in line]
        assert (ran.returncode == 0 and not told) or not clean, told
        assert told or clean


def test_systemd_is_told(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "n"))
        listener.settimeout(LONG)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))
        notify("READY=1")
        assert listener.recv(100) == b"READY=1"
    notify("WATCHDOG=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("READY=1")
    assert "NOTIFY_SOCKET" not in os.environ
