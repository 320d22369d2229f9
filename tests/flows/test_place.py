"""A run's folder: one run's at a time, the result shown as a whole, and no failure loses what was there."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgewright.cli import main
from edgewright.core.errors import InputError, StorageError
from edgewright.core.files import exclusive, write_file
from edgewright.core.store import Store
from edgewright.flows.place import KEPT, RESULT, run_folder
from edgewright.testing.tiny import QUICK, write_tiny

OPTIMIZE = ["optimize", "model.onnx", "--data", "data.npz", *QUICK, "-o", "out"]


def contents(out):
    """What a user sees: everything but the store."""
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file() and ".store" not in p.parts}


def leave(new, text):
    """A small result."""
    for name in ("candidates/a/model.onnx", "bundle/manifest.json", "report.html"):
        write_file(new / name, text.encode())
    write_file(new / "report.json", b'{"schema": "edgewright.report/1"}')


def test_a_result_is_shown_when_the_run_ends_and_replaces_the_one_before(tmp_path):
    out = tmp_path / "deep" / "out"
    for text in ("one", "two"):
        with run_folder(out) as new:
            assert contents(out).keys() <= {".lock"}, "an earlier result is not to be taken for this one's"
            leave(new, text)
        assert contents(out)["bundle/manifest.json"] == text.encode()
        assert sorted(p.name for p in out.iterdir()) == [".store", "bundle", "candidates", "report.html", "report.json"]
    with run_folder(out) as new:  # nothing feasible: the old bundle does not stay where a new one would be
        write_file(new / "report.json", b'{"schema": "edgewright.report/1"}')
    assert contents(out).keys() == {"report.json", f"{KEPT}/manifest.json"}
    with run_folder(out) as new:
        leave(new, "three")
    assert contents(out)["bundle/manifest.json"] == b"three"
    assert contents(out)[f"{KEPT}/manifest.json"] == b"two"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, InputError])
def test_a_run_that_fails_leaves_what_was_there(tmp_path, error):
    out = tmp_path / "out"
    with run_folder(out) as new:
        leave(new, "before")
    before = contents(out)
    with pytest.raises(error), run_folder(out) as new:
        leave(new, "half")
        raise error("no")
    assert contents(out) == before
    assert {p.name for p in (out / ".store").iterdir()} == {".gitignore", "CACHEDIR.TAG"}


def test_a_run_that_fails_at_once_leaves_no_folder_and_one_with_work_done_keeps_it(tmp_path):
    with pytest.raises(ValueError, match="no"), run_folder(tmp_path / "out"):
        raise ValueError("no")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="no"), run_folder(tmp_path / "out"):
        Store(tmp_path / "out" / ".store").put("key", 1)
        raise ValueError("no")
    assert Store(tmp_path / "out" / ".store").get("key") == 1
    assert contents(tmp_path / "out") == {}


def test_whichever_rename_fails_the_result_is_the_old_one_or_the_new_one(tmp_path, monkeypatch):
    renames, rename = [], Path.rename
    fail_at = 0

    def counted(self, target):
        renames.append(target)
        if len(renames) == fail_at:
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", counted)
    for fail_at in range(1, 10):
        out = tmp_path / str(fail_at)
        renames.clear()
        wanted, fail_at = fail_at, 0
        with run_folder(out) as new:
            leave(new, "old")
        old = contents(out)
        renames.clear()
        fail_at = wanted
        try:
            with run_folder(out) as new:
                leave(new, "new")
        except StorageError:
            assert contents(out) == old
        else:
            assert contents(out) == {k: v.replace(b"old", b"new") for k, v in old.items()}
            break
    assert wanted == 9, "four to set aside, four to show"


def test_a_folder_in_use_is_left_alone(tmp_path):
    out = tmp_path / "out"
    with run_folder(out) as new:
        leave(new, "before")
    before = contents(out)
    with exclusive(out), pytest.raises(StorageError, match="in use by another run"), run_folder(out):
        pass
    assert contents(out) == before


@pytest.mark.parametrize("theirs", ["candidates", "bundle", "report.json", "report.html"])
def test_what_no_run_left_is_not_touched(tmp_path, theirs):
    write_file(tmp_path / theirs if "." in theirs else tmp_path / theirs / "file", b"theirs")
    (tmp_path / "new").mkdir()
    with pytest.raises(InputError, match=f"already holds '{theirs}'"), run_folder(tmp_path):
        pass
    assert (tmp_path / "new").is_dir()
    assert list(contents(tmp_path).values()) == [b"theirs"]


def test_other_things_in_the_folder_are_no_hindrance(tmp_path):
    write_file(tmp_path / "notes.txt", b"mine")
    with run_folder(tmp_path) as new:
        leave(new, "one")
    shutil.rmtree(tmp_path / ".store")  # it may be deleted, says the store
    with run_folder(tmp_path) as new:
        leave(new, "two")
    assert contents(tmp_path)["notes.txt"] == b"mine"
    assert contents(tmp_path)["report.html"] == b"two"


def test_a_part_that_has_no_place_is_not_lost_in_silence(tmp_path):
    with pytest.raises(ValueError, match="no place for 'extra'"), run_folder(tmp_path / "out") as new:
        leave(new, "one")
        write_file(new / "extra", b"")
    assert not (tmp_path / "out").exists()


def test_only_the_last_name_makes_it_a_result():
    assert RESULT[-1] == "report.json"


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path)
    return tmp_path


def said(capsys):
    """The last line, which must be the only one besides progress."""
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("[") for line in lines[:-1]), lines
    return lines[-1]


def test_a_second_run_says_that_the_folder_is_in_use(bench, capsys):
    with exclusive(bench / "out"):
        assert main(OPTIMIZE) == 1
    assert said(capsys) == "edgewright: out is in use by another run; wait for it or choose another folder"


def test_a_file_where_the_folder_is_needed(bench, capsys):
    (bench / "out").write_text("mine")
    for out in ("out", "out/deeper"):
        assert main([*OPTIMIZE, "-o", out]) == 1
        assert "a file stands where a folder is needed; choose another folder" in said(capsys)
    assert (bench / "out").read_text() == "mine"


def test_a_disk_that_fills_at_any_moment_loses_nothing(bench, capsys, monkeypatch):
    """Whichever write it is that no longer fits."""
    assert main(OPTIMIZE) == 0
    before = contents(bench / "out")
    shutil.copytree(bench / "out", bench / "kept")
    durable, left = os.fsync, 0

    def full(handle):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        durable(handle)

    monkeypatch.setattr(os, "fsync", full)
    capsys.readouterr()
    for moment, fresh in ((0, True), (7, True), (30, True), (2, False), (12, False)):
        out = bench / f"full{moment}"
        if not fresh:
            shutil.copytree(bench / "kept", out)
        left = moment
        assert main([*OPTIMIZE, "-o", out.name]) == 1
        assert "the disk is full; free some space and run again" in said(capsys)
        now = contents(out) if out.exists() else {}
        assert now == ({} if fresh else before)
    assert not (bench / "full0").exists()


def test_a_file_size_limit_is_told(bench):
    """The real thing: the system refuses to let a file grow."""
    program = (
        "import resource, sys\nfrom edgewright.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))\nsys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run([sys.executable, "-c", program, *OPTIMIZE], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "raise the limit (ulimit -f) and run again" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr and contents(bench / "out") == {}


def mounted(script, *arguments):
    """Run a shell script that may mount things, in a mount namespace of its own; None where that is not allowed."""
    for unshare in (["unshare", "-m"], ["unshare", "-rm"]):
        if not shutil.which("unshare"):
            continue
        if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0:
            command = [*unshare, "sh", "-c", script, "sh", *arguments]
            return subprocess.run(command, capture_output=True, text=True, check=False)
    return None


@pytest.mark.parametrize(
    ("mount", "says"),
    [
        ("mount -t tmpfs -o size=64k none small", "the disk is full; free some space and run again"),
        ("mount -t tmpfs -o size=200k none small", "the disk is full; free some space and run again"),
        ("mount -t tmpfs -o ro none small", "the file system is read-only; choose another folder"),
    ],
)
def test_a_small_or_read_only_file_system(bench, mount, says):
    (bench / "small").mkdir()
    script = f'{mount} || exit 77; "$@"; status=$?; find small -path "*/.store" -prune -o -type f -print; exit $status'
    done = mounted(script, sys.executable, "-m", "edgewright", *OPTIMIZE[:-1], "small/out")
    if done is None or done.returncode == 77:
        pytest.skip("this machine does not allow a mount namespace")
    assert done.returncode == 1, done.stderr
    assert says in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr and done.stdout == "", "nothing is shown"
