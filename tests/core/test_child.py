"""A child process answers, or says why not; a shut-in one cannot reach what it has no business with."""

from __future__ import annotations

import logging
import os
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgewright.core import sandbox
from edgewright.core.child import ChildError, run_child
from edgewright.core.errors import EdgewrightError

EVAL, EXEC = "builtins:eval", "builtins:exec"


@pytest.fixture(scope="module")
def layers() -> list[str]:
    """What this kernel can shut; the tests of what it cannot are skipped, and so says the product."""
    code = "from pathlib import Path; from edgewright.core.sandbox import confine; print(*confine([Path('/')], []))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("shut", [False, True])
def test_it_answers_in_json(shut: bool) -> None:
    assert run_child(EVAL, "{'a': [1, 2.5, None, 'ä']}", timeout_s=60, sandbox=shut) == {"a": [1, 2.5, None, "ä"]}


def test_large_arguments_and_noise_do_not_block_it() -> None:
    argument = f"print('noise ' * 300000) or len({'x' * 2_000_000!r})"
    assert run_child(EVAL, argument, timeout_s=60) == 2_000_000


def test_an_error_of_ours_keeps_its_family(tmp_path: Path) -> None:
    with pytest.raises(EdgewrightError, match="has no place"):
        run_child("edgewright.core.files:safe_name", "../has no place", timeout_s=60)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("1 / 0", r"died in its child process \(status 1\): ZeroDivisionError"),
        ("__import__('os').abort()", r"died in its child process \(signal SIGABRT\)"),
        ("__import__('os')._exit(0)", r"died in its child process \(status 0\)"),
        ("'x' * 20_000_000", "answered with more than"),
        ("object()", "died in its child process"),
    ],
)
def test_a_child_that_dies_says_how(what: str, message: str) -> None:
    with pytest.raises(ChildError, match=message) as caught:
        run_child(EVAL, what, timeout_s=60)
    assert "\n" not in str(caught.value)


def test_it_is_stopped_when_its_time_is_up_and_so_is_what_it_started(tmp_path: Path) -> None:
    held = tmp_path / "pid"
    code = (
        "import subprocess, sys; "
        f"open({str(held)!r}, 'w').write(str(subprocess.Popen([sys.executable, '-c', 'input()'], "
        "stdin=subprocess.PIPE).pid)); sys.stdout.flush(); import time; time.sleep(600)"
    )
    with pytest.raises(ChildError, match="stopped after 3 s"):
        run_child(EXEC, code, timeout_s=3)
    assert not held.exists() or _is_gone(int(held.read_text()))


def test_memory_is_bounded() -> None:
    with pytest.raises(EdgewrightError, match="needs more than the 1,073,741,824 bytes"):
        run_child(EVAL, "len(bytearray(2**31))", timeout_s=60, memory_bytes=2**30)


def test_it_works_in_an_empty_folder_that_is_gone_afterwards() -> None:
    entries, place = run_child(EVAL, "(__import__('os').listdir('.'), __import__('os').getcwd())", timeout_s=60)
    assert entries == [] and not Path(place).exists()


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    held = tmp_path / "pid"
    inner = f"open({str(held)!r}, 'w').write(str(__import__('os').getpid())) and __import__('time').sleep(600)"
    code = f"from edgewright.core.child import run_child; run_child('builtins:eval', {inner!r}, timeout_s=600)"
    parent = subprocess.Popen([sys.executable, "-c", code])
    while not (held.exists() and held.read_text()):
        assert parent.poll() is None
    parent.kill()
    parent.wait()
    assert _is_gone(int(held.read_text()))


