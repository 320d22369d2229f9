"""Talk: the Open Inference Protocol with the runtime, over its Unix socket, with the standard library alone."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from edgewright.core.errors import EdgewrightError, EngineError
from edgewright.core.strict import parse_json

_SHORT_S, _LOAD_S = 5.0, 900.0
_MOST_BYTES = 4 * 2**20


class Silent(EdgewrightError):  # noqa: N818 - reads as what it says
    """The runtime does not answer: it is not there, not up yet, or hangs."""


@dataclass(frozen=True)
class Served:
    """One version in the runtime's index. ``state``: READY or not; ``digest``: of the bundle that answers."""

    name: str
    version: str
    state: str
    reason: str
    digest: str


class Talk:
    """With whoever listens at the Unix socket ``path``. Each call is a connection of its own. Raises Silent."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ready(self) -> bool:
        """Whether it is up and serves all that it should."""
        status, _ = self._ask("GET", "/v2/health/ready")
        return status == 200

    def index(self) -> list[Served]:
        """What it serves, and what it does not and why."""
        _, told = self._ask("POST", "/v2/repository/index", {})
        entries = told if isinstance(told, list) else []
        return [
            Served(
                str(one.get("name", "")), str(one.get("version", "")), str(one.get("state", "")),
                str(one.get("reason", "")), str(one.get("parameters", {}).get("digest", "")),
            )
            for one in entries if isinstance(one, dict)
        ]  # fmt: skip

    def load(self, name: str) -> None:
        """Have it load what lies there now; comes back when that serves. Raises EngineError when what lies there cannot
        be served, Silent when that is the moment's fault."""
        status, told = self._ask("POST", f"/v2/repository/models/{quote(name, safe='')}/load", {}, _LOAD_S)
        if status != 200:
            told = told.get("error") if isinstance(told, dict) else None
            kind = EngineError if status == 400 else Silent
            raise kind(f"the runtime does not load {name}: {told or f'status {status}'}")

    def shadow(self, name: str, folder: Path | None) -> None:
        """Have the bundle in ``folder`` run beside the model of that name, or no bundle; comes back when it does.
        Raises EngineError when it cannot, Silent when that is the moment's fault."""
        asked = {"model": name, "path": "" if folder is None else str(folder)}
        status, told = self._ask("POST", "/edgewright/v1/shadows", asked, _LOAD_S)
        if status != 200:
            told = told.get("error") if isinstance(told, dict) else None
            kind = EngineError if status == 400 else Silent
            raise kind(f"the runtime cannot run it beside {name}: {told or f'status {status}'}")

    def shadows(self) -> list[dict[str, Any]]:
        """What shadows saw that were begun so."""
        status, told = self._ask("GET", "/edgewright/v1/shadows")
        found = told.get("shadows") if isinstance(told, dict) else None
        if status != 200 or not isinstance(found, list):
            raise Silent(f"the runtime tells nothing of shadows (status {status})")
        return [one for one in found if isinstance(one, dict)]

    def metrics(self) -> str:
        """Its metrics' page."""
        status, raw = self._raw("GET", "/metrics", b"", _SHORT_S)
        if status != 200:
            raise Silent(f"the runtime tells no metrics (status {status})")
        return raw.decode("utf-8", "replace")

    def observations(self, taken: str = "") -> tuple[str, list[Any]]:
        """A batch's name and its observations, as JSON values: what models did since the batch before. It is given
        again, the same, until ``taken`` names it."""
        status, told = self._ask("POST", "/edgewright/v1/observations", {"taken": taken})
        batch, found = (told.get("batch"), told.get("observations")) if isinstance(told, dict) else (None, None)
        if status != 200 or not isinstance(batch, str) or not isinstance(found, list):
            raise Silent(f"the runtime tells no observations (status {status})")
        return batch, found

    def _ask(self, method: str, target: str, told: Any = None, seconds: float = _SHORT_S) -> tuple[int, Any]:
        status, raw = self._raw(method, target, b"" if told is None else json.dumps(told).encode(), seconds)
        try:
            return status, parse_json(raw, _MOST_BYTES) if raw.strip() else None
        except ValueError as error:
            raise Silent(f"the runtime's answer cannot be read: {error}") from error

    def _raw(self, method: str, target: str, body: bytes, seconds: float) -> tuple[int, bytes]:
        connection = _Unix("localhost", timeout=seconds)
        connection.path = self._path
        try:
            connection.request(method, target, body or None, {"Content-Type": "application/json"} if body else {})
            answer = connection.getresponse()
            return answer.status, answer.read(_MOST_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise Silent(f"the runtime does not answer at {self._path}: {error or type(error).__name__}") from error
        finally:
            connection.close()


class _Unix(http.client.HTTPConnection):
    path = Path()

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))
