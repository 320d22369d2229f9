"""Papers: what makes a device known to the hub, of thousands of them, in one folder.

    FOLDER/anchors.pem           roots of the hub's CA          FOLDER/devices/NUMBER.pem    a device's key and chain
    FOLDER/root.json             first root of the metadata     FOLDER/updates               what was verified of it

Keys are real (ECDSA on P-256) and lie open to this user: they are of devices that do not exist. They are written
without fsync, since they can be had again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from edgewright.agent.net.hub import Offline
from edgewright.client import Hub
from edgewright.core.errors import InputError, TrustError
from edgewright.core.messages import LIMITS, Enrol, Enrolled, Facts, Renew, read, render
from edgewright.testing.fleet.wire import Dialer, Line
from edgewright.trust.authority import Peer, Token, chain_pem, find_anchor, make_request, parse_chain, parse_peer
from edgewright.trust.authority.material import key_pem, new_key, spki_digest
from edgewright.trust.updates import begin

ANCHORS, ROOT, UPDATES, DEVICES = "anchors.pem", "root.json", "updates", "devices"


@dataclass(frozen=True)
class Papers:
    """Of one device. ``path``: key and chain in PEM; ``peer``: what the certificate says."""

    path: Path
    peer: Peer

    @property
    def name(self) -> str:
        """The device's."""
        return self.peer.identity.device


class Registry:
    """The folder of a fleet's papers; all of one tenant."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / DEVICES).mkdir(parents=True, exist_ok=True)
        path = folder / ANCHORS
        self.anchors: bytes | None = path.read_bytes() if path.exists() else None

    @property
    def updates(self) -> Path:
        """The folder of verified update metadata."""
        return self.folder / UPDATES

    def known(self, most: int) -> list[Papers]:
        """Devices that were enrolled before, by number, at most so many."""
        paths = sorted((self.folder / DEVICES).glob("*.pem"), key=lambda path: int(path.stem))
        return [_papers(path) for path in paths[:most]]

    async def enrol(self, dialer: Dialer, number: int, token: str, name: str, facts: Facts) -> Papers:
        """A new device, by a token. Raises Offline, Refusal, TrustError, InputError."""
        key = new_key()
        csr = make_request(key).decode("ascii")
        anchors = self.anchors or await self._first_contact(dialer, Token.parse(token).anchor)
        line = await dialer.dial(anchors)
        try:
            body = render(Enrol(csr, token, name, facts))
            answer = await line.ask("POST", "/device/v1/enrol", body, most_bytes=LIMITS["Enrolled"])
        finally:
            line.close()
        if answer.status != 200:
            raise Offline(f"the hub answers an enrolment with status {answer.status}")
        told = read(Enrolled, answer.body)
        if not (self.folder / ROOT).exists():
            self._begin(told, anchors)
        path = self.folder / DEVICES / f"{number}.pem"
        return _keep(path, key_pem(key), told, spki_digest(key.public_key()))

    async def renew(self, line: Line, papers: Papers, clone: bool = False) -> Papers:
        """The next certificate, for a new key; a ``clone`` keeps its own. Raises Offline, Refusal, TrustError."""
        key = new_key()
        body = render(Renew(make_request(key).decode("ascii")))
        answer = await line.ask("POST", "/device/v1/renew", body, most_bytes=LIMITS["Enrolled"])
        told = read(Enrolled, answer.body)
        path = papers.path.with_suffix(".clone") if clone else papers.path
        return _keep(path, key_pem(key), told, spki_digest(key.public_key()))

    def adopt(self, anchors: str) -> None:
        """The hub's anchors of now, which came over a connection that was checked."""
        if anchors and anchors.encode("ascii") != self.anchors:
            self.anchors = anchors.encode("ascii")
            (self.folder / ANCHORS).write_bytes(self.anchors)

    async def _first_contact(self, dialer: Dialer, digest: str) -> bytes:
        line = await dialer.dial(None)
        try:
            answer = await line.ask("GET", "/device/v1/anchors")
        finally:
            line.close()
        return chain_pem(find_anchor(answer.body, digest))

    def _begin(self, told: Enrolled, anchors: bytes) -> None:
        if not told.root:
            raise TrustError("the hub gave no root of the update metadata; set up the tenant's update keys first")
        self.anchors = "".join(told.anchors).encode("ascii") or anchors
        (self.folder / ANCHORS).write_bytes(self.anchors)
        begin(self.updates, told.root.encode())
        (self.folder / ROOT).write_text(told.root)


def _keep(path: Path, key: bytes, told: Enrolled, digest: str) -> Papers:
    part = path.with_suffix(".part")
    part.write_bytes(key + told.certificate.encode("ascii"))
    found = _papers(part)
    if found.peer.key != digest or (found.peer.identity.tenant, found.name) != (told.tenant, told.device):
        raise TrustError("the certificate that came is for another key or another device")
    part.replace(path)
    return Papers(path, found.peer)


def invite(hub: Hub, count: int, group: str = "") -> list[str]:
    """So many enrolment tokens from the people's API. Raises what ``client`` does."""
    return [str(hub.post("/enrolments", {"group": group} if group else {})["token"]) for _ in range(count)]


def read_tokens(path: Path) -> list[str]:
    """The tokens in a file, one a line. Raises InputError."""
    try:
        return [line.strip() for line in path.read_text("ascii").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no file of enrolment tokens, one a line ({error})") from error


def _papers(path: Path) -> Papers:
    leaf = parse_chain(path.read_bytes(), str(path))[0]
    return Papers(path, parse_peer(leaf.public_bytes(Encoding.DER)))
