"""Gate: who is let in, looked at for each request, from memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from edgewright.hub.accounts.audit import Actor, tell
from edgewright.hub.database import Scoped
from edgewright.hub.fleet.roster import Fresh, Key, Known
from edgewright.hub.listener.answers import Call, Refusal, later
from edgewright.hub.listener.watcher import Watcher
from edgewright.hub.listener.writer import Writer
from edgewright.hub.state import State
from edgewright.hub.web.rates import Rates
from edgewright.trust.authority import Peer


@dataclass(frozen=True)
class Let:
    """A device that was let in."""

    known: Known
    peer: Peer


class Gate:
    """The roster, on the loop's thread."""

    def __init__(self, state: State, writer: Writer) -> None:
        self._state, self._writer = state, writer
        self._roster: dict[Key, Known] = {}
        self._clones: set[tuple[Key, str]] = set()
        self._newest: dict[str, int] = {}
        self._rates = Rates(3, 60)

    def learn(self, fresh: Sequence[Fresh]) -> None:
        """Take over what changed. What the watcher reads comes in the order in which it was read."""
        for one in fresh:
            known = self._roster.get(one.key)
            if known is None:
                known = self._roster[one.key] = Known(one.key)
            known.learn(one)
            self._newest[one.key.tenant] = max(self._newest.get(one.key.tenant, 0), one.revision)

    def newest(self, tenant: str) -> int:
        """The highest revision of the tenant that is known here."""
        return self._newest.get(tenant, 0)

    def present(self, since: float) -> dict[str, list[str]]:
        """Names of the devices that asked since then (s, monotonic), by tenant."""
        found: dict[str, list[str]] = {}
        for key, known in self._roster.items():
            if known.seen > since:
                found.setdefault(key.tenant, []).append(key.device)
        return found

    async def enter(self, call: Call, watcher: Watcher, *, renewing: bool = False) -> Let:
        """Let the device in whose connection it is. Raises Refusal."""
        peer = call.connection.peer
        if peer is None:
            raise Refusal("unknown-caller", call.connection.why or "a device shows its certificate; enrol first")
        if watcher.stale:
            raise later("the hub's database does not answer", 30.0)
        standing = peer.standing(self._state.clock())
        if standing == "expired" or (standing == "renew_only" and not renewing):
            what = "renew it" if standing == "renew_only" else "enrol again"
            raise Refusal("unknown-caller", f"the certificate ended at {peer.not_after:%Y-%m-%d}; {what}")
        key = Key(peer.identity.tenant, peer.identity.device)
        self._rates.take("/".join(key))
        known = self._roster.get(key)
        if known is None or (peer.serial not in known.certificates and not known.revoked):
            known = await self._look_up(key, peer, watcher)
        if known.revoked:
            raise Refusal("forbidden", "this device was revoked; ask whoever runs the hub")
        self._check_newest(known, peer, call.network)
        known.seen = time.monotonic()
        return Let(known, peer)

    async def _look_up(self, key: Key, peer: Peer, watcher: Watcher) -> Known:
        known = self._roster[key] if await watcher.device(key) else None
        if known is None:
            raise Refusal("unknown-caller", "this device is not known here; enrol it")
        if not known.revoked and peer.serial not in known.certificates:
            raise Refusal("unknown-caller", "this certificate is not, or no more, known here; enrol again")
        return known

    def _check_newest(self, known: Known, peer: Peer, network: str) -> None:
        """Remember the first use of a newer certificate. Raises Refusal for one that is older than one in use: two
        agents have the same identity."""
        if peer.serial == known.serial:
            return
        if known.older(peer.serial):
            if (known.key, peer.serial) not in self._clones:
                self._clones.add((known.key, peer.serial))
                self._writer.put("call", known.key.tenant, lambda session: self._tell_clone(session, peer, network))
            raise Refusal(
                "conflict",
                "another one uses a newer certificate of this device: it was copied, or restored; enrol again",
            )
        known.serial = peer.serial
        self._writer.put("serial", known.key.tenant, (known.key.device, peer.serial))

    def _tell_clone(self, session: Scoped, peer: Peer, network: str) -> None:
        name = peer.identity.device
        actor = Actor("device", name, name, network=network)
        tell(session, actor, "device.cloned", name, self._state.clock(), {"serial": peer.serial, "key": peer.key[:16]})
