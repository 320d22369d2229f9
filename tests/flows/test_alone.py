"""One candidate alone: made, judged and sealed without a search."""

import json
import shutil

import pytest

import edgewright
from edgewright.cli import main
from edgewright.core.errors import InputError
from edgewright.testing.tiny import OPTIMIZE, tiny_data, tiny_model, write_tiny


@pytest.fixture
def alone(workshop, tmp_path, monkeypatch, capsys):
    """Run ``edgewright optimize --only`` where the run was made; status, report or None, standard error."""
    monkeypatch.chdir(workshop)

    def run(path, *more):
        out = tmp_path / "alone"
        status = main([*OPTIMIZE[:-1], str(out), "--only", str(path), *more])
        said, file = capsys.readouterr(), out / "report.json"
        assert "Traceback" not in said.err
        return status, json.loads(file.read_text()) if file.exists() else None, said.err + said.out

    return run


def other_of(report):
    """A finalist that the search did not choose."""
    return next(c for c in report["candidates"] if c["final"] and c["id"] != report["best"] and c["feasible"])


@pytest.mark.parametrize("file", ["", "candidate.json"])
def test_another_finalist_becomes_the_bundle(workshop, report, alone, tmp_path, file):
    other = other_of(report)
    status, told, _ = alone(workshop / "out" / other["path"] / file)
    assert status == 0 and told["best"] == other["id"] and told["pareto"] == [other["id"]]
    (made,) = told["candidates"]
    assert made["digest"] == other["digest"] and made["final"] and told["settings"]["only"]["steps"] == other["recipe"]
    assert "--only" in told["reproduce"]
    assert "one candidate alone was asked for" in (tmp_path / "alone" / "report.html").read_text()
    assert main(["bundle", "verify", str(tmp_path / "alone" / "bundle"), "--self-test"]) == 0


def test_the_original_alone_goes_as_it_came(workshop, report, alone, tmp_path):
    original = tmp_path / "original"
    assert main(["reproduce", "out/report.json", "--candidate", report["baseline"]["id"], "-o", str(original)]) == 0
    status, told, said = alone(original)
    assert status == 0 and "it goes as it came" in said
    (made,) = told["candidates"]
    assert made["recipe"] == [] and made["digest"] == report["model"]["digest"] and told["best"] == made["id"]


def test_one_that_breaks_a_limit_makes_no_bundle(workshop, report, alone):
    status, told, said = alone(workshop / "out" / other_of(report)["path"], "--max-size-mb", "0.001")
    assert status == 3 and told["best"] is None and "size_bytes <= 1000 B" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recipe": [{"pass": "nothing"}]}, "no pass is named 'nothing'"),
        ({"recipe": "all"}, "holds no recipe"),
        ({"recipe": [{"pass": "fuse"}] * 65}, "at most 64 steps"),
        ({"engine": "triton"}, "names the engine 'triton'"),
        ({"engine_options": {"threads": 2}}, "runs with 2 threads"),
        ({"engine_options": {"threads": "2"}}, "wrong kind"),
        ({"main": 5}, "does not name its model"),
        ({"recipe": [{"pass": "int8_dynamic"}]}, "cannot be made: int8_dynamic"),
    ],
)
def test_what_is_no_candidate_is_told(workshop, report, alone, tmp_path, change, words):
    folder = tmp_path / "odd"
    shutil.copytree(workshop / "out" / other_of(report)["path"], folder)
    told = json.loads((folder / "candidate.json").read_text())
    (folder / "candidate.json").write_text(json.dumps(told | change))
    status, found, said = alone(folder)
    assert status == 2 and found is None and words in said, said
    assert not (tmp_path / "alone" / "report.json").exists()


def test_an_engine_that_the_target_does_not_run(workshop, report, alone):
    other = next(c for c in report["candidates"] if c["path"])
    engine = {"onnxruntime": "openvino", "openvino": "onnxruntime"}[other["engine"]]
    status, _, said = alone(workshop / "out" / other["path"], "--engine", engine)
    assert status == 2 and f"runs on {other['engine']}, which is not here" in said


def test_the_run_that_it_comes_from_is_not_written_over(workshop, report, capsys, monkeypatch):
    monkeypatch.chdir(workshop)
    before = sorted(p.name for p in (workshop / "out" / "candidates").iterdir())
    assert main([*OPTIMIZE, "--only", f"out/{other_of(report)['path']}"]) == 2
    assert "choose another -o" in capsys.readouterr().err
    assert sorted(p.name for p in (workshop / "out" / "candidates").iterdir()) == before


def test_in_python_another_of_the_front_is_sealed(tmp_path):
    write_tiny(tmp_path)
    result = edgewright.optimize(tiny_model(), tiny_data(), "raspberry-pi-5", max_accuracy_drop=5, budget_s=60)
    other = next(c for c in result.finals if c.feasible and c.id != result.best.id)
    assert result.seal(tmp_path / "bundle", candidate=other).content.version == other.id
    unmeasured = next(c for c in result.candidates if c.id not in {one.id for one in result.finals})
    with pytest.raises(InputError, match="none of the finalists"):
        result.seal(tmp_path / "none", candidate=unmeasured)
    assert not (tmp_path / "none").exists()
