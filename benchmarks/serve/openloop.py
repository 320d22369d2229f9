"""An open-loop client: requests leave when they are due, whether or not those before them were answered.

    python openloop.py HOST:PORT MODEL SCHEDULE OUT

SCHEDULE: an .npz with ``due`` and ``limit`` in s (limit 0: no deadline). OUT: ``came`` is when a request was *due*, so
that a client that fell behind cannot flatter the server (coordinated omission), ``ended`` when its answer was whole;
``reply`` holds the first number of each answer. It spins shortly before a request is due: give it a CPU of its own.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from serve.arrivals import EXPIRED, FAILED, OK, REFUSED
from serve.client import http_missing
from serve.onnxfiles import BIG, CNN, MLP
from serve.wire import Array

CODES = {200: OK, 503: REFUSED, 504: EXPIRED}
MOST, PATIENCE_S = 512, 5.0
_TAIL = 40  # all the models here have ten outputs
_now = time.perf_counter


class Client:
    """Connections, and what is on its way on each."""

    def __init__(self, place: tuple[str, int], model: str, x: Array) -> None:
        self._place, self._model, self._tensor = place, model, x.tobytes()
        self._told = {
            "inputs": [{"name": "x", "shape": list(x.shape), "datatype": "FP32",
                        "parameters": {"binary_data_size": x.nbytes}}],
            "outputs": [{"name": "y", "parameters": {"binary_data": True}}],
        }  # fmt: skip
        self._epoll = select.epoll()
        self._idle: list[socket.socket] = []
        self._busy: dict[int, tuple[socket.socket, int, bytearray]] = {}
        for _ in range(32):
            self._idle.append(self._connect())

    def _connect(self) -> socket.socket:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)  # a whole request: sending never waits
        sock.connect(self._place)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._epoll.register(sock, select.EPOLLIN)
        return sock

    def run(self, due: list[float], limit: list[float]) -> dict[str, np.ndarray]:
        """All requests of the schedule, and what became of them."""
        count = len(due)
        ended, code = np.zeros(count), np.full(count, FAILED)
        reply = np.full(count, np.nan, np.float32)
        begin, number, open_ones = _now() + 0.05, 0, 0
        while number < count or (open_ones and _now() < begin + due[-1] + PATIENCE_S):
            now = _now()
            while number < count and begin + due[number] <= now:
                # What is left of it now: a client that is late knows it, and so does the generator in process.
                if self._send(number, limit[number] - (now - begin - due[number]) if limit[number] else 0.0):
                    open_ones += 1
                else:
                    ended[number] = now
                number += 1
            wait = 0.1 if number >= count else begin + due[number] - _now()
            for fd, _ in self._epoll.poll(wait - 0.0015 if wait > 0.0025 else 0):
                if fd not in self._busy:
                    continue
                sock, which, data = self._busy[fd]
                try:
                    piece = sock.recv(65536)
                except ConnectionError:
                    piece = b""
                data += piece
                if piece and http_missing(bytes(data)) > 0:
                    continue
                ended[which] = _now()
                open_ones -= 1
                del self._busy[fd]
                if not piece:
                    self._epoll.unregister(fd)
                    sock.close()
                    continue
                self._idle.append(sock)
                code[which] = CODES.get(int(data[9:12]), FAILED)
                if code[which] == OK:
                    reply[which] = np.frombuffer(bytes(data[-_TAIL:]), np.float32)[0]
        ended[ended == 0] = _now()
        return {"came": begin + np.array(due), "ended": ended, "limit": np.array(limit), "code": code, "reply": reply}

    def _send(self, number: int, limit: float) -> bool:
        told = {"parameters": {"timeout": max(int(1e6 * limit), 1)}, **self._told} if limit else self._told
        head = json.dumps(told).encode()
        first = (
            f"POST /v2/models/{self._model}/infer HTTP/1.1\r\nHost: localhost\r\nInference-Header-Content-Length: "
            f"{len(head)}\r\nContent-Length: {len(head) + len(self._tensor)}\r\n\r\n"
        )
        raw = first.encode() + head + self._tensor
        for _ in range(3):  # an idle connection may have been closed meanwhile
            if not self._idle and len(self._busy) >= MOST:
                return False
            try:
                sock = self._idle.pop() if self._idle else self._connect()
                sock.sendall(raw)
            except OSError:
                continue
            self._busy[sock.fileno()] = sock, number, bytearray()
            return True
        return False


def main() -> None:
    address, model, schedule, out = sys.argv[1:]
    x = {kind.name: kind for kind in (CNN, MLP, BIG)}[model].sample()
    host, _, port = address.rpartition(":")
    drawn = np.load(schedule)
    found = Client((host, int(port)), model, x).run(drawn["due"].tolist(), drawn["limit"].tolist())
    np.savez(out, **found)


if __name__ == "__main__":
    main()
