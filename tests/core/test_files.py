"""Files are whole or not there, whatever happens to the disk or to the process that writes them."""

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from edgewright.core import files
from edgewright.core.errors import InputError, StorageError
from edgewright.core.files import check_ours, exclusive, read_file, safe_name, sweep, write_file, write_folder

KILLED = """
import os, signal, sys
from pathlib import Path
from edgewright.core import files

left = int(sys.argv[2])
if sys.argv[3] == "two":
    files._exchanged = lambda one, other: False

def counted(call):
    def step(*arguments, **more):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **more)
    return step

for place, name in ((os, "fsync"), (Path, "replace"), (os, "fchmod"), (files, "remove")):
    setattr(place, name, counted(getattr(place, name)))
files.write_folder(Path(sys.argv[1]), {"a": b"new", "b/c": b"new"})
print("done")
"""


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def hidden(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir() if p.name.startswith(".")]


def test_a_file_is_written_with_its_mode_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "file.json"
    write_file(path, b"one")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"one", 0o644)
    write_file(path, b"two", mode=0o600)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"two", 0o600)
    assert hidden(path.parent) == []


def test_a_name_as_long_as_the_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 127)
    write_file(path, b"x")
    assert path.read_bytes() == b"x"
    with pytest.raises(StorageError, match="shorter"):
        write_file(tmp_path / ("x" * 300), b"x")


@pytest.mark.parametrize("one_step", [True, False])
def test_a_folder_replaces_what_stood_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_step: bool) -> None:
    if not one_step:
        monkeypatch.setattr(files, "_exchanged", lambda one, other: False)
    write_folder(tmp_path / "out", {"a": b"1", "old": b"1"})
    write_folder(tmp_path / "out", {"a": b"2", "b/c": b"2"})
    assert content(tmp_path / "out") == {"a": b"2", "b/c": b"2"}
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o755
    assert hidden(tmp_path) == []


def test_a_link_to_a_folder_is_replaced_and_what_it_names_is_left_alone(tmp_path: Path) -> None:
    write_folder(tmp_path / "real", {"a": b"1"})
    (tmp_path / "out").symlink_to("real")
    write_folder(tmp_path / "out", {"b": b"2"})
    assert content(tmp_path / "real") == {"a": b"1"}
    assert content(tmp_path / "out") == {"b": b"2"}
    assert hidden(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission denied"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_failing_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, says: str
) -> None:
    write_file(tmp_path / "file", b"before")
    write_folder(tmp_path / "out", {"a": b"before"})

    def full(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=says) as failure:
        write_file(tmp_path / "file", b"after")
    assert str(tmp_path / "file") in str(failure.value)
    with pytest.raises(StorageError, match=says):
        write_folder(tmp_path / "out", {"a": b"after"})
    assert (tmp_path / "file").read_bytes() == b"before"
    assert content(tmp_path / "out") == {"a": b"before"}
    assert hidden(tmp_path) == []


def test_a_file_in_the_way_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    for write in (
        lambda: write_folder(tmp_path / "file", {"a": b""}),
        lambda: write_file(tmp_path / "file" / "below", b""),
        lambda: exclusive(tmp_path / "file").__enter__(),
    ):
        with pytest.raises(StorageError, match="a file stands where a folder is needed"):
            write()
    assert (tmp_path / "file").read_bytes() == b"mine"
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="a folder stands where a file is needed"):
        write_file(tmp_path / "folder", b"x")


@pytest.mark.parametrize("renames", ["one", "two"])
def test_a_writer_killed_at_any_moment_leaves_the_old_folder_or_the_new_one(tmp_path: Path, renames: str) -> None:
    """Killed before its first, second, ... call that touches the disk, until it comes to its end."""
    old, new = {"a": b"old"}, {"a": b"new", "b/c": b"new"}
    seen = []
    for moment in range(60):
        out = tmp_path / str(moment) / "out"
        write_folder(out, old)
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(out), str(moment), renames], capture_output=True, check=False
        )
        sweep(out.parent)
        seen.append(content(out))
        assert seen[-1] in (old, new)
        assert hidden(out.parent) == []
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    assert seen[0] == old and seen[-1] == new and len(seen) > 8
    assert seen == sorted(seen, key=lambda found: found == new), "once it is the new one it stays the new one"


