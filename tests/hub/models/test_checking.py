"""What becomes of a file once it is whole: read in a child that is shut off, kept or refused."""

import io
import subprocess
import sys
import zipfile
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx.external_data_helper import convert_model_to_external_data
from PIL import Image

from edgewright import dataset, load
from edgewright.core.child import ChildLost
from edgewright.core.digests import digest_bytes
from edgewright.core.errors import StorageError
from edgewright.hub import models
from edgewright.hub.models import checking, reading
from edgewright.hub.models.tables import Dataset, Version
from edgewright.hub.plans import set_plan

ONCE = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
"""What a child says of a file does not depend on the database."""


def zipped(files, **how):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, **how) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def picture(value):
    made = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(made, "PNG")
    return made.getvalue()


def test_a_model_is_known_by_what_is_in_it(uploads, make, tmp_path):
    proto = make.onnx(width=16)
    found = uploads.version(proto)
    assert (found["state"], found["stage"], found["format"]) == ("ready", "validated", "onnx")
    assert found["file"] == found["digest"] == digest_bytes(proto.SerializeToString())
    assert found["signature"]["inputs"] == [{"name": "x", "dtype": "float32", "shape": ["n", 16]}]
    assert found["facts"]["parameters"] == 48 and found["facts"]["macs"] == 48
    assert found["facts"]["operators"] == {"MatMul": 1, "Softmax": 1}
    layers = uploads.hub.north.get(f"/api/edge/versions/{found['id']}/graph")["layers"]
    assert [(one["op"], one["macs"], one["shapes"]) for one in layers] == [
        ("MatMul", 48, [[1, 3]]), ("Softmax", 0, [[1, 3]]),
    ]  # fmt: skip
    path = models.place_model(uploads.state, uploads.hub.tenants["north"], found["id"], tmp_path)
    assert load(path).digest == found["digest"]


def test_weights_beside_a_model_come_along_in_a_zip(uploads, make, tmp_path):
    proto = make.onnx(width=600)
    convert_model_to_external_data(proto, location="weights.bin", size_threshold=0)
    onnx.save(proto, tmp_path / "m.onnx")
    data = zipped({f"net/{n}": (tmp_path / n).read_bytes() for n in ("m.onnx", "weights.bin")})
    found = uploads.upload(data, filename="net.zip", model=uploads.model())
    assert found["state"] == "ready" and found["format"] == "zip", found["reason"]
    placed = tmp_path / "placed"
    path = models.place_model(uploads.state, uploads.hub.tenants["north"], found["id"], placed)
    assert load(path).digest == found["digest"] and (placed / "weights.bin").stat().st_size == 600 * 3 * 4


@ONCE
def test_a_scikit_learn_model_is_turned_into_onnx(uploads, tmp_path):
    sklearn = pytest.importorskip("sklearn.linear_model")
    skops = pytest.importorskip("skops.io")
    rows = np.random.default_rng(0).standard_normal((60, 4))
    skops.dump(sklearn.LogisticRegression().fit(rows, np.arange(60) % 3), tmp_path / "m.skops")
    found = uploads.upload((tmp_path / "m.skops").read_bytes(), filename="m.skops", model=uploads.model())
    assert (found["state"], found["format"]) == ("ready", "skops"), found["reason"]
    assert [one["name"] for one in found["signature"]["outputs"]] == ["label", "probabilities"]
    path = models.place_model(uploads.state, uploads.hub.tenants["north"], found["id"], tmp_path / "placed")
    assert load(path).format == "onnx"


@ONCE
def test_a_pytorch_program_is_turned_into_onnx(uploads, tmp_path):
    torch = pytest.importorskip("torch")
    program = torch.export.export(torch.nn.Linear(4, 3).eval(), (torch.zeros(2, 4),))
    torch.export.save(program, tmp_path / "m.pt2")
    found = uploads.upload((tmp_path / "m.pt2").read_bytes(), filename="m.pt2", model=uploads.model())
    assert (found["state"], found["format"]) == ("ready", "pt2"), found["reason"]
    assert found["facts"]["parameters"] == 15


