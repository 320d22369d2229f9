"""A lean closed-loop client: a process of its own, standard library only.

    python -S -E client.py < SPEC

SPEC is JSON: place, raw (a list of requests in base64), wire, connections, seconds, warm, out. ``wire``: "http", or
"frame" (``edgewright.runtime.lanes.frames``). One connection blocks; several share an epoll. Each request's latency
goes to the file ``out`` as a C double in s, and what was counted to standard output. What the client itself costs is in
every figure: the echo server's row is the floor.
"""

from __future__ import annotations

import base64
import json
import select
import socket
import sys
import time
from array import array
from itertools import cycle
from typing import Any

GOOD = b"200"
PIECE = 65536
"""Bytes to read at once. Python makes room for all of them first: 256 kB, which the allocator maps and gives back each
time, would add 15 us to every figure."""


def http_missing(data: bytes) -> int:
    """Bytes that are missing of a whole reply in ``data``; one when that is not known yet."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 1
    place = data.find(b"ontent-", 0, end)
    while place >= 0 and data[place + 7 : place + 14].lower() != b"length:":
        place = data.find(b"ontent-", place + 1, end)
    length = int(data[place + 14 : data.find(b"\r", place)]) if place >= 0 else 0
    return end + 4 + length - len(data)


def http_good(data: bytes) -> bool:
    return data[9:12] == GOOD


def frame_missing(data: bytes) -> int:
    """A frame has 20 bytes of head: the status at 8, the size of what follows at 16."""
    return 20 + int.from_bytes(data[16:20], "little") - len(data) if len(data) >= 20 else 1


def frame_good(data: bytes) -> bool:
    return int.from_bytes(data[8:12], "little") == 200


def connect(place: Any) -> socket.socket:
    if isinstance(place, str):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(place)
    else:
        sock = socket.create_connection((place[0], place[1]))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def alone(
    place: Any, raws: list[bytes], missing: Any, good: Any, warm: int, seconds: float
) -> tuple[array[float], int]:
    """One connection, the requests in turns: latencies in s, and how many replies were not good."""
    clock, found, failed = time.perf_counter, array("d"), 0
    with connect(place) as sock:
        send, recv, following = sock.sendall, sock.recv, cycle(raws).__next__

        def ask() -> bool:
            send(following())
            data = recv(PIECE)
            while missing(data) > 0:
                more = recv(PIECE)
                if not more:
                    raise SystemExit("the server closed the connection")
                data += more
            return bool(good(data))

        for _ in range(warm):
            ask()
        end = clock() + seconds
        now = clock()
        while now < end:
            begin = now
            failed += not ask()
            now = clock()
            found.append(now - begin)
    return found, failed


def several(
    place: Any, raw: bytes, missing: Any, good: Any, warm: int, seconds: float, count: int
) -> tuple[array[float], int]:
    """``count`` connections, each with one request on its way."""
    clock, found, failed, epoll = time.perf_counter, array("d"), 0, select.epoll()
    socks: dict[int, list[Any]] = {}
    for _ in range(count):
        sock = connect(place)
        socks[sock.fileno()] = [sock, b"", 0.0]
        epoll.register(sock, select.EPOLLIN)
    for entry in socks.values():
        entry[2] = clock()
        entry[0].sendall(raw)
    begun = 0.0 if warm else clock()
    seen = 0
    while True:
        for fd, _ in epoll.poll():
            entry = socks[fd]
            data = entry[0].recv(PIECE)
            if not data:
                raise SystemExit("the server closed a connection")
            data = entry[1] + data
            if missing(data) > 0:
                entry[1] = data
                continue
            entry[1] = b""
            now = clock()
            seen += 1
            if begun:
                found.append(now - entry[2])
                failed += not good(data)
                if now - begun > seconds:
                    return found, failed
            elif seen >= warm:
                begun = now
            entry[2] = clock()
            entry[0].sendall(raw)


def main() -> None:
    spec = json.load(sys.stdin)
    raws = [base64.b64decode(raw) for raw in spec["raw"]]
    missing, good = (http_missing, http_good) if spec["wire"] == "http" else (frame_missing, frame_good)
    began = time.perf_counter()
    if spec["connections"] == 1:
        found, failed = alone(spec["place"], raws, missing, good, spec["warm"], spec["seconds"])
    else:
        found, failed = several(
            spec["place"], raws[0], missing, good, spec["warm"], spec["seconds"], spec["connections"]
        )  # fmt: skip
    with open(spec["out"], "wb") as out:  # noqa: PTH123 - pathlib would be one more import
        found.tofile(out)
    told = {"requests": len(found), "failed": failed, "asked": len(found) + spec["warm"],
            "whole_s": time.perf_counter() - began}  # fmt: skip
    print(json.dumps(told))


if __name__ == "__main__":
    main()
