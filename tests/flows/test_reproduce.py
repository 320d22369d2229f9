"""Reproduce: the same bytes, or a line that says what is not the same."""

import copy
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgewright
from edgewright.cli import main
from edgewright.core.candidate import candidate_id
from edgewright.core.errors import InputError
from edgewright.flows.reported import parse, read_report
from edgewright.flows.reproduce import DifferentBytes, reproduce
from edgewright.testing.tiny import OPTIMIZE, tiny_data, tiny_model, write_tiny


@pytest.fixture
def say(workshop, tmp_path, monkeypatch, capsys):
    """Run ``edgewright reproduce`` where the run was made; status, standard output and standard error."""
    monkeypatch.chdir(workshop)

    def run(*arguments, out=tmp_path / "again"):
        status = main(["reproduce", *map(str, arguments), "-o", str(out)])
        said = capsys.readouterr()
        assert "Traceback" not in said.err and len(said.err.splitlines()) == (status != 0)
        return status, said.out, said.err

    return run


@pytest.fixture
def forged(tmp_path, report):
    """The report changed by a function, as a file."""

    def write(change):
        other = copy.deepcopy(report)
        change(other)
        (tmp_path / "forged.json").write_text(json.dumps(other))
        return tmp_path / "forged.json"

    return write


def best_of(report):
    return next(c for c in report["candidates"] if c["id"] == report["best"])


def named_anew(report):
    """The best candidate under the name that its recipe gives it."""
    made = best_of(report)
    data = report["data"]["calibration"]["digest"]
    made["id"] = candidate_id(report["model"]["digest"], made["recipe"], data, made["engine"], made["engine_options"])
    report["best"] = made["id"]


