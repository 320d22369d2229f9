"""The floor: reads a request, runs nothing, answers with as many bytes as the small model's reply has.

python echo.py FOLDER PORT      one connection at a time, blocking, at PORT; any number on an epoll at PORT + 1
"""

from __future__ import annotations

import select
import socket
import sys
import threading

_BODY = bytes(40)
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n" % len(_BODY) + _BODY


def whole(data: bytes) -> bool:
    """Whether ``data`` is a request with all of its body."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False
    place = data.lower().find(b"content-length:", 0, end)
    length = 0 if place < 0 else int(data[place + 15 : data.find(b"\r\n", place)])
    return len(data) >= end + 4 + length


def listen(port: int) -> socket.socket:
    sock = socket.create_server(("127.0.0.1", port), backlog=256)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # those accepted inherit it
    return sock


def one_by_one(door: socket.socket) -> None:
    """Serve a connection until it ends, then the next."""
    while True:
        sock, _ = door.accept()
        with sock:
            data = b""
            while piece := sock.recv(1 << 20):
                data += piece
                if whole(data):
                    sock.sendall(REPLY)
                    data = b""


def all_at_once(door: socket.socket) -> None:
    """Serve every connection from one epoll."""
    epoll, known = select.epoll(), dict[int, tuple[socket.socket, bytearray]]()
    epoll.register(door, select.EPOLLIN)
    while True:
        for fd, _ in epoll.poll():
            if fd == door.fileno():
                sock, _ = door.accept()
                known[sock.fileno()] = sock, bytearray()
                epoll.register(sock, select.EPOLLIN)
                continue
            sock, data = known[fd]
            try:
                piece = sock.recv(1 << 20)
            except ConnectionError:
                piece = b""
            if not piece:
                epoll.unregister(fd)
                known.pop(fd)[0].close()
                continue
            data += piece
            if whole(bytes(data)):
                sock.sendall(REPLY)
                data.clear()


if __name__ == "__main__":
    port = int(sys.argv[2])
    threading.Thread(target=all_at_once, args=(listen(port + 1),), daemon=True).start()
    one_by_one(listen(port))
