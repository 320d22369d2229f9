"""How long one hostile client holds up all others: a second one asks all the while whether the server lives.

    taskset -c 0 python tests/fuzz/hold.py --mib 16 --only 'json|grpc'

For each request: what it was answered, how long it took, the longest that the other one waited, and the most memory so
far. Both clients and the server share the cores that are given; what else runs there counts, too.
"""

import argparse
import contextlib
import gzip
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edgewright.formats import save
from edgewright.testing.build import Build

MIB = 2**20
KINDS = {"f32": "float32", "i64": "int64", "words": "str"}


class Served:
    """A server in a process of its own, and who asks it all the while."""

    def __init__(self, folder: Path) -> None:
        for name, dtype in KINDS.items():
            build = Build()
            build.output(build.node("Identity", build.input("x", ["n"], dtype)), ["n"], dtype=dtype)
            save(build.model(), folder / "made" / name)
            (folder / "models").mkdir(exist_ok=True)
            (folder / "made" / name / "model.onnx").rename(folder / "models" / f"{name}.onnx")
        command = [sys.executable, "-m", "edgewright.runtime", "--models-dir", str(folder / "models"),
                   "--http", "127.0.0.1:0"]  # fmt: skip
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        line = next(line for line in self.process.stderr if " listening " in line)
        self.port = int(line.rpartition(":")[2])
        self.longest, self.asked, self._open = 0.0, 0, True
        self._asker = threading.Thread(target=self._ask)
        self._asker.start()

    def _ask(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while self._open:
                begin = time.perf_counter()
                sock.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
                sock.recv(4096)
                self.longest = max(self.longest, time.perf_counter() - begin)
                self.asked += 1
                time.sleep(0.001)

    def waited(self) -> float:
        """The longest that the other client waited since ``longest`` was set, in s, whoever is answered first."""
        enough = self.asked + 2
        while self.asked < enough:
            time.sleep(0.001)
        return self.longest

    def say(self, data: bytes) -> bytes:
        """Send this, and read until the server closes; how its answers begin."""
        found = b""
        with socket.create_connection(("127.0.0.1", self.port)) as sock:
            sender = threading.Thread(target=_send, args=(sock, data))
            sender.start()
            while piece := sock.recv(MIB):
                found = (found + piece)[:4096]
            sender.join()
        return found

    @property
    def memory(self) -> int:
        """The most that it had, in MB."""
        told = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", told)[1]) // 1000  # type: ignore[index]

    def close(self) -> None:
        """End both."""
        self._open = False
        self._asker.join()
        self.process.terminate()
        self.process.wait()


def _send(sock: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):  # it was refused before it was read
        sock.sendall(data)


def post(path: str, body: bytes, *more: str) -> bytes:
    """A request, the last one of its connection."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Connection: close", f"Content-Length: {len(body)}", *more]
    return "\r\n".join([*lines, "", ""]).encode() + body


def tensor(name: str, kind: str, element: bytes, size: int) -> bytes:
    """A tensor in JSON, of as many elements as ``size`` bytes hold."""
    count = size // (len(element) + 1)
    told = b'{"inputs":[{"name":"x","datatype":"%s","shape":[%d],"data":[' % (kind.encode(), count)
    return post(f"/v2/models/{name}/infer", told + b",".join([element] * count) + b"]}]}")


def binary(name: str, kind: str, raw: bytes, count: int, back: bool) -> bytes:
    """A binary tensor, to come back as such or in JSON."""
    told = b'{"inputs":[{"name":"x","datatype":"%s","shape":[%d],"parameters":{"binary_data_size":%d}}],' % (
        kind.encode(), count, len(raw))  # fmt: skip
    told += b'"parameters":{"binary_data_output":%s}}' % (b"true" if back else b"false")
    return post(f"/v2/models/{name}/infer", told + raw, f"Inference-Header-Content-Length: {len(told)}")


def attacks(size: int) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Names, and what makes the bytes."""
    get = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    chunked = b"POST /v2/models/f32/infer HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    keys = b"{" + b",".join(b'"%d":0' % n for n in range(size // 12)) + b',"0":0}'
    yield "json floats", lambda: tensor("f32", "FP32", b"0.123456", size)
    yield "json digits", lambda: tensor("i64", "INT64", b"1", size)
    yield "json empty lists", lambda: tensor("f32", "FP32", b"[]", size)
    yield "json empty objects", lambda: tensor("f32", "FP32", b"{}", size)
    yield "json empty strings", lambda: tensor("words", "BYTES", b'""', size)
    yield "json one string", lambda: tensor("words", "BYTES", b'"' + b"a" * (size - 3) + b'"', size)
    yield "json a name", lambda: post("/v2/models/f32/infer", b'{"inputs":[{"name":"' + b"\x7f" * size + b'"}]}')
    yield "json keys, one twice", lambda: post("/v2/repository/index", keys)
    yield "binary there and back", lambda: binary("f32", "FP32", bytes(size), size // 4, True)
    yield "binary there, json back", lambda: binary("f32", "FP32", bytes(size), size // 4, False)
    yield "binary there, NaN back", lambda: binary("f32", "FP32", b"\0\0\xc0\x7f" * (size // 4), size // 4, False)
    yield "binary empty strings", lambda: binary("words", "BYTES", bytes(size), size // 4, True)
    yield "gzip of zeros", lambda: post("/v2/models/f32/infer", gzip.compress(bytes(size)), "Content-Encoding: gzip")
    yield "chunks of a byte", lambda: chunked + b"1\r\n \r\n" * (size // 6) + b"0\r\n\r\n" + last
    yield "pipelined", lambda: get % b"/v2/health/live" * (size // 64) + last
    yield "pipelined metrics", lambda: get % b"/metrics" * (size // 8192) + last


def main() -> int:
    """Exit status 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=float, default=16.0, help="size of each request")
    parser.add_argument("--only", default="", metavar="PATTERN")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="edgewright-hold-") as folder:
        served = Served(Path(folder))
        try:
            for name, make in attacks(int(arguments.mib * MIB)):
                if not re.search(arguments.only, name):
                    continue
                data = make()
                time.sleep(0.05)
                served.longest, begin = 0.0, time.perf_counter()
                said = served.say(data)
                took = time.perf_counter() - begin
                print(f"{name:26} {said[9:12].decode():4} {took:7.2f} s   others waited {1e3 * served.waited():8.1f} ms"
                      f"   {served.memory:6} MB", flush=True)  # fmt: skip
        finally:
            served.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