def content(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_every_candidate_that_was_kept_comes_out_the_same_to_the_byte(workshop, report, say, tmp_path):
    written = [c for c in report["candidates"] if c["path"] is not None]
    assert len(written) >= 2 and any("prune_channels" in str(c["recipe"]) for c in written)
    for c in written:
        status, out, _ = say("out/report.json", "--candidate", c["id"])
        assert status == 0 and c["digest"] in out
        assert content(tmp_path / "again") == content(workshop / "out" / c["path"])


def test_the_best_is_the_default_and_json_stands_alone(report, say, tmp_path):
    status, out, _ = say("out/report.json", "--json")
    told = json.loads(out)
    assert (status, told["candidate"], told["same"], told["changed"]) == (0, report["best"], True, {})
    assert told["digest"] == told["expected"] == best_of(report)["digest"]
    assert Path(told["path"]) == tmp_path / "again" / "model.onnx"


def test_what_was_made_again_can_be_measured(say, tmp_path, workshop, capsys):
    assert say("out/report.json")[0] == 0
    status = main(["measure", "model.onnx", str(tmp_path / "again"), "--data", "data.npz", "--budget", "1s", "--json"])
    assert status == 0, capsys.readouterr().err


@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_number_of_threads_and_the_process_do_not_matter(workshop, report, tmp_path, threads):
    pruned = next(c for c in report["candidates"] if "prune_channels" in str(c["recipe"]) and not c["refused"])
    done = subprocess.run(
        [sys.executable, "-m", "edgewright", "reproduce", "out/report.json", "--candidate", pruned["id"],
         "-o", tmp_path / "again"],
        cwd=workshop, env={**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert pruned["digest"] in done.stdout


def test_paths_are_as_they_were_given_and_can_be_replaced(workshop, say, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = workshop / "out" / "report.json"
    status, _, err = say(place)
    assert status == 2 and "the model model.onnx, which is not there; pass it with --model" in err
    status, _, err = say(place, "--model", workshop / "model.onnx")
    assert status == 2 and "the data data.npz, which are not there; pass them with --data" in err
    assert not (tmp_path / "again").exists()
    assert say(place, "--model", workshop / "model.onnx", "--data", workshop / "data.npz")[0] == 0


def test_another_model_is_told_apart(say, tmp_path):
    other = onnx.load_from_string(tiny_model().data)
    weights = next(t for t in other.graph.initializer if len(t.dims) == 4)
    weights.raw_data = bytes([weights.raw_data[0] ^ 1]) + weights.raw_data[1:]
    onnx.save(other, tmp_path / "other.onnx")
    status, _, err = say("out/report.json", "--model", tmp_path / "other.onnx")
    assert status == 2 and re.search("is not the model of the report: its digest begins with [0-9a-f]{12}", err)
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda a: a["image"].__setitem__((0, 0, 0, 0), 9.0), "differ"),
        (lambda a: a["labels"].__setitem__(0, (a["labels"][0] + 1) % 5), "differ"),
        (lambda a: a.pop("labels"), "the calibration, search, test splits differ"),
        (lambda a: a.update({k: v[:-1] for k, v in a.items()}), "differ"),
    ],
)
def test_other_data_are_told_apart(say, tmp_path, change, says):
    arrays = tiny_data()
    change(arrays)
    np.savez(tmp_path / "other.npz", **arrays)
    status, _, err = say("out/report.json", "--data", tmp_path / "other.npz")
    assert status == 2 and "is not the data of the report: the " in err and says in err
    assert not (tmp_path / "again").exists()


def test_the_same_samples_in_another_file_and_order_are_the_same_data(say, tmp_path):
    order = np.random.default_rng(0).permutation(96)
    np.savez_compressed(tmp_path / "shuffled.npz", **{k: v[order] for k, v in tiny_data().items()})
    assert say("out/report.json", "--data", tmp_path / "shuffled.npz")[0] == 0


@pytest.mark.parametrize("step", [0, 1, -1])
def test_other_bytes_fail_and_name_the_first_step_that_differs(say, forged, report, tmp_path, step):
    def change(value):
        made = best_of(value)
        made["digest"] = "0" * 64
        for one in made["steps"][step:] if step != -1 else made["steps"][-1:]:
            one["digest"] = "0" * 64

    recipe = best_of(report)["recipe"]
    place = step if step >= 0 else len(recipe) - 1
    status, out, err = say(forged(change), "--json")
    assert status == 1
    assert f"first at step {place + 1} of {len(recipe)}, {recipe[place]['pass']};" in err
    assert "software and processor are as they were" in err
    assert json.loads(out)["same"] is False and json.loads(out)["path"] is None
    assert not (tmp_path / "again").exists()


def test_other_bytes_under_other_versions_name_them(say, forged):
    def change(value):
        best_of(value)["digest"] = best_of(value)["steps"][-1]["digest"] = "0" * 64
        value["environment"]["versions"]["onnxruntime"] = "1.2.3"
        value["environment"]["cpu"] = "an \x1b[31mabacus"

    status, _, err = say(forged(change))
    assert status == 1 and "onnxruntime was 1.2.3, is " in err and "cpu was an ?[31mabacus, is " in err


def test_other_versions_alone_do_no_harm(say, forged):
    status, out, _ = say(forged(lambda r: r["environment"]["versions"].update(onnx="1.0")), "--json")
    assert status == 0 and json.loads(out)["changed"]["onnx"]["then"] == "1.0"


def test_a_report_that_tells_no_steps_still_tells_same_from_other(say, forged):
    def forget(value):
        for c in value["candidates"]:
            c["steps"] = []

    assert say(forged(forget))[0] == 0

    def change(value):
        forget(value)
        best_of(value)["digest"] = "0" * 64

    status, _, err = say(forged(change))
    assert status == 1 and "does not tell at which step" in err


def test_a_step_that_is_refused_now_is_named(say, forged):
    def change(value):
        made = best_of(value)
        made["recipe"] = [{"pass": "simplify"}, {"pass": "prune_channels", "keep": 2.0}]
        made["steps"] = []
        named_anew(value)

    status, _, err = say(forged(change))
    assert status == 1 and "step 2 of 2 was refused (prune_channels: keep must lie between 0 and 1)" in err


FORGERIES = {
    "another schema": (lambda r: r.update(schema="edgewright.report/99"), "this version reads"),
    "no schema": (lambda r: r.pop("schema"), "has no 'schema'"),
    "no candidates": (lambda r: r.pop("candidates"), "has no 'candidates'"),
    "candidates that are none": (lambda r: r.update(candidates=[1]), "not an object"),
    "too many candidates": (lambda r: r.update(candidates=[{}] * 10_001), "more than the 10,000"),
    "an id that is a path": (lambda r: best_of(r).update(id="../../../x"), "no candidate's id"),
    "an id twice": (lambda r: r["candidates"].append(best_of(r)), "the same id"),
    "a best that is not there": (lambda r: r.update(best="0" * 12), "not among its candidates"),
    "a best that is a number": (lambda r: r.update(best=3), "not a str"),
    "a digest that is none": (lambda r: best_of(r).update(digest="x"), "no SHA-256"),
    "a digest that is not the last step's": (lambda r: best_of(r).update(digest="0" * 64), "of its last step"),
    "a recipe that is text": (lambda r: best_of(r).update(recipe="rm -rf"), "not a list"),
    "an endless recipe": (lambda r: best_of(r).update(recipe=[{"pass": "fuse"}] * 65), "more than the 64"),
    "options within options": (lambda r: best_of(r)["engine_options"].update(x=[1]), "neither a number nor text"),
    "a path with a NUL": (lambda r: r["model"].update(source="a\0b"), "cannot be one"),
    "an endless path": (lambda r: r["data"].update(source="a" * 5000), "cannot be one"),
    "an empty path": (lambda r: r["model"].update(source=""), "cannot be one"),
    "two seeds": (lambda r: r["settings"].update(seed=5), "seeded differently"),
    "a seed below 0": (lambda r: r["settings"].update(seed=-1), "negative"),
    "a seed that is a truth": (lambda r: r["settings"].update(seed=True), "not a int"),
    "an instruction set that is none": (lambda r: r["target"]["isa"].update(names=[1]), "not a string"),
    "labels that are a list": (lambda r: r["data"].update(labels=["a"]), "how the data were read"),
    "missing values of another kind": (lambda r: r["data"].update(missing="x"), "how the data were read"),
    "preprocessing that is text": (lambda r: r["data"].update(preprocessing="x"), "not a dict"),
    "preprocessing that is impossible": (lambda r: r["data"].update(preprocessing={"size": [0, 0]}), "size"),
    "preprocessing of other keys": (lambda r: r["data"].update(preprocessing={"exec": "x"}), "unknown key"),
    "an unknown pass": (lambda r: best_of(r)["recipe"].__setitem__(0, {"pass": "os.system"}), "no pass is named"),
    "an option of another kind": (
        lambda r: best_of(r)["recipe"].__setitem__(0, {"pass": "fuse", "contrib": "yes"}), "must be true or false"),
    "an unknown option": (lambda r: best_of(r)["recipe"].__setitem__(0, {"pass": "fuse", "x": 1}), "has no option 'x'"),
    "an empty recipe": (lambda r: best_of(r).update(recipe=[], steps=[]), "was changed after it was written"),
    "another engine": (lambda r: best_of(r).update(engine="x"), "was changed after it was written"),
    "other options": (lambda r: best_of(r)["engine_options"].update(threads=64), "was changed after it was written"),
    "a step without a name": (lambda r: best_of(r)["recipe"].__setitem__(0, {}), "name the pass"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_report_gets_one_line(say, forged, tmp_path, name):
    change, says = FORGERIES[name]
    status, _, err = say(forged(change))
    assert status == 2 and says in err, err
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not JSON"),
        (b"\x89PNG\r\n", "not UTF-8"),
        (b"[]", "is not an object"),
        (b'{"schema": "edgewright.report/1", "schema": "x"}', "twice"),
        (b'{"schema": NaN}', "NaN"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"schema": "edgewright.report/1"', "not JSON"),
    ],
)
def test_what_is_no_report_gets_one_line(say, tmp_path, data, says):
    (tmp_path / "report.json").write_bytes(data)
    status, _, err = say(tmp_path / "report.json")
    assert status == 2 and says in err


def test_a_report_that_is_no_file(say, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge.json").open("wb") as stream:
        stream.truncate(1 << 29)
    for path, says in (("pipe", "not a regular file"), ("none", "No such file"), ("huge.json", "more than the")):
        status, _, err = say(tmp_path / path)
        assert status == 2 and says in err


@settings(max_examples=200)
@given(st.data())
def test_no_value_in_a_report_breaks_its_reader(report, data):
    """Any one value, anywhere, replaced by any other: the reader reads it or says what is wrong."""
    other = copy.deepcopy({k: report[k] for k in ("schema", "model", "data", "target", "settings", "baseline", "best",
                                                  "environment")})  # fmt: skip
    other["candidates"] = copy.deepcopy(report["candidates"][:2])
    other["best"] = other["candidates"][0]["id"]
    place, key = other, data.draw(st.sampled_from(sorted(other)))
    while data.draw(st.booleans()) and isinstance(place[key], dict | list) and place[key]:
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    junk = (
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.just([]) | st.just({})
    )
    place[key] = data.draw(junk | st.lists(junk, max_size=3) | st.dictionaries(st.text(), junk, max_size=3))
    try:
        told = parse(other)
    except ValueError as error:
        assert str(error)
    else:
        assert all(re.fullmatch("[0-9a-f]{12}", c) for c in told.candidates)


def test_code_named_by_a_report_is_not_run_unless_asked_for(say, forged, tmp_path, monkeypatch):
    (tmp_path / "samples_of_mine.py").write_text(
        "from pathlib import Path\nfrom edgewright.testing.tiny import tiny_data\n"
        f"Path({str(tmp_path / 'ran')!r}).touch()\n\ndef give():\n    return tiny_data()\n"
    )
    path = forged(lambda r: r["data"].update(source="samples_of_mine:give"))
    monkeypatch.syspath_prepend(str(tmp_path))
    status, _, err = say(path)
    assert status == 2 and "code, which would be run; allow it with --data samples_of_mine:give" in err
    assert not (tmp_path / "ran").exists()
    assert say(path, "--data", "samples_of_mine:give")[0] == 0
    assert (tmp_path / "ran").exists()


def test_a_folder_that_holds_other_things_is_left_alone(say, tmp_path, workshop):
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "thesis.tex").write_text("mine")
    status, _, err = say("out/report.json")
    assert status == 2 and "already holds 'thesis.tex'" in err
    assert content(tmp_path / "again") == {"thesis.tex": b"mine"}
    (tmp_path / "file").write_text("mine")
    status, _, err = say("out/report.json", out=tmp_path / "file")
    assert status == 1 and "a file stands where a folder is needed" in err
    status, _, err = say("out/report.json", out=workshop / "out")
    assert status == 2 and (workshop / "out" / "report.json").exists()


def test_labels_under_another_name_are_read_again_in_the_same_way(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path)
    arrays = tiny_data()
    arrays["kind"] = arrays.pop("labels")
    np.savez("data.npz", **arrays)
    assert main(OPTIMIZE) == 2 and "--labels kind" in capsys.readouterr().err
    chosen = ["--labels", "kind", "--missing", "keep"]
    status = main([*OPTIMIZE, *chosen])
    said = capsys.readouterr()
    assert status == 0, said.err
    told = json.loads((tmp_path / "out/report.json").read_text())
    assert (told["data"]["labels"], told["data"]["missing"]) == ("kind", "keep")
    assert "--labels kind --missing keep" in told["reproduce"]
    assert main(["reproduce", "out/report.json", "-o", "again"]) == 0


def test_a_candidate_that_is_not_there_or_was_never_made(say, forged, report):
    status, _, err = say("out/report.json", "--candidate", "nonesuch")
    assert status == 2 and "no candidate 'nonesuch'; it has: " in err and report["candidates"][0]["id"] in err

    def refuse(value):
        made = best_of(value)
        made["recipe"], made["refused"] = [{"pass": "prune_channels", "keep": 2.0}], ["prune_channels: no"]
        made["steps"] = [{"step": {}, "status": "refused", "digest": "0" * 64}]
        named_anew(value)

    status, _, err = say(forged(refuse))
    assert status == 2 and "was never made: prune_channels: no; name another" in err


def test_without_a_best_one_must_be_named(say, forged, report):
    path = forged(lambda r: r.update(best=None))
    status, _, err = say(path)
    assert status == 2 and "no best candidate; name one with --candidate: " in err
    assert say(path, "--candidate", report["best"])[0] == 0


def test_the_baseline_is_the_model_itself(say, report):
    status, out, _ = say("out/report.json", "--candidate", report["baseline"]["id"])
    assert status == 0 and report["model"]["digest"] in out


def test_images_with_declared_and_assumed_preprocessing(tmp_path, monkeypatch, capsys):
    """Pixels in, the same preprocessing from the report, the same bytes out: wherever the images lie."""
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Path("model.onnx").write_bytes(tiny_model().data)
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        Path("images", name).mkdir(parents=True)
        for i in range(20):
            Image.fromarray(rng.integers(0, 255, (14, 15, 3), np.uint8)).save(f"images/{name}/{i}.png")
    Path("prepare.json").write_text(json.dumps({"size": [12, 12], "mean": [0.5], "std": [0.25], "fit": "crop"}))
    common = ["--target", "raspberry-pi-5", "--keep-structure", "--engine", "onnxruntime", "--budget", "30s"]
    common += ["--max-accuracy-drop", "60"]
    digests = []
    for out, declared in (("a", []), ("b", ["--preprocessing", "prepare.json"])):
        assert main(["optimize", "model.onnx", "--data", "images", *common, *declared, "-o", out]) == 0
        Path("elsewhere").mkdir(exist_ok=True)
        again = ["reproduce", f"{out}/report.json", "-o", f"{out}-again"]
        assert main(again) == 0
        told = json.loads(Path(out, "report.json").read_text())
        assert told["data"]["preprocessing"]["size"] == [12, 12]
        digests.append(told["data"]["calibration"]["digest"])
        int8 = next(c for c in told["candidates"] if "int8_static" in str(c["recipe"]))
        assert main([*again, "--candidate", int8["id"]]) == 0
    assert digests[0] != digests[1]
    capsys.readouterr()


def test_a_run_from_python_names_no_files_and_takes_them_as_arguments(tmp_path, workshop):
    result = edgewright.optimize(
        tiny_model(), tiny_data(), "raspberry-pi-5", keep_structure=True, engines=("onnxruntime",), budget_s=30
    )
    path = result.report(tmp_path / "report.json")
    with pytest.raises(InputError, match="names no file of its model"):
        reproduce(path)
    with pytest.raises(InputError, match="names no file of its data"):
        reproduce(path, model=tiny_model())
    again = reproduce(path, model=tiny_model(), data=tiny_data())
    assert again.same and again.model == result.best.model
    assert reproduce(path, model=str(workshop / "model.onnx"), data=edgewright.dataset(tiny_data())).same
    assert read_report(path).model is None


def test_what_differs_is_not_written(workshop, forged, monkeypatch, tmp_path):
    monkeypatch.chdir(workshop)

    def change(value):
        best_of(value)["digest"] = best_of(value)["steps"][-1]["digest"] = "0" * 64

    again = reproduce(forged(change))
    assert not again.same
    with pytest.raises(DifferentBytes):
        again.write(tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_the_report_that_ships_with_the_bundle_will_do_as_well(workshop, say, report):
    """It names no paths of the machine it was made on."""
    (evidence,) = (workshop / "out" / "bundle").rglob("report.json")
    status, _, err = say(evidence)
    assert status == 2 and "names no file of its model" in err
    status, out, _ = say(evidence, "--model", "model.onnx", "--data", "data.npz")
    assert status == 0 and best_of(report)["digest"] in out
