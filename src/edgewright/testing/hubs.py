"""A hub for tests of devices: the device protocol over real mTLS, in one process, with faults to order.

    with TestHub(folder) as hub:
        token = hub.token()                              # for `enrol(state, hub.url, token)`
        hub.release(path, digest, signer)                # into the update metadata, signed
        hub.want("press-1", Desired(...))                # a device's desired state; revisions are given here
        hub.statuses["press-1"], hub.reports["press-1"]  # what it told

It keeps to docs/reference/device-protocol.md and is simple: no tenants but one, no store, a thread for a connection.
"""

from __future__ import annotations

import ssl
import threading
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from edgewright import bundles
from edgewright.bundles.deltas import make_delta
from edgewright.core.closing import Closing
from edgewright.core.digests import digest_bytes
from edgewright.core.messages import Desired, Report, Status, Sync
from edgewright.testing.exchanges import TENANT, Exchange
from edgewright.testing.updates import Office
from edgewright.trust import PublicKey
from edgewright.trust.authority import (
    Authority,
    issue_token,
    server_context,
    write_private,
)
from edgewright.trust.updates import Release, propose_release

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
