"""What a job's child process, and a program that it starts, cannot reach."""

import os
import subprocess
import sys

import pytest

INNER = """
import glob, os, socket, sys
def read(path):
    return lambda: open(path, "rb").read(1)
disks = [path for path in glob.glob("/dev/*") if os.path.exists(path) and os.stat(path).st_mode & 0o170000 == 0o060000]
tries = {
    "a file of others": read(sys.argv[1]), "the users": read("/etc/passwd"),
    "the worker's environment": read(f"/proc/{sys.argv[2]}/environ"),
    "the worker's memory": read(f"/proc/{sys.argv[2]}/mem"),
    "the network": lambda: socket.create_connection(("127.0.0.1", int(sys.argv[3])), 5),
    "a socket in a file": lambda: socket.socket(socket.AF_UNIX).connect(sys.argv[4]),
    "the modes of files of others": lambda: os.chmod(sys.argv[1], 0o777),
    "shared memory": lambda: open("/dev/shm/edgewright-evil", "w"),
    **{f"the disk {path}": read(path) for path in disks},
}
for what, one in tries.items():
    try:
        one()
    except OSError:
        continue
    print(what)
open("mine", "w").write("of its own")
"""
OUTER = """
import subprocess, sys
from edgewright.core.sandbox import lacking
from edgewright.hub.jobs.inside import shut_in
print(*lacking(shut_in(), programs=True), sep="\\n", end="")
sys.stdout.flush()
subprocess.run([sys.executable, "-c", *sys.argv[1:]], check=True)
"""


def test_it_and_what_it_starts_reach_its_folder_and_nothing_of_others(tmp_path):
    import socket

    (tmp_path / "own").mkdir()
    private = tmp_path / "private"
    private.write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "local"))
        local.listen()
        words = [sys.executable, "-c", OUTER, INNER, private, str(os.getpid()), str(server.getsockname()[1]),
                 tmp_path / "local"]  # fmt: skip
        told = subprocess.run(words, cwd=tmp_path / "own", capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    if {"files", "the network"} & set(told.stdout.split("\n")):
        pytest.skip("this kernel cannot shut it off, and the worker's log says so")
    assert told.stdout == ""
    assert (tmp_path / "own" / "mine").read_text() == "of its own"
