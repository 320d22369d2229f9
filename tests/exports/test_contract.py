"""Every kind keeps the contract; the command tells what was made and what of it is verified."""

import json

import pytest

from edgewright.cli import main
from edgewright.core.errors import InputError
from edgewright.exports import EXPORTS, catalogue, make
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


def test_an_unknown_kind_names_those_there_are(tiny):
    with pytest.raises(InputError, match="typescript"):
        make(tiny, "cobol")
