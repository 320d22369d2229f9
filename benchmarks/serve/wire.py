"""What goes over the wire: requests as each server wants them, and the numbers in its replies."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Place = tuple[str, int] | str
"""Host and port, or the path of a Unix socket."""


@dataclass(frozen=True)
class Request:
    """One POST."""

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def raw(self, host: str = "localhost") -> bytes:
        """As HTTP/1.1 on a connection that stays open."""
        lines = [f"POST {self.path} HTTP/1.1", f"Host: {host}", *(f"{k}: {v}" for k, v in self.headers.items())]
        return ("\r\n".join([*lines, f"Content-Length: {len(self.body)}"]) + "\r\n\r\n").encode() + self.body


def v2_json(model: str, x: Array, timeout_s: float = 0.0) -> Request:
    """The Open Inference Protocol, numbers in JSON."""
    told = _v2(x, timeout_s)
    told["inputs"][0]["data"] = [round(float(v), 6) for v in x.ravel()]
    return Request(f"/v2/models/{model}/infer", json.dumps(told).encode(), {"Content-Type": "application/json"})


def v2_binary(model: str, x: Array, timeout_s: float = 0.0) -> Request:
    """The Open Inference Protocol with the binary extension both ways."""
    body = _binary(x, timeout_s, {})
    head = str(len(body) - x.nbytes)
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": head}
    return Request(f"/v2/models/{model}/infer", body, headers)


def _binary(x: Array, timeout_s: float, more: dict[str, Any]) -> bytes:
    told = more | _v2(x, timeout_s)
    told["inputs"][0]["parameters"] = {"binary_data_size": x.nbytes}
    told["outputs"] = [{"name": "y", "parameters": {"binary_data": True}}]
    return json.dumps(told).encode() + x.tobytes()


def _v2(x: Array, timeout_s: float) -> dict[str, Any]:
    told: dict[str, Any] = {"inputs": [{"name": "x", "shape": list(x.shape), "datatype": "FP32"}]}
    if timeout_s:
        told["parameters"] = {"timeout": max(int(timeout_s * 1e6), 1)}
    return told


def v2_frame(model: str, x: Array, timeout_s: float = 0.0) -> bytes:
    """The same as a frame of Edgewright's lane on a Unix socket, whose JSON names the model, too."""
    body = _binary(x, 0.0, {"model_name": model})
    head = len(body) - x.nbytes
    return struct.pack("<4sBBHIII", b"EWF1", 0, 0, 0, int(timeout_s * 1e6), head, len(body)) + body


def plain_json(path: str, x: Array, nested: bool = False, **more: str) -> Request:
    """``{"x": [...]}``; ``nested``: with the array's shape."""
    numbers = [round(float(v), 6) for v in x.ravel()]
    told = {**more, "x": np.array(numbers).reshape(x.shape).tolist() if nested else numbers}
    return Request(path, json.dumps(told).encode(), {"Content-Type": "application/json"})


def plain_binary(path: str, x: Array) -> Request:
    """The tensor's bytes."""
    return Request(path, x.tobytes(), {"Content-Type": "application/octet-stream"})


def connect(place: Place, timeout_s: float = 10.0) -> socket.socket:
    """An open connection."""
    if isinstance(place, str):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout_s)
        sock.connect(place)
        return sock
    sock = socket.create_connection(place, timeout_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def exchange(place: Place, raw: bytes) -> tuple[int, bytes]:
    """Status and body of one request on a connection of its own. Raises OSError."""
    with connect(place) as sock:
        sock.sendall(raw)
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += _more(sock)
        head = data[:end].lower()
        place_ = head.find(b"content-length:")
        length = int(head[place_ + 15 :].split(b"\r\n")[0]) if place_ >= 0 else 0
        while len(data) < end + 4 + length:
            data += _more(sock)
        return int(data[9:12]), data[end + 4 :]


def exchange_frame(place: Place, raw: bytes) -> tuple[int, bytes]:
    """Status and body of one frame. Raises OSError."""
    with connect(place) as sock:
        sock.sendall(raw)
        data = b""
        while len(data) < 20 or len(data) < 20 + int.from_bytes(data[16:20], "little"):
            data += _more(sock)
        return int.from_bytes(data[8:12], "little"), data[20:]


def get(place: Place, path: str, method: str = "GET") -> tuple[int, bytes]:
    """As ``exchange``, without a body."""
    return exchange(place, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())


def _more(sock: socket.socket) -> bytes:
    data = sock.recv(1 << 20)
    if not data:
        raise ConnectionError("the server closed the connection")
    return data


def numbers(body: bytes, count: int) -> Array:
    """The ``count`` numbers of a reply, whatever its dialect. Raises ValueError when they are not there."""
    if body[:1] in (b"{", b"["):
        try:
            told = json.loads(body)
        except ValueError:
            return _tail(body, count)
        if isinstance(told, dict) and "outputs" in told and "data" not in told["outputs"][0]:
            return _tail(body, count)
        data = told["outputs"][0]["data"] if isinstance(told, dict) and "outputs" in told else told
        flat = np.asarray(data["y"] if isinstance(data, dict) else data, np.float32).ravel()
        if len(flat) != count:
            raise ValueError(f"{len(flat)} numbers instead of {count}")
        return flat
    return _tail(body, count)


def _tail(body: bytes, count: int) -> Array:
    if len(body) < 4 * count:
        raise ValueError(f"{len(body)} bytes are no {count} numbers")
    return np.array(struct.unpack(f"<{count}f", body[-4 * count :]), np.float32)


def write_body(request: Request, path: Path) -> Path:
    """The body in a file, for h2load."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(request.body)
    return path
