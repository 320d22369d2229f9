"""A hub of a hundred lines that speaks the device protocol: what the simulator is held against here."""

import asyncio
import contextlib
import hashlib
import json
from collections import defaultdict
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

from edgewright.core.digests import canonical_json
from edgewright.core.messages import Desired, Enrol, Enrolled, Receipt, Renew, Report, Sync, read, render
from edgewright.testing.updates import Office
from edgewright.trust.authority import Authority, Identity, Token, check_request, issue_token, redeem, server_context
from edgewright.trust.updates import Release, propose_release


class Refuse(Exception):  # noqa: N818
    """Answer with this status."""


class Server:
    """``wanted``: everybody's desired state; ``heard``: statuses in order, by device; ``reports`` by device, boot and
    sequence, ``received`` however often they came."""

    def __init__(self, folder):
        self.now = datetime.now(UTC)
        self.authority = Authority.create(folder / "ca", self.now)
        self.office = Office(self.now)
        (folder / "server.pem").write_bytes(self.authority.issue_server(["127.0.0.1"], self.now).pem)
        self._context = server_context(folder / "server.pem", self.authority.anchors)
        self._records, self.bundles, self.wanted, self.revision = {}, {}, {}, 0
        self.heard, self.reports, self.received = defaultdict(list), {}, []
        self.serials, self.revoked, self.uploads, self.asked = {}, set(), {}, defaultdict(int)
        self.lose_answers = 0
        self._news = asyncio.Condition()
        self._writers = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context, backlog=512)
        self.url = f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    def cut(self):
        for writer in self._writers:
            writer.transport.abort()

    def tokens(self, count):
        made = [issue_token("acme", self.authority.anchor_digest, self.now) for _ in range(count)]
        self._records |= {record.id: record for _, record in made}
        return [token.text() for token, _ in made]

    def release(self, path, digest, signer):
        """Release the bundle's file."""
        data = path.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        self.bundles[sha256] = data
        made = Release(sha256, len(data), "r", "m", "1", (), digest, signer.raw.hex())
        current = self.office.repository.targets
        self.office.publish(targets=self.office.signed(propose_release(current, self.now, [made])))

    async def assign(self, **more):
        """The same desired state for all devices that ever polled or will."""
        async with self._news:
            self.revision += 1
            self.wanted = more
            self._news.notify_all()

    async def _serve(self, reader, writer):
        self._writers.add(writer)
        try:
            while line := await reader.readline():
                if line == b"\r\n":
                    continue
                method, path, _ = line.decode().split(" ")
                headers = {}
                while (line := await reader.readline()).strip():
                    name, _, value = line.decode().partition(":")
                    headers[name.lower()] = value.strip()
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
                status, more, answer = await self._answer(method, urlsplit(path), headers, body, der, reader)
                if self.lose_answers:
                    self.lose_answers -= 1
                    return
                lines = [f"HTTP/1.1 {status} x", *(f"{k}: {v}" for k, v in more.items())]
                if status != 204:
                    lines.append(f"Content-Length: {len(answer)}")
                writer.write("\r\n".join([*lines, "", ""]).encode() + answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, method, url, headers, body, der, reader):
        try:
            name = url.path.removeprefix("/device/v1/")
            self.asked[name.partition("/")[0]] += 1
            if name == "anchors":
                return 200, {}, self.authority.anchors
            if name == "enrol":
                return 200, {}, self._enrol(read(Enrol, body))
            peer = self._peer(der)
            device = peer.identity.device
            if name == "renew":
                return 200, {}, self._issue(read(Renew, body).csr, device, renewal=True)
            if name == "sync":
                return await self._sync(device, read(Sync, body), float(parse_qs(url.query)["wait"][0]), reader)
            if name == "reports":
                return 200, {}, self._report(device, body)
            if name.startswith("updates/"):
                data = self.office.files.get(name.removeprefix("updates/"))
                return (404, {}, b"") if data is None else (200, {}, data)
            if name.startswith("bundles/"):
                return self._part(name.removeprefix("bundles/"), headers)
            if name.startswith("uploads/") and method == "PUT":
                self.uploads[device, name.removeprefix("uploads/")] = body
                return 204, {}, b""
            raise Refuse(404)
        except Refuse as refusal:
            return refusal.args[0], {"Content-Type": "application/problem+json"}, canonical_json({"title": "no"})

    def _peer(self, der):
        if der is None:
            raise Refuse(401)
        peer = self.authority.authenticate(der)
        if peer.identity.device in self.revoked:
            raise Refuse(403)
        if self.serials[peer.identity.device] != peer.serial:
            raise Refuse(409)
        return peer

    def _enrol(self, message):
        token = Token.parse(message.token)
        request = check_request(message.csr.encode())
        self._records[token.id] = redeem(self._records.get(token.id), token, message.name, request.digest, self.now)
        return self._issue(message.csr, message.name)

    def _issue(self, csr, device, renewal=False):
        issued = self.authority.issue_device(check_request(csr.encode()), Identity("acme", device), self.now)
        self.serials[device] = issued.peer.serial
        root = "" if renewal else self.office.files["1.root.json"].decode()
        anchors = (self.authority.anchors.decode(),)
        return render(Enrolled("acme", device, issued.chain.decode(), anchors, root))

    async def _sync(self, device, message, wait_s, reader):
        self.heard[device].append(message.status)
        said = asyncio.Event()
        nudged = asyncio.create_task(self._nudged(reader, said))
        try:
            async with self._news, asyncio.timeout(wait_s):
                await self._news.wait_for(lambda: self.revision > message.revision or said.is_set())
        except TimeoutError:
            pass
        finally:
            nudged.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await nudged
        if self.revision <= message.revision:
            return 204, {}, b""
        return 200, {}, render(Desired(self.revision, **self.wanted))

    async def _nudged(self, reader, said):
        """An empty line on the connection ends its poll."""
        with contextlib.suppress(OSError):
            await reader.readline()
        said.set()
        async with self._news:
            self._news.notify_all()

    def _report(self, device, body):
        report = read(Report, body)
        self.received.append((device, report.boot, report.sequence))
        before = self.reports.setdefault((device, report.boot, report.sequence), body)
        assert before == body, "the same report is the same bytes"
        return render(Receipt(report.boot, report.sequence, self.revision))

    def _part(self, sha256, headers):
        data = self.bundles.get(sha256)
        if data is None:
            raise Refuse(404)
        first, last = (int(n) for n in headers["range"].removeprefix("bytes=").split("-"))
        told = {"Content-Range": f"bytes {first}-{last}/{len(data)}", "ETag": f'"{sha256}"'}
        return 206, told, data[first : last + 1]

    def observations(self):
        """All that was told, by device."""
        told = defaultdict(list)
        for (device, _, _), body in self.reports.items():
            told[device] += json.loads(body)["observations"]
        return told
