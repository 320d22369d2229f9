"""Comings: enrolment and renewal, the only requests that give a device a certificate."""

from __future__ import annotations

import asyncio

from edgewright.core.errors import TrustError
from edgewright.core.messages import Enrol, Renew
from edgewright.hub.accounts.audit import Actor, tell
from edgewright.hub.database import Scoped
from edgewright.hub.fleet.ca import authority
from edgewright.hub.fleet.enrolling import enrol, enrolled, find_invitation, issue
from edgewright.hub.fleet.news import news
from edgewright.hub.fleet.tables import Device
from edgewright.hub.listener.answers import Answer, Call, Refusal, answer_of
from edgewright.hub.listener.gate import Gate
from edgewright.hub.listener.library import first_root
from edgewright.hub.listener.watcher import Watcher
from edgewright.hub.listener.writer import Writer
from edgewright.hub.state import State
from edgewright.hub.web.rates import network
from edgewright.trust.authority import Issued, check_request

_COME_BACK_S = 60


class Comings:
    """``anchors``, ``enrol`` and ``renew``."""

    def __init__(self, state: State, gate: Gate, writer: Writer) -> None:
        self._state, self._gate, self._writer = state, gate, writer

    def anchors(self) -> Answer:
        """The hub's roots in PEM: open, for a device takes only the one that its token names."""
        return Answer(200, authority(self._state).anchors, "application/x-pem-file")

    async def enrol(self, call: Call) -> Answer:
        """Let a device in. Raises Refusal; wrong tokens are told of in one way, and not often."""
        place = network(call.network)
        self._state.tries.take(f"enrol/{place}", 0.0)
        message = await call.message(Enrol)
        try:
            request = check_request(message.csr.encode())
        except TrustError as error:
            raise Refusal("unfit", str(error)) from error
        try:
            found = await asyncio.to_thread(
                find_invitation, self._state.database, message, request, self._state.clock()
            )
            if found is None:
                return Answer(202, headers={"Retry-After": str(_COME_BACK_S)})
            ours, now = authority(self._state), self._state.clock()

            def job(session: Scoped) -> tuple[Device, Issued, str]:
                device, issued = enrol(session, ours, found, message, request, now, place)
                return device, issued, first_root(session)

            device, issued, root = await self._writer.call(found.tenant, job)
        except TrustError as error:
            self._state.tries.take(f"enrol/{place}")
            raise Refusal("unknown-caller", str(error)) from error
        news(self._state).ring()
        return answer_of(enrolled(device, issued, ours, root))

    async def renew(self, call: Call, watcher: Watcher) -> Answer:
        """A new certificate for a device that shows one, also one that ended up to a year ago."""
        let = await self._gate.enter(call, watcher, renewing=True)
        message = await call.message(Renew)
        try:
            request = check_request(message.csr.encode())
        except TrustError as error:
            raise Refusal("unfit", str(error)) from error
        ours, now, known = authority(self._state), self._state.clock(), let.known
        name = known.key.device

        def job(session: Scoped) -> tuple[Device, Issued]:
            device = session.lock(Device, name)
            if device.revoked is not None:
                raise Refusal("forbidden", "this device was revoked; ask whoever runs the hub")
            issued = issue(session, ours, name, request, now)
            actor = Actor("device", name, name, network=network(call.network))
            tell(session, actor, "device.renewed", name, now, {"until": f"{issued.peer.not_after:%Y-%m-%d}"})
            return device, issued

        device, issued = await self._writer.call(known.key.tenant, job)
        return answer_of(enrolled(device, issued, ours))
