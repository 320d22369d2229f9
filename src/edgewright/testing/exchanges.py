"""One request to the hub for tests (``testing.hubs``), and its answer, by docs/reference/device-protocol.md."""

from __future__ import annotations

import json
import re
import select
import time
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from edgewright.core.errors import EdgewrightError
from edgewright.core.messages import Enrol, Enrolled, Receipt, Renew, Reports, Sync, read, render
from edgewright.trust.authority import Identity, Peer, Token, check_request, redeem

if TYPE_CHECKING:
    from edgewright.testing.hubs import _Server

TENANT = "acme"
_LOOK_S = 0.02


class Exchange(BaseHTTPRequestHandler):
    """One request and its answer."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        """The handshake, on the connection's own thread."""
        self.request.do_handshake()
        super().setup()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Any method."""
        hub = self.server.hub
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.parts = urlsplit(self.path)
        with hub.changed:
            hub.asked.append(f"{self.command} {self.path}")
            hub.changed.notify_all()
        if any(fault(self) for fault in list(hub.faults)):
            return
        try:
            self._route(self.parts.path.removeprefix("/device/v1/").split("/"))
        except EdgewrightError as error:
            self.refuse(422, str(error))

    do_POST = do_PUT = do_GET  # noqa: N815 - the library's own names

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        """An answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status: int, detail: str, **headers: str) -> None:
        """A problem (RFC 9457)."""
        data = json.dumps({"title": "no", "status": status, "detail": detail}).encode()
        self.send(status, data, Content_Type="application/problem+json", **headers)

    def file(self, data: bytes, digest: str) -> None:
        """A file, or the range of it that is asked for."""
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None:
            self.server.hub.served += len(data)
            return self.send(200, data, ETag=f'"{digest}"')
        begin, end = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
        if begin >= len(data):
            return self.refuse(416, "there is no such range")
        part = data[begin : end + 1]
        self.server.hub.served += len(part)
        return self.send(206, part, ETag=f'"{digest}"', Content_Range=f"bytes {begin}-{end}/{len(data)}")

    def peer(self) -> Peer | None:
        """Who asks; None without a certificate."""
        der = self.request.getpeercert(True)
        return self.server.hub.authority.authenticate(der) if der else None

    def _route(self, place: list[str]) -> None:
        hub, peer = self.server.hub, self.peer()
        if place == ["anchors"]:
            return self.send(200, hub.authority.anchors)
        if place == ["enrol"]:
            return self._enrol()
        if peer is None or (peer.standing(hub.now) != "valid" and place != ["renew"]):
            return self.refuse(401, "no certificate that stands")
        device = peer.identity.device
        if device in hub.revoked:
            return self.refuse(403, "revoked")
        if (
            peer.serial != hub.serials[device][-1]
            and place != ["renew"]
            and hub.serials[device][-1] in hub.serials["seen"]
        ):
            return self.refuse(409, "a newer certificate of this device was seen")
        hub.serials["seen"].append(peer.serial)
        return self._known(place, device)

    def _known(self, place: list[str], device: str) -> None:
        hub = self.server.hub
        match place:
            case ["renew"]:
                self._issue(device, check_request(read(Renew, self.body).csr.encode()), "")
            case ["sync"]:
                self._sync(device)
            case ["reports"]:
                told = read(Reports, self.body).reports
                with hub.changed:
                    for report in told:
                        hub.reports[device][report.boot, report.sequence] = report
                    hub.changed.notify_all()
                self.send(200, render(Receipt(told[-1].boot, told[-1].sequence)))
            case ["updates", name]:
                data = hub.office.files.get(name)
                self.send(200, data) if data is not None else self.refuse(404, "no such metadata")
            case ["bundles", digest] if digest in hub.blobs:
                self.file(hub.blobs[digest], digest)
            case ["files", digest] if digest in hub.files:
                self.file(hub.files[digest], digest)
            case ["deltas", new, old] if (new, old) in hub.recipes:
                hub.served += len(hub.recipes[new, old])
                self.send(200, hub.recipes[new, old])
            case ["uploads", kind, number]:
                with hub.changed:
                    hub.uploads[device, kind, int(number)] = self.body
                    hub.changed.notify_all()
                self.send(204)
            case _:
                self.refuse(404, "there is no such thing")

    def _nudged(self) -> bool:
        """Whether the device has sent something behind its poll: it has more to say."""
        return bool(self.connection.pending() or select.select([self.connection], [], [], 0)[0])

    raw_requestline: bytes

    def parse_request(self) -> bool:
        """An empty line before a request is none."""
        while self.raw_requestline in (b"\r\n", b"\n"):
            self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline:
            self.close_connection = True
            return False
        return super().parse_request()

    def _enrol(self) -> None:
        hub, message = self.server.hub, read(Enrol, self.body)
        request = check_request(message.csr.encode())
        device = message.name or f"device-{request.digest[:8]}"
        if message.token:
            token = Token.parse(message.token)
            record = redeem(hub.tokens.get(token.id), token, device, request.digest, hub.now)
            hub.tokens[token.id] = record
        elif request.digest not in hub.authorised:
            return self.send(202, b"", Retry_After="7")
        repository = hub.office.repository
        assert repository is not None
        return self._issue(device, request, repository.roots[0].decode())

    def _issue(self, device: str, request: Any, root: str) -> None:
        hub = self.server.hub
        issued = hub.authority.issue_device(request, Identity(TENANT, device), hub.now)
        hub.serials[device].append(issued.peer.serial)
        anchors = (hub.authority.anchors.decode(),)
        self.send(200, render(Enrolled(TENANT, device, issued.chain.decode(), anchors, root)))

    def _sync(self, device: str) -> None:
        hub, sync = self.server.hub, read(Sync, self.body)
        end = time.monotonic() + float(parse_qs(self.parts.query).get("wait", ["0"])[0])
        with hub.changed:
            hub.syncs[device].append(sync)
            hub.statuses[device].append(sync.status)
            hub.changed.notify_all()

            def ready() -> bool:
                wanted = hub.desired.get(device)
                news = wanted is not None and wanted.revision != sync.revision
                return news or device in hub.revoked or hub._closed

            while not ready() and (left := end - time.monotonic()) > 0 and not self._nudged():
                hub.changed.wait(min(left, _LOOK_S))
            wanted = hub.desired.get(device)
        if device in hub.revoked:
            return self.refuse(403, "revoked")
        if wanted is not None and wanted.revision != sync.revision:
            return self.send(200, render(wanted))
        return self.send(204)
