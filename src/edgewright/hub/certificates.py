"""TLS of the people's listener: a certificate of one's own, or one of the hub's CA; newer files are taken up."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

from edgewright.core.errors import InputError
from edgewright.core.files import write_file
from edgewright.hub.fleet.ca import authority, server_identity
from edgewright.hub.state import State

ANCHORS, _OWN = "anchors.pem", "people.pem"


class Certificates:
    """``files``: certificate chain and key (PEM), or none for one that the hub's own CA issues for ``names``; its roots
    then lie in STATE.folder/anchors.pem, for ``edgewright login --ca``. Raises InputError, TrustError."""

    def __init__(self, state: State, names: Sequence[str], files: tuple[Path, Path] | None = None) -> None:
        self._state, self._names, self._files = state, tuple(names), files
        self._stamp: tuple[int, ...] = ()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.renew()

    def renew(self) -> None:
        """Issue another one where it is time, and load what changed: connections that are made from now on get it."""
        chain, key = self._files or (self._issued(), None)
        try:
            stamp = tuple(path.stat().st_mtime_ns for path in (chain, key) if path is not None)
            if stamp != self._stamp:
                self.context.load_cert_chain(chain, key, password=lambda: "")
                self._stamp = stamp
        except (OSError, ssl.SSLError) as error:
            raise InputError(f"{chain} and its key cannot be used for TLS: {error.strerror or error}") from error

    def _issued(self) -> Path:
        path = server_identity(self._state, self._names, self._state.clock(), _OWN)
        anchors, place = authority(self._state).anchors, self._state.folder / ANCHORS
        if not place.exists() or place.read_bytes() != anchors:
            write_file(place, anchors)
        return path