def test_the_next_write_sweeps_what_a_killed_one_left_and_nothing_else(tmp_path: Path) -> None:
    write_folder(tmp_path / "out", {"a": b"old"})
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "out"), "3", "one"], capture_output=True, check=False)
    assert len(hidden(tmp_path)) == 1
    mine = [".out.txt", ".other.abcdefgh.part", ".out.ABCDEFGH.part", "out.abcdefgh.part"]
    for name in mine:
        (tmp_path / name).write_bytes(b"")
    write_folder(tmp_path / "out", {"a": b"new"})
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["out", *mine])


def test_what_a_living_writer_writes_is_not_swept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with files._claim(path, "part", folder=False) as (_, part), files._claim(path, "part", folder=True) as (_, more):
        write_file(path, b"another's")
        sweep(tmp_path)
        assert part.exists() and more.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_sweeping_goes_below_when_asked_and_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "in" / "side").mkdir(parents=True)
    (tmp_path / "else").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "else")
    for place in ("in", "in/side", "else"):
        (tmp_path / place / ".x.abcdefgh.part").write_bytes(b"")
    (tmp_path / "in" / ".y.abcdefgh.part").symlink_to(tmp_path / "else")
    sweep(tmp_path / "in")
    assert not (tmp_path / "in" / ".x.abcdefgh.part").exists()
    assert (tmp_path / "in" / "side" / ".x.abcdefgh.part").exists()
    sweep(tmp_path / "in", below=True)
    assert not (tmp_path / "in" / "side" / ".x.abcdefgh.part").exists()
    assert (tmp_path / "else" / ".x.abcdefgh.part").exists()
    assert (tmp_path / "in" / ".y.abcdefgh.part").is_symlink()


def test_a_folder_is_one_runs_and_free_again_afterwards(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with exclusive(out):
        with pytest.raises(StorageError, match="in use by another run"), exclusive(out):
            pass
        assert (out / ".lock").exists(), "the second leaves the first one's lock alone"
    assert list(out.iterdir()) == []
    with exclusive(out):
        pass


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from edgewright.core.files import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StorageError, match="in use"), exclusive(tmp_path):
            pass
        holder.kill()
    assert (tmp_path / ".lock").exists()
    with exclusive(tmp_path):
        pass


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"x")
    (tmp_path / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(StorageError), exclusive(tmp_path):
        pass
    assert (tmp_path / "precious").exists()


@pytest.mark.parametrize("name", ["a", "a/b.c", "model.onnx", "ü/ß", "a b", ".hidden"])
def test_safe_names(name: str) -> None:
    assert safe_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "/", "/a", "../a", "a/../b", "a/..", "a//b", "a/", "./a", "a\\b", "a\0b", "C:/a", "c:", "x" * 256],
)
def test_names_that_could_leave_their_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="plain relative name"):
        safe_name(name)
    with pytest.raises(InputError):
        write_folder(tmp_path / "out", {"fine": b"", name: b""})
    assert list(tmp_path.iterdir()) == []


def test_reading_is_bounded_and_takes_plain_files_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    os.mkfifo(tmp_path / "pipe")
    assert read_file(tmp_path / "file", 5) == b"12345"
    for path, says in (
        (tmp_path / "file", "has 5 bytes, more than the 4"),
        (tmp_path / "pipe", "not a regular file"),  # and does not wait for a writer
        (tmp_path, "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (tmp_path / "none", "No such file"),
        (tmp_path / "a\0b", "null"),
    ):
        with pytest.raises(InputError, match=says):
            read_file(path, 4)


def test_a_folder_that_holds_other_things_is_not_replaced(tmp_path: Path) -> None:
    check_ours(tmp_path / "none", ["a"], "the model")
    (tmp_path / "a").mkdir()
    check_ours(tmp_path, ["a/b"], "the model")
    (tmp_path / "thesis").write_bytes(b"")
    with pytest.raises(InputError, match=r"already holds 'thesis'.*for the model"):
        check_ours(tmp_path, ["a/b"], "the model")