def _is_gone(process: int) -> bool:
    """Whether a process ends; waits for the kernel to say so, not for a time to pass."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 30)[0])
    finally:
        os.close(handle)


HOSTILE: dict[str, tuple[str, str]] = {
    "opens a socket": ("__import__('socket').socket()", "seccomp"),
    "starts a program": ("__import__('subprocess').run(['true'])", "seccomp"),
    "forks": ("__import__('os').fork()", "seccomp"),
    "kills its parent": ("__import__('os').kill(__import__('os').getppid(), 9)", "seccomp"),
    "changes modes": ("__import__('os').chmod('/tmp', 0o700)", "seccomp"),
    "reads the user's files": ("open('{private}').read()", "landlock"),
    "lists the user's folder": ("__import__('os').listdir('{folder}')", "landlock"),
    "writes elsewhere": ("open('{folder}/evil', 'w')", "landlock"),
    "reads its parent's environment": (
        "open(f'/proc/{{__import__(\"os\").getppid()}}/environ').read()", "landlock",
    ),
    "links to the user's files": ("__import__('os').link('{private}', 'mine')", "landlock"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_a_shut_in_child_that(what: str, layers: list[str], tmp_path: Path) -> None:
    code, layer = HOSTILE[what]
    if layer not in layers:
        pytest.skip(f"this kernel has no {layer}")
    private = tmp_path / "private"
    private.write_text("secret")
    with pytest.raises(ChildError, match=r"PermissionError|cross-device"):
        run_child(EVAL, code.format(private=private, folder=tmp_path), timeout_s=60, sandbox=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["private"]


def test_a_shut_in_child_has_its_folder_threads_and_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEWRIGHT_SECRET", "hush")
    (tmp_path / "in").write_text("given")
    code = (
        "import os, threading; t = threading.Thread(target=lambda: open('out', 'w').write(open('in').read()));"
        "t.start(); t.join(); assert 'EDGEWRIGHT_SECRET' not in os.environ, 'leaked';"
        "assert os.environ['HOME'] == os.getcwd(), 'home'"
    )
    run_child(EXEC, code, timeout_s=60, sandbox=True, folder=tmp_path)
    assert (tmp_path / "out").read_text() == "given"


def test_what_it_may_read_it_may_not_write(layers: list[str], tmp_path: Path) -> None:
    if "landlock" not in layers:
        pytest.skip("this kernel has no landlock")
    (tmp_path / "in").write_text("given")
    read = f"open('{tmp_path}/in').read()"
    assert run_child(EVAL, read, timeout_s=60, sandbox=True, reads=[tmp_path]) == "given"
    for wrong in (
        f"open('{tmp_path}/evil', 'w')",
        f"open('{tmp_path}/in', 'a')",
        f"__import__('os').remove('{tmp_path}/in')",
    ):
        with pytest.raises(ChildError, match="PermissionError"):
            run_child(EVAL, wrong, timeout_s=60, sandbox=True, reads=[tmp_path])
    assert (tmp_path / "in").read_text() == "given" and len(list(tmp_path.iterdir())) == 1


def test_one_that_may_start_programs_starts_them_shut_in(layers: list[str], tmp_path: Path) -> None:
    if "landlock" not in layers:
        pytest.skip("this kernel has no landlock")
    (tmp_path / "private").write_text("secret")
    (tmp_path / "own").mkdir()
    inner = (
        f"import socket\nfor try_ in (lambda: open({str(tmp_path / 'private')!r}), lambda: open('/etc/passwd'),"
        " lambda: socket.create_connection(('127.0.0.1', 1), 5)):\n"
        " try:\n  try_()\n  print('open')\n except ConnectionRefusedError:\n  print('reached')\n"
        " except OSError:\n  print('shut')"
    )
    outer = (
        "import subprocess, sys\nfrom pathlib import Path\nfrom edgewright.core.child import readable_folders\n"
        "from edgewright.core.sandbox import confine, lacking\n"
        "layers = confine([*readable_folders(), Path('/dev')], [Path.cwd(), Path('/dev/null')], programs=True)\n"
        f"subprocess.run([sys.executable, '-c', {inner!r}], check=True)\nprint(lacking(layers, programs=True))"
    )
    told = subprocess.run(
        [sys.executable, "-c", outer], cwd=tmp_path / "own", capture_output=True, text=True, check=False
    )  # fmt: skip
    assert told.stdout.split("\n")[:3] == ["shut"] * 3, told
    assert "files" not in told.stdout and "network" not in told.stdout


@pytest.mark.parametrize("shut", [False, True])
def test_it_imports_nothing_from_its_folder(shut: bool, tmp_path: Path) -> None:
    """A model names its data files as it likes: ``json.py`` too."""
    (tmp_path / "edgewright").mkdir()
    for name in ("json.py", "ctypes.py", "sitecustomize.py", "edgewright/__init__.py", "numpy.py"):
        (tmp_path / name).write_text("raise SystemExit('owned')")
    code = "__import__('numpy').float32(1) == 1 and __import__('sys').path.count(__import__('os').getcwd())"
    assert run_child(EVAL, code, timeout_s=60, sandbox=shut, folder=tmp_path) == 0


def test_root_keeps_no_privilege(layers: list[str]) -> None:
    status = run_child(EVAL, "open('/proc/self/status').read()", timeout_s=60, sandbox=True)
    assert "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status


def test_a_hostile_message_is_made_plain() -> None:
    with pytest.raises(ChildError) as caught:
        run_child(EXEC, "raise ValueError('\\x1b[2Jgone\\x07' * 100)", timeout_s=60, sandbox=True)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 450


@pytest.mark.parametrize(
    ("have", "open_to"),
    [
        (["namespaces", "landlock", "seccomp"], []),
        (["landlock", "seccomp"], []),
        (["seccomp"], ["files"]),
        (["namespaces", "landlock"], ["the network", "other programs"]),
        ([], ["files", "the network", "other programs"]),
    ],
)
def test_what_lies_open_is_told(have: list[str], open_to: list[str]) -> None:
    assert sandbox.lacking(have) == open_to


@pytest.mark.parametrize(
    ("layers_in_force", "warned"), [(["seccomp"], True), (["namespaces", "landlock", "seccomp"], False)]
)
def test_a_kernel_without_a_layer_is_told_once_per_child(
    layers_in_force: list[str], warned: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from edgewright.core import child

    answer: Callable[..., Any] = lambda *_: ([{"layers": layers_in_force}, {"result": 1}], 0, "")  # noqa: E731
    monkeypatch.setattr(child, "_run", answer)
    with caplog.at_level(logging.WARNING, logger="edgewright"):
        assert run_child(EVAL, "1", timeout_s=1, sandbox=True) == 1
    assert [("files" in r.getMessage()) for r in caplog.records] == ([True] if warned else [])


def test_signals_of_the_terminal_do_not_reach_it() -> None:
    """Ctrl-C ends the parent, which ends its children; the child itself has a session of its own."""
    assert run_child(EVAL, "__import__('os').getsid(0) == __import__('os').getpid()", timeout_s=60)
