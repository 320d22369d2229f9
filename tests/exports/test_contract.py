"""Every kind keeps the contract; the command tells what was made and what of it is verified."""

import json
import sys
from types import SimpleNamespace

import pytest

from edgewright.cli import main
from edgewright.core.errors import InputError
from edgewright.exports import EXPORTS, Limit, catalogue, export, make
from edgewright.exports.contract import common
from edgewright.exports.making import CARD
from edgewright.testing.exports import check_export, check_hostile


@pytest.mark.parametrize("kind", EXPORTS)
def test_every_kind_keeps_the_contract(kind, tiny, tmp_path):
    check_export(kind, tiny, tmp_path)


@pytest.mark.parametrize("kind", EXPORTS)
def test_hostile_names_make_no_files_of_their_own(kind, tmp_path):
    check_hostile(kind, tmp_path)


def test_the_list_tells_what_is_verified(capsys):
    assert main(["export", "--list"]) == 0
    said = capsys.readouterr().out
    assert main(["export", "--list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == catalogue()
    for one in catalogue():
        head = f"\n{one['kind']}" + ("" if one["verified"] else "  (unverified)") + "\n"
        assert head in f"\n{said}" and one["needs"] and one["untested"]
    assert [one["kind"] for one in catalogue() if not one["verified"]] == ["android", "cpp-onnxruntime", "ios"]


def test_the_command(tiny, tmp_path, capsys):
    tiny.write(tmp_path / "b")
    (tmp_path / "signer.pub").write_text(tiny.signer.text())
    command = ["export", str(tmp_path / "b"), "--kind", "python", "--signer", str(tmp_path / "signer.pub")]
    assert main([*command, "-o", str(tmp_path / "client")]) == 0
    assert tiny.digest in capsys.readouterr().out
    assert main([*command, "-o", str(tmp_path / "client.zip"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["fits"] and told["bundle"]["digest"] == tiny.digest and told["size_bytes"] < told["limit"]["size_bytes"]
    for wrong in (
        ["export"], ["export", "--list", "--kind", "ci"], ["export", str(tmp_path / "b"), "--kind", "nothing"],
        [*command, "-o", str(tmp_path)], [*command, "-o", str(tmp_path / "signer.pub")],
    ):  # fmt: skip
        assert main(wrong) == 2, wrong
        assert capsys.readouterr().err.count("\n") == 1
    with (tmp_path / "b" / "manifest.json").open("a") as stream:
        stream.write("\n")
    assert main([*command, "-o", str(tmp_path / "other")]) == 1
    assert not (tmp_path / "other").exists()


def test_what_somebody_added_to_an_export_stays(tiny, tmp_path):
    made = export(tiny, "python", tmp_path / "client").path
    for name in ("build/x", "src/mine.py", "golden/link"):
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).symlink_to("/") if name.endswith("link") else (made / name).write_text("mine")
        before = sorted(path.as_posix() for path in made.rglob("*"))
        with pytest.raises(InputError, match=name):
            export(tiny, "python", made)
        assert sorted(path.as_posix() for path in made.rglob("*")) == before
        (made / name).unlink()
    (made / "README.md").unlink()
    assert (export(tiny, "ci", made).path / "gates.sh").is_file() and not (made / "src").exists()
    (made / CARD).write_text("[]")
    with pytest.raises(InputError, match="no export wrote"):
        export(tiny, "ci", made)


class Plain:
    title, needs, tested, untested, limit = (
        "a page",
        "A reader.",
        "this test makes it.",
        "nothing.",
        Limit(10, "x", "y"),
    )

    def files(self, subject):
        told = common(subject, self)
        return {"README.md": (told["identity"] + told["standing"]).encode(), "digest": subject.bundle.digest.encode()}


class Escaping(Plain):
    def files(self, subject):
        return {**super().files(subject), "../outside": b""}


class Doubled(Plain):
    def files(self, subject):
        return {**super().files(subject), "Digest": b""}


def test_a_kind_of_somebody_else_s(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "elsewhere", SimpleNamespace(Plain=Plain, Escaping=Escaping, Doubled=Doubled))
    for name in ("Plain", "Escaping", "Doubled"):
        monkeypatch.setitem(EXPORTS._own, name.lower(), f"elsewhere:{name}")
    made = check_export("plain", tiny, tmp_path)
    assert not made.fits and made.to_json()["limit"]["size_bytes"] == 10
    with pytest.raises(InputError, match="could leave"):
        make(tiny, "escaping")
    with pytest.raises(ValueError, match="one on some file systems"):
        make(tiny, "doubled")


def test_an_unknown_kind_names_those_there_are(tiny):
    with pytest.raises(InputError, match="typescript"):
        make(tiny, "cobol")