@ONCE
@pytest.mark.parametrize(
    ("filename", "data", "says"),
    [
        ("a.onnx", b"\x00" * 100, "a.onnx is not a whole ONNX file"),
        ("a.onnx", b"\x80\x04 pickled", "not a whole ONNX file"),
        ("a.onnx", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        ("a.pt2", b"nothing", "not a whole exported program"),
        ("a.skops", b"nothing", "skops cannot read it"),
        ("a.zip", b"nothing", "damaged or encrypted"),
        ("a.zip", zipped({"a.txt": b"x"}), "holds 0 .onnx files"),
        ("a.zip", zipped({"a.onnx": b"x", "b.onnx": b"x"}), "holds 2 .onnx files"),
        ("a.zip", zipped({"../a.onnx": b"x"}), "could leave its folder"),
        ("a.zip", zipped({"/etc/a.onnx": b"x"}), "could leave its folder"),
        ("a.zip", zipped({f"{'d/' * 20}a.onnx": b"x"}), "too deep"),
    ],
)
def test_what_is_no_model_is_refused_and_not_kept(uploads, filename, data, says):
    told = uploads.refusal(data, filename=filename, model=uploads.model())
    assert says in told and "upload." not in told


def test_links_and_bombs_in_an_archive_are_refused(tmp_path, monkeypatch):
    from edgewright.core.errors import InputError
    from edgewright.hub.models.unpacking import unpack

    link = zipfile.ZipInfo("a.onnx")
    link.external_attr = 0o120777 << 16
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    for data, says in ((made.getvalue(), "a link"), (zipped({"a": b"\0" * 10**6}), "unpacks to more")):
        (tmp_path / "a.zip").write_bytes(data)
        (tmp_path / "in").mkdir(exist_ok=True)
        with pytest.raises(InputError, match=says):
            unpack(tmp_path / "a.zip", tmp_path / "in", 10**5)


def test_what_was_announced_must_come(uploads, make):
    data = make.onnx().SerializeToString()
    model = uploads.model()
    assert "not " + "0" * 64 in uploads.refusal(data, filename="a.onnx", model=model, sha256="0" * 64)
    assert uploads.upload(data, filename="a.onnx", model=model, sha256=digest_bytes(data))["number"] == 2


def test_arrays_are_known_by_their_samples(uploads, make, tmp_path):
    data = make.npz(rows=40)
    found = uploads.upload(data, filename="d.npz", dataset="digits")
    assert found["state"] == "ready" and found["name"] == "digits"
    assert found["facts"]["samples"] == 40
    assert found["facts"]["labels"] == {"kind": "classes", "count": 40, "classes": 3}
    assert found["facts"]["inputs"] == [{"name": "x", "dtype": "float32", "shape": [4]}]
    path, reading = models.place_dataset(uploads.state, uploads.hub.tenants["north"], found["id"], tmp_path)
    assert path.read_bytes() == data and dataset(path, **reading).labels is not None


def test_a_folder_of_images_comes_in_a_zip(uploads, tmp_path):
    files = {f"photos/{kind}/{i}.png": picture(i) for kind in ("cat", "dog") for i in range(3)}
    files["__MACOSX/._photos"] = b"x"
    found = uploads.upload(zipped(files), filename="photos.zip", dataset="photos")
    assert found["state"] == "ready", found["reason"]
    assert found["facts"]["samples"] == 6 and found["facts"]["classes"] == ["cat", "dog"]
    path, reading = models.place_dataset(uploads.state, uploads.hub.tenants["north"], found["id"], tmp_path)
    assert list(dataset(path, **reading).classes) == ["cat", "dog"]


def objects():
    """Of an array that could only be unpickled."""
    data = io.BytesIO()
    np.savez(data, x=np.array([{}, []], dtype=object))
    return data.getvalue()


@pytest.mark.parametrize(
    ("filename", "data", "says"),
    [
        ("a.npz", b"nothing", "no .npz file"),
        ("a.npz", zipped({"x.npy": b"nothing"}), "not an array"),
        ("a.npz", objects(), "Python objects"),
        ("a.zip", zipped({"a.txt": b"x"}), "no images"),
        ("a.zip", zipped({"cat/1.png": b"nothing", "dog/1.png": b"x"}), "1.png"),
    ],
)
def test_what_is_no_data_is_refused(uploads, filename, data, says):
    told = uploads.refusal(data, filename=filename, dataset="d")
    assert says in told and str(uploads.state.folder) not in told and "upload." not in told


def test_labels_are_read_as_they_were_named(uploads, make):
    data = make.npz(kinds=np.arange(40) % 2)
    found = uploads.upload(data, filename="d.npz", dataset="d", reading='{"labels": "kinds"}')
    assert found["facts"]["labels"]["classes"] == 2 and found["reading"]["labels"] == "kinds"
    assert "no array named 'colours'" in uploads.refusal(
        data, filename="d.npz", dataset="d", reading='{"labels": "colours"}'
    )


def test_a_child_that_changes_the_file_is_found_out(uploads, make, monkeypatch):
    """It has the very file in its hands, and may have been taken over by it."""
    run = checking.run_child

    def taken_over(function, argument, *, folder, **how):
        told = run(function, argument, folder=folder, **how)
        with (folder / argument["path"]).open("r+b") as stream:
            stream.write(b"other bytes")
        return told

    monkeypatch.setattr(checking, "run_child", taken_over)
    assert "changed while it was read" in uploads.refusal(make.npz(), filename="d.npz", dataset="d")
    proto = make.onnx().SerializeToString()
    assert "changed while it was read" in uploads.refusal(proto, filename="m.onnx", model=uploads.model())


LONG = {"name": "x" * 2**16, "dtype": "float32", "shape": [1]}


@pytest.mark.parametrize(
    "told",
    [
        {}, [], None, {"format": "onnx"},
        {"files": {"../model.onnx": "upload.onnx"}}, {"files": {"model.onnx": "/etc/passwd"}}, {"files": {}},
        {"digest": "x" * 64}, {"signature": {"inputs": [], "outputs": []}}, {"layers": {}}, {"facts": []},
        {"signature": {"inputs": [LONG], "outputs": [LONG]}},
    ],
)  # fmt: skip
def test_whatever_a_child_answers_is_held_against_what_it_may(uploads, make, monkeypatch, told):
    run = checking.run_child

    def lying(*arguments, **how):
        true = run(*arguments, **how)
        return {**true, **told} if told and "format" not in told else told

    monkeypatch.setattr(checking, "run_child", lying)
    data = make.onnx().SerializeToString()
    assert uploads.refusal(data, filename="m.onnx", model=uploads.model())


def test_facts_that_cannot_be_kept_are_left_out(uploads, make, monkeypatch):
    run = checking.run_child

    def telling(*arguments, **how):
        return {**run(*arguments, **how), "facts": {"notes": ["x" * 10**6], "macs": 3}}

    monkeypatch.setattr(checking, "run_child", telling)
    found = uploads.version(make.onnx())
    assert found["state"] == "ready" and found["facts"] == {"macs": 3}


@pytest.mark.parametrize("kind", [Version, Dataset])
def test_a_hub_that_ended_in_the_middle_goes_on(uploads, make, kind, clock):
    """Somebody took it and is gone: it is taken again once that one has not said for a minute that it lives."""
    if kind is Version:
        data, about = make.onnx().SerializeToString(), {"filename": "m.onnx", "model": uploads.model()}
    else:
        data, about = make.npz(), {"filename": "d.npz", "dataset": "d"}
    place = uploads.begin(data, **about).headers["Location"]
    state = uploads.state
    checker = checking.checker(state)
    checker._thread = "busy elsewhere"  # nobody of this process checks yet
    uploads.send(place, data, 0)
    checker._thread = None
    taken = checker._take()
    assert taken is not None and checker._take() is None
    uploads.check()
    assert uploads.result(place)["state"] == "checking"
    clock.go_on(seconds=61)
    uploads.check()
    assert uploads.result(place)["state"] == "ready"


def test_a_store_that_does_not_answer_is_asked_again(uploads, make, monkeypatch, clock):
    def broken(*_):
        raise StorageError("the store of objects does not answer")

    monkeypatch.setattr(checking, "expect", broken)
    place = uploads.begin(make.npz(), filename="d.npz", dataset="d").headers["Location"]
    uploads.send(place, make.npz(), 0)
    uploads.check()
    assert uploads.result(place)["state"] == "checking"
    monkeypatch.undo()
    clock.go_on(seconds=61)
    uploads.check()
    assert uploads.result(place)["state"] == "ready"


def test_what_fails_three_times_is_given_up(uploads, make, monkeypatch, clock):
    def broken(*_, **__):
        raise StorageError("the disk is full")

    monkeypatch.setattr(checking, "run_child", broken)
    place = uploads.begin(make.npz(), filename="d.npz", dataset="d").headers["Location"]
    uploads.send(place, make.npz(), 0)
    for _ in range(3):
        uploads.check()
        clock.go_on(seconds=61)
    found = uploads.result(place)
    assert found["state"] == "refused" and "three times" in found["reason"]


def test_what_ends_the_checker_itself_is_given_up_too(uploads, make, monkeypatch, clock):
    """Whatever it is: other files are checked after it, in the same process."""

    def broken(*_, **__):
        raise RecursionError("a hostile answer")

    with monkeypatch.context() as patch:
        patch.setattr(checking, "run_child", broken)
        place = uploads.begin(make.npz(), filename="d.npz", dataset="d").headers["Location"]
        uploads.send(place, make.npz(), 0)
        for _ in range(3):
            uploads.check()
            clock.go_on(seconds=61)
    found = uploads.result(place)
    assert found["state"] == "refused" and "three times" in found["reason"]
    assert uploads.version(make.onnx(width=16))["state"] == "ready"


def test_an_archive_may_take_a_part_of_the_disk_s_room(monkeypatch):
    monkeypatch.setattr(reading.shutil, "disk_usage", lambda _: SimpleNamespace(free=3 * 2**20))
    assert reading._room() == 2**20
    monkeypatch.setattr(reading.shutil, "disk_usage", lambda _: SimpleNamespace(free=2**60))
    assert reading._room() == reading.MOST_UNPACKED


def test_what_it_unpacks_to_is_bounded_by_the_plan(uploads, make):
    proto = make.onnx(width=600)
    data = zipped({"a.onnx": proto.SerializeToString()})
    set_plan(uploads.state, "north", f"storage_bytes={len(data) + 100}")
    assert "larger unpacked" in uploads.refusal(data, filename="net.zip", model=uploads.model())


def test_a_child_that_dies_refuses_the_file(uploads, make, monkeypatch):
    def died(*_, **__):
        raise ChildLost("read_model died in its child process (signal SIGSEGV)")

    monkeypatch.setattr(checking, "run_child", died)
    assert "cannot be read safely" in uploads.refusal(
        make.onnx().SerializeToString(), filename="m.onnx", model=uploads.model()
    )


def test_who_checks_says_that_it_lives(uploads, make, monkeypatch, clock):
    monkeypatch.setattr(checking, "_SAY_S", 0.0)
    run, seen = checking.run_child, []

    def slow(*arguments, **how):
        clock.go_on(minutes=5)
        while not seen:
            with uploads.state.database.read(uploads.hub.tenants["north"]) as session:
                if session.query(Dataset).one().until > clock() - timedelta(seconds=1):
                    seen.append(True)
        return run(*arguments, **how)

    monkeypatch.setattr(checking, "run_child", slow)
    assert uploads.upload(make.npz(), filename="d.npz", dataset="d")["state"] == "ready" and seen


def test_what_is_not_ready_is_not_compiled(uploads, make, tmp_path):
    from edgewright.hub.errors import Absent, Conflict

    tenant = uploads.hub.tenants["north"]
    refused = uploads.upload(b"nothing", filename="a.onnx", model=uploads.model("other"))
    with pytest.raises(Conflict, match="was refused"):
        models.place_model(uploads.state, tenant, refused["id"], tmp_path)
    with pytest.raises(Absent):
        models.place_model(uploads.state, uploads.hub.tenants["south"], refused["id"], tmp_path)
    found = uploads.version(make.onnx())
    uploads.hub.north.ask("PATCH", f"/api/edge/versions/{found['id']}", 200, json={"stage": "retired"})
    with pytest.raises(Conflict, match="retired"):
        models.place_model(uploads.state, tenant, found["id"], tmp_path)


@pytest.mark.parametrize(("name", "lacks"), [("a.skops", "skops"), ("a.pt2", "torch"), ("a.onnx", "onnx")])
def test_what_the_hub_lacks_a_library_for_is_refused_in_words_that_say_so(name, lacks, tmp_path):
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr("models/m.json" if name.endswith("pt2") else "schema.json", "{}")
    program = f"""
import sys
class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, *more):
        return None if name.partition(".")[0] == "{lacks}" else self.finder.find_spec(name, *more)
sys.meta_path[:] = map(Without, sys.meta_path)
from edgewright.core.errors import InputError
from edgewright.hub.models import reading
try:
    reading.read_model({{"path": "{name}", "sha256": ""}})
except InputError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "this hub cannot read" in told.stdout and "is not installed; install it" in told.stdout, told
