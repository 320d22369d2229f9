"""Shared memory in hostile hands: sealed, shrunk, read-only, overlapping, far too large, or no memory at all."""

import fcntl
import json
import os
import socket
import struct

import pytest

from edgewright.runtime.faults import BadRequest
from edgewright.runtime.lanes.frames import ATTACH, HEADER, MAGIC, FrameConnection
from edgewright.runtime.lanes.limits import Budget, Limits
from edgewright.runtime.lanes.loop import Loop
from edgewright.runtime.oip.messages import plan
from edgewright.runtime.oip.regions import Regions

SHRINK = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


@pytest.fixture
def regions():
    made = Regions(most_bytes=4096)
    yield made
    made.close()


def memory(size=4096, seals=0):
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def request(*names, size=8, offset=0):
    place = {"shared_memory_byte_size": size, "shared_memory_offset": offset}
    return json.dumps({"inputs": [
        {"name": name, "datatype": "UINT8", "shape": [size],
         "parameters": {"shared_memory_region": "r", **place}} for name in names]}).encode()  # fmt: skip


def test_what_cannot_be_written_is_the_clients_fault(regions):
    regions.adopt("r", memory(seals=SHRINK))
    assert regions.read("r", 0, 4) == bytes(4)
    with pytest.raises(BadRequest, match="cannot be written: Operation not permitted"):
        regions.write("r", 0, 4, b"abcd")
    fd = memory()
    read_only = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
    os.close(fd)
    regions.adopt("r", read_only)
    with pytest.raises(BadRequest, match="cannot be written: Bad file descriptor"):
        regions.write("r", 0, 4, b"abcd")
    fd = memory()
    write_only = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY)
    os.close(fd)
    regions.adopt("r", write_only)
    with pytest.raises(BadRequest, match="cannot be read"):
        regions.read("r", 0, 4)


def test_a_file_that_is_not_in_memory_is_not_taken(regions):
    with pytest.raises(BadRequest, match="no memory file"):  # reading it asks somebody else, who may take his time
        regions.adopt("r", os.open("/sys/devices/system/cpu/online", os.O_RDONLY))


def test_few_bytes_name_no_more_memory_than_a_body_may_have(regions):
    regions.adopt("r", memory(2**40))  # it takes no memory until it is read
    assert plan(request(*map(str, range(4)), size=1024), regions)
    for wanted in (request(*map(str, range(5)), size=1024), request("x", size=2**31), request("x", size=4097)):
        with pytest.raises(BadRequest, match="may name 4,096 bytes of shared memory, this one names"):
            plan(wanted, regions)


def test_what_is_read_is_a_copy_and_may_lie_where_the_answer_goes(regions):
    fd = memory()
    os.pwrite(fd, b"abcdefgh", 0)
    regions.adopt("r", fd)
    asked = plan(request("x", "y"), regions)
    found = asked.inputs(b"", 0)
    regions.write("r", 4, 8, b"01234567")
    assert bytes(found["x"]) == bytes(found["y"]) == b"abcdefgh"
    assert regions.read("r", 0, 12) == b"abcd01234567"


@pytest.mark.parametrize(("offset", "size"), [(4090, 8), (2**62, 8), (0, 4097), (2**63 - 4, 4)])
def test_places_beyond_the_region(offset, size):
    regions = Regions()
    regions.adopt("r", memory())
    for use in (lambda: regions.read("r", offset, size), lambda: regions.write("r", offset, size, b"")):
        with pytest.raises(BadRequest, match="has 4096 bytes"):
            use()
    regions.close()


def test_all_clients_together_attach_no_more_than_so_many():
    loop, budget, answers = Loop(), Budget(Limits()), []

    def connect():
        ours, theirs = socket.socketpair()
        made = FrameConnection(theirs, loop, None, Limits(), budget, lambda _: None)
        return ours, made

    def attach(ours, made, number):
        told = json.dumps({"name": f"r{number}"}).encode()
        fd = memory()
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", fd))]
        ours.sendmsg([HEADER.pack(MAGIC, ATTACH, 0, 0, 0, len(told), len(told)) + told], rights)
        os.close(fd)
        made._read()
        raw = ours.recv(65536)
        answers.append(HEADER.unpack_from(raw)[4])

    clients = [connect() for _ in range(3)]
    for number in range(258):
        attach(*clients[number % 2], number)
    assert answers == [200] * 256 + [400] * 2
    attach(*clients[0], 0)
    clients[0][1].close()
    attach(*clients[2], 0)
    assert answers[-1] == 200 and budget.regions == 129
    for ours, made in clients:
        made.close()
        ours.close()
    assert budget.regions == 0
    loop.close()
