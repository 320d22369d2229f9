"""A hub for tests of devices: the device protocol over real mTLS, in one process, with faults to order.

    with TestHub(folder) as hub:
        token = hub.token()                              # for `enrol(state, hub.url, token)`
        hub.release(path, digest, signer)                # into the update metadata, signed
        hub.want("press-1", Desired(...))                # a device's desired state; revisions are given here
        hub.statuses["press-1"], hub.reports["press-1"]  # what it told

It keeps to docs/reference/device-protocol.md and is simple: no tenants but one, no store, a thread for a connection.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from edgewright import bundles
from edgewright.bundles.deltas import make_delta
from edgewright.core.closing import Closing
from edgewright.core.digests import digest_bytes
from edgewright.core.errors import EdgewrightError
from edgewright.core.messages import Desired, Enrol, Enrolled, Receipt, Renew, Report, Status, Sync, read, render
from edgewright.testing.updates import Office
from edgewright.trust import PublicKey
from edgewright.trust.authority import (
    Authority,
    Identity,
    Peer,
    Token,
    check_request,
    issue_token,
    redeem,
    server_context,
    write_private,
)
from edgewright.trust.updates import Release, propose_release

TENANT = "acme"
Fault = Callable[["Exchange"], bool]
"""Given the exchange before it is answered; True when it answered by itself."""


class TestHub(Closing):
    """At ``url``, on this machine. ``faults``: called in turn before each answer; ``asked``: method and path of all
    requests; ``served``: bytes of bundles, chunks and files that were sent."""

    __test__ = False

    def __init__(self, folder: Path, now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC)
        self.authority = Authority.create(folder / "ca", self.now)
        self.office = Office(self.now)
        self.faults: list[Fault] = []
        self.tokens: dict[str, Any] = {}
        self.authorised: set[str] = set()
        self.serials: dict[str, list[str]] = defaultdict(list)
        self.revoked: set[str] = set()
        self.desired: dict[str, Desired] = {}
        self.statuses: dict[str, list[Status]] = defaultdict(list)
        self.syncs: dict[str, list[Sync]] = defaultdict(list)
        self.reports: dict[str, dict[tuple[str, int], Report]] = defaultdict(dict)
        self.uploads: dict[tuple[str, str, int], bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.files: dict[str, bytes] = {}
        self.recipes: dict[tuple[str, str], bytes] = {}
        self.asked: list[str] = []
        self.served = 0
        self.changed = threading.Condition()
        self._folder, self._closed = folder, False
        self._server = _Server(("127.0.0.1", 0), Exchange)
        self._server.hub = self
        self.serve()
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def serve(self) -> None:
        """Answer with a new certificate, by what the authority is now."""
        path = self._folder / "server.pem"
        write_private(path, self.authority.issue_server(["127.0.0.1"], self.now).pem)
        self._server.context = server_context(path, self.authority.anchors)

    def close(self) -> None:
        """Answer no more."""
        with self.changed:
            self._closed = True
            self.changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def token(self, device: str | None = None) -> str:
        """One that lets one device in."""
        token, record = issue_token(TENANT, self.authority.anchor_digest, self.now, device=device)
        self.tokens[token.id] = record
        return token.text()

    def release(
        self, path: Path, signer: PublicKey, hardware: tuple[str, ...] = (), deltas: tuple[Path, ...] = ()
    ) -> Release:
        """Let the bundle's file at ``path`` be run, with deltas from those at ``deltas``."""
        data, bundle = path.read_bytes(), bundles.verify(path, [signer])
        made = Release(
            digest_bytes(data), len(data), f"r{bundle.content.version}", bundle.content.name, bundle.content.version,
            hardware, bundle.digest, signer.raw.hex(),
        )  # fmt: skip
        repository = self.office.repository
        assert repository is not None
        self.office.publish(targets=self.office.signed(propose_release(repository.targets, self.office.now, [made])))
        self.blobs[made.sha256] = data
        self.files |= {digest_bytes(one): one for one in bundle.files.values()}
        for old in deltas:
            before = bundles.verify(old, [signer])
            delta = make_delta(before.files, bundle.files)
            self.recipes[bundle.digest, before.digest] = delta.recipe
            self.files |= delta.chunks
        return made

    def want(self, device: str, desired: Desired) -> int:
        """What the device should be from now on; its revision."""
        with self.changed:
            before = self.desired.get(device)
            self.desired[device] = desired.at((before.revision if before else 0) + 1)
            self.changed.notify_all()
            return self.desired[device].revision

    def revoke(self, device: str) -> None:
        """Let it in no more; what is parked ends."""
        with self.changed:
            self.revoked.add(device)
            self.changed.notify_all()

    def told(self, device: str, wanted: Callable[[Status], bool], seconds: float = 60.0) -> Status:
        """The first status of the device that is as wanted, waited for. Raises AssertionError."""
        with self.changed:
            self.changed.wait_for(lambda: any(map(wanted, self.statuses[device])), seconds)
            found = [one for one in self.statuses[device] if wanted(one)]
        assert found, [(s.state, s.result, s.reason) for s in self.statuses[device]]
        return found[0]

    def until(self, wanted: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait until something that a request changes is as wanted. Raises AssertionError."""
        with self.changed:
            assert self.changed.wait_for(wanted, seconds)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    hub: TestHub
    context: ssl.SSLContext

    def get_request(self) -> tuple[Any, Any]:
        raw, address = super().get_request()
        raw.settimeout(60.0)
        return self.context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Devices that leave in the middle are what is tested."""


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
                report = read(Report, self.body)
                with hub.changed:
                    hub.reports[device][report.boot, report.sequence] = report
                    hub.changed.notify_all()
                self.send(200, render(Receipt(report.boot, report.sequence)))
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

            hub.changed.wait_for(ready, max(end - time.monotonic(), 0.0))
            wanted = hub.desired.get(device)
        if device in hub.revoked:
            return self.refuse(403, "revoked")
        if wanted is not None and wanted.revision != sync.revision:
            return self.send(200, render(wanted))
        return self.send(204)


def refusing(match: str, status: int, times: int = 1, **headers: str) -> Fault:
    """Requests whose path holds ``match`` are refused, so often (-1: always)."""
    left = [times]

    def fault(exchange: Exchange) -> bool:
        if match not in exchange.path or not left[0]:
            return False
        left[0] -= 1
        exchange.refuse(status, "to order", **headers)
        return True

    return fault


def cutting(match: str, after: int, times: int = 1) -> Fault:
    """Bodies of answers are cut off after so many bytes, and the connection with them."""
    left = [times]

    def fault(exchange: Exchange) -> bool:
        if match not in exchange.path or not left[0]:
            return False
        left[0] -= 1
        real, sent = exchange.wfile, [0]

        class Cut:
            def write(self, data: bytes) -> int:
                if data.startswith(b"HTTP/1.1"):
                    return int(real.write(data))
                real.write(data[: max(after - sent[0], 0)])
                sent[0] += len(data)
                if sent[0] > after:
                    with suppress(OSError):
                        real.flush()
                        exchange.connection.unwrap() if False else exchange.connection.close()
                    exchange.close_connection = True
                return len(data)

            def flush(self) -> None:
                with suppress(OSError, ValueError):
                    real.flush()

            closed = False

            def close(self) -> None:
                with suppress(OSError, ValueError):
                    real.close()

        exchange.wfile = Cut()  # type: ignore[assignment]
        exchange.close_connection = True
        return False

    return fault


def ignoring_ranges(exchange: Exchange) -> bool:
    """The whole file, whatever range is asked for."""
    del exchange.headers["Range"]
    return False
