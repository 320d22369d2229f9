"""``edgewright bundle``: one line for what differs, the right exit status, nothing half-written."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edgewright import bundles
from edgewright.bundles import BundleContent
from edgewright.cli import main
from edgewright.trust import SigningKey, own_key

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*arguments: object) -> tuple[int, str, str]:
        status = main(["bundle", *map(str, arguments)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def trusted(key: SigningKey, home: Path) -> Path:
    (home / "signer.pub").write_text(key.public.text())
    return home / "signer.pub"


def test_key_names_the_own_key_made_on_first_use(say: Say, home: Path) -> None:
    status, out, _ = say("key")
    assert status == 0
    assert own_key().public.id in out
    assert str(home / "config" / "edgewright" / "keys" / "own.pub") in out
    assert json.loads(say("key", "--json")[1])["id"] == own_key().public.id


def test_verify_with_the_own_key(say: Say, content: BundleContent, home: Path) -> None:
    bundles.seal(content, home / "mine")
    status, out, err = say("verify", home / "mine")
    assert (status, err) == (0, "")
    assert "verified" in out
    assert own_key().public.id in out


def test_verify_with_a_named_key(say: Say, packed: Path, trusted: Path) -> None:
    status, out, _ = say("verify", packed, "--key", trusted, "--self-test")
    assert status == 0
    assert "onnxruntime on CPUExecutionProvider: passed" in out


def test_verify_json(say: Say, sealed: Path, trusted: Path) -> None:
    status, out, _ = say("verify", sealed, "--key", trusted, "--self-test", "--json")
    answer = json.loads(out)
    assert (status, answer["verified"], answer["name"]) == (0, True, "classifier")
    assert answer["self_test"][0]["passed"] is True
    (sealed / "extra").write_text("")
    status, out, err = say("verify", sealed, "--key", trusted, "--json")
    answer = json.loads(out)
    assert (status, answer["verified"]) == (1, False)
    assert answer["reason"] == "'extra' does not belong to the bundle"
    assert err.count("\n") == 1


@pytest.mark.parametrize("action", ["verify", "show", "pack", "unpack"])
def test_every_action_verifies_first(say: Say, sealed: Path, trusted: Path, home: Path, action: str) -> None:
    model = sealed / "models" / "onnxruntime" / "model.onnx"
    size = model.stat().st_size
    model.write_bytes(b"changed")
    output = ["-o", home / "out"] if action in ("pack", "unpack") else []
    status, out, err = say(action, sealed, "--key", trusted, *output)
    assert (status, out) == (1, "")
    reason = f"models/onnxruntime/model.onnx has 7 bytes where {size} belong"
    assert err == f"edgewright: {sealed} does not verify: {reason}\n"
    assert not (home / "out").exists()


def test_a_foreign_key_is_not_trusted(say: Say, pristine: Path) -> None:
    own_key()
    status, _, err = say("verify", pristine)
    assert status == 1
    assert "which is not trusted here" in err and "--key FILE.pub" in err


def test_no_key_at_all_makes_none(say: Say, pristine: Path, home: Path) -> None:
    status, _, err = say("verify", pristine)
    assert status == 1
    assert "--key FILE.pub" in err
    assert not (home / "config").exists()


def test_unusable_input(say: Say, sealed: Path, home: Path) -> None:
    for arguments in (("verify", home / "nowhere", "--key", home / "x.pub"), ("verify", sealed, "--key", sealed)):
        status, out, err = say(*arguments)
        assert (status, out) == (2, "")
        assert err.count("\n") == 1


def test_pack_and_unpack(say: Say, pristine: Path, trusted: Path, home: Path) -> None:
    assert say("pack", pristine, "-o", home / "a.ewb", "--key", trusted)[0] == 0
    assert say("unpack", home / "a.ewb", "-o", home / "a", "--key", trusted)[0] == 0
    assert say("pack", home / "a", "-o", home / "b.ewb", "--key", trusted)[0] == 0
    assert (home / "a.ewb").read_bytes() == (home / "b.ewb").read_bytes()
    status, _, err = say("unpack", home / "a.ewb", "-o", home, "--key", trusted)
    assert status == 1
    assert "not a bundle" in err
    status, _, err = say("pack", pristine, "-o", home, "--key", trusted)
    assert status == 1
    assert "name a file" in err


def test_show(say: Say, pristine: Path, trusted: Path) -> None:
    status, out, _ = say("show", pristine, "--key", trusted)
    assert status == 0
    for line in (
        "name       classifier", "input      x: float32[n, 4]", "promise    latency_p99_ms <= 0.3125 ms on host",
        "estimated  energy_mj 1.5 mJ (estimated)", "evidence   report.json", "labels     3: one, two, three µ",
        "promise    accuracy >= 92 % on host",
    ):  # fmt: skip
        assert line in out, out
    status, out, _ = say("show", pristine, "--key", trusted, "--json")
    assert json.loads(out)["schema"] == "edgewright.bundle/1"


def test_nothing_in_a_bundle_steers_the_terminal(say: Say, content: BundleContent, home: Path) -> None:
    import dataclasses

    bundles.seal(dataclasses.replace(content, labels=("\x1b[2Jgone", "\u202eright"), task=""), home / "b")
    status, out, _ = say("show", home / "b")
    assert status == 0
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_a_failed_self_test(say: Say, content: BundleContent, home: Path) -> None:
    import dataclasses

    call = content.golden.calls[0]
    wrong = bundles.Call(call.inputs, {**call.outputs, "k": call.outputs["k"] + 1})
    golden = dataclasses.replace(content.golden, calls=(wrong,))
    bundles.seal(dataclasses.replace(content, golden=golden), home / "b")
    assert say("verify", home / "b")[0] == 0
    status, out, err = say("verify", home / "b", "--self-test")
    assert status == 1
    assert "FAILED" in out
    assert "fails its self-test on onnxruntime: 'k' is inf times as far off" in err


def test_a_self_test_that_cannot_run(
    say: Say, content: BundleContent, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    variant = dataclasses.replace(content.variants[0], engine="openvino", engine_version="1")
    bundles.seal(dataclasses.replace(content, variants=(variant,)), home / "b")
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    status, _, err = say("verify", home / "b", "--self-test")
    assert status == 1
    assert "cannot be tested here" in err


def test_a_key_open_to_others(say: Say, pristine: Path) -> None:
    path = own_key().path
    assert path is not None
    os.chmod(path, 0o644)  # noqa: PTH101
    status, _, err = say("verify", pristine)
    assert status == 1
    assert "chmod 600" in err


def test_help_and_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, status in (
        (["--help"], 0),
        (["verify", "--help"], 0),
        ([], 2),
        (["steal", "x"], 2),
        (["pack", "x"], 2),
    ):
        with pytest.raises(SystemExit) as exit_:
            main(["bundle", *arguments])
        assert exit_.value.code == status
    assert "verify" in capsys.readouterr().out
