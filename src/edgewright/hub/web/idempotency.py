"""Requests that come twice: with an ``Idempotency-Key`` the second one gets the first one's answer, and nothing is done
again (draft-ietf-httpapi-idempotency-key-header-07).

The key's row is written in the transaction of the deed itself. So there is no moment at which the deed is done and the
key is not known, however the process ends. Answers may hold what is shown once: they are sealed under the key, which
the hub keeps only as a digest.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from fastapi import Response
from sqlalchemy import delete
from sqlalchemy.orm import Mapped, mapped_column

from edgewright.hub.database import Base, Scoped, TenantRow
from edgewright.hub.errors import Conflict
from edgewright.hub.web.problems import Problem

KEPT = timedelta(hours=24)
_BUSY = "a request with this idempotency key is being carried out; wait for its answer"


class Done(Base, TenantRow):
    """A request that was carried out. ``id``: the digest of its key and caller. ``asked``: that of what was asked."""

    __tablename__ = "idempotency"
    id: Mapped[str] = mapped_column(primary_key=True)
    asked: Mapped[str]
    status: Mapped[int]
    answer: Mapped[str]
    until: Mapped[datetime] = mapped_column(index=True)


class Replayed(Exception):  # noqa: N818 - not an error: the answer that was given before
    """This request was carried out before; ``body`` is its answer."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.body = status, body

    def response(self) -> Response:
        """The answer, marked as one that was given before."""
        return Response(self.body, self.status, {"Idempotent-Replayed": "true"}, "application/json")


@dataclass(frozen=True)
class Once:
    """One request with its key: ``caller`` whose it is, ``asked`` the digest of method, path and body."""

    key: str
    caller: str
    asked: str

    @property
    def id(self) -> str:
        """The digest under which it is known."""
        return hashlib.sha256(f"{self.caller}\n{self.key}".encode()).hexdigest()

    def check(self, session: Scoped, now: datetime) -> None:
        """Before the deed. Raises Replayed when it is done, Problem (422) when the key was another request's."""
        known = session.get(Done, (session.tenant, self.id))
        if known is None:
            return
        if known.until < now:
            session.delete(known)
            session.flush()
            return
        if known.asked != self.asked:
            raise Problem("unfit", "this idempotency key belongs to another request; take a new one for each")
        data = base64.b64decode(known.answer)
        raise Replayed(known.status, AESGCM(self._seal()).decrypt(data[:12], data[12:], self.id.encode()))

    def keep(self, session: Scoped, now: datetime, status: int, body: bytes) -> None:
        """After the deed, in its transaction."""
        nonce = os.urandom(12)
        sealed = nonce + AESGCM(self._seal()).encrypt(nonce, body, self.id.encode())
        answer = base64.b64encode(sealed).decode()
        session.add(Done(id=self.id, asked=self.asked, status=status, answer=answer, until=now + KEPT))
        session.flush()

    def _seal(self) -> bytes:
        return HKDF(SHA256(), 32, None, b"edgewright.idempotency/1").derive(f"{self.caller}\n{self.key}".encode())


class Flights:
    """Keys whose requests are being carried out in this process."""

    def __init__(self) -> None:
        self._now: set[str] = set()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def flight(self, key: str) -> Iterator[None]:
        """Raises Conflict while another request with this key is under way. (One in another process waits for the
        database instead, and then either is told the answer or meets the key's row.)"""
        with self._lock:
            if key in self._now:
                raise Conflict(_BUSY)
            self._now.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._now.discard(key)


def forget(session: Scoped, now: datetime) -> None:
    """Remove what is older than KEPT, of every tenant (a session over all)."""
    session.execute(delete(Done).where(Done.until < now))
