"""Downloads: files of known length, from where they broke off, as one stream rather than a request for each piece.

Where a limit is set, pieces are asked for one by one with pauses between them: what was not asked for is on no line.
It is bytes a second rather than a budget of the day: that holds at any moment (a site's devices share one line), bounds
the day, too, and needs no account that a restart or a clock that is set would falsify.
"""

from __future__ import annotations

import http.client
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from edgewright.agent.net.hub import PATIENCE_S, Hub, Offline, Refusal, lowered
from edgewright.core.closing import Closing
from edgewright.core.errors import EdgewrightError
from edgewright.core.files import storage, sync_folder

PIECE_BYTES = 2**20
_MUCH_BYTES = 64 * 1024
_SPAN_S, _NAP_S = 8.0, 0.5
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class Stopped(EdgewrightError):  # noqa: N818 - reads as what it says
    """Nobody wants the file any more."""


class Pace:
    """Of all downloads of a device. ``stopped``: whether what is fetched is wanted no more; ``limit``: bytes a second,
    0 for none, asked again and again, as both may change meanwhile."""

    def __init__(
        self, stopped: Callable[[], bool] = lambda: False, limit: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.monotonic, pause: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self._stopped, self._limit, self._clock, self._pause = stopped, limit, clock, pause
        self._since, self._owed = clock(), 0

    def check(self) -> None:
        """Raises Stopped."""
        if self._stopped():
            raise Stopped("the download is not wanted any more")

    def wait(self) -> None:
        """Until more may be asked for. Raises Stopped."""
        self.check()
        while (limit := self._limit()) and (left := self._owed / limit - (self._clock() - self._since)) > 0:
            self._pause(min(left, _NAP_S))
            self.check()
        self._since, self._owed = self._clock(), 0

    def took(self, count: int) -> None:
        """So many bytes came."""
        self._owed += count

    @property
    def span(self) -> int:
        """How much may be asked for at once, in bytes; 0: no limit. Each request costs a thousand itself."""
        limit = self._limit()
        return max(int(_SPAN_S * limit), _MUCH_BYTES) if limit else 0


class Reading(Closing):
    """The file at ``path`` of the hub, ``length`` bytes long, named by ``digest``. ``read(start, length)`` as
    ``trust.updates.Read`` has it: consecutive pieces come from one answer. ``pace`` is asked before each.

    A hub that ignores ranges is read from the start, what is here already being passed over. Raises Offline, Refusal,
    Stopped. Nothing that comes is trusted: lengths and digests are held against what was signed.
    """

    def __init__(self, hub: Hub, path: str, digest: str, length: int, pace: Pace) -> None:
        self._hub, self._path, self._digest, self._length, self._pace = hub, path, digest, length, pace
        self._response: http.client.HTTPResponse | None = None
        self._place = self._got = 0
        self._end = length
        """Where what was asked for ends."""

    def read(self, start: int, length: int) -> bytes:
        """At least one byte and at most ``length``, from ``start`` on."""
        self._pace.wait()
        if self._response is None or self._place != start:
            self._open(start)
        try:
            data = self._take(length)
        except Offline:
            if self._got < _MUCH_BYTES:
                raise
            self._open(start)  # a network that breaks off now and then is gone on with at once
            data = self._take(length)
        if self._place >= self._end:
            self.close(kept=True)
        return data

    def close(self, kept: bool = False) -> None:
        """End it: in the middle of an answer the connection goes with it."""
        if self._response is not None and not (kept and self._response.isclosed()):
            self._hub.close()
        self._response = None

    def _open(self, start: int) -> None:
        self.close()
        span = self._pace.span
        self._end = min(start + span, self._length) if span else self._length
        headers = {"Range": f"bytes={start}-{self._end - 1}", "Accept-Encoding": "identity"}
        response = self._hub.begin("GET", self._path, headers=headers, seconds=PATIENCE_S)
        self._response, self._place, self._got = response, 0, 0
        told = lowered(response)
        tag = told.get("etag", "").removeprefix("W/").strip('"')
        if tag and tag != self._digest:
            self._refuse(f"it is another file now (ETag {tag[:64]!r})")
        if response.status == 206:
            found = _RANGE.fullmatch(told.get("content-range", ""))
            if found is None or [int(n) for n in found.groups()] != [start, self._end - 1, self._length]:
                self._refuse(f"it answers with the range {told.get('content-range', '')[:60]!r}")
            self._place = start
        elif response.status != 200:
            self._refuse(f"it answers with status {response.status}")
        elif response.length is not None and response.length != self._length:
            self._refuse(f"it would send {response.length:,} bytes, {self._length:,} were signed")
        self._end = self._length if response.status == 200 else self._end
        while self._place < start:
            self._take(min(start - self._place, PIECE_BYTES))
            self._pace.wait()

    def _take(self, length: int) -> bytes:
        assert self._response is not None  # noqa: S101 - narrowing
        parts, left = list[bytes](), min(length, self._end - self._place)
        try:
            while left and (data := self._response.read(min(left, 65536))):
                parts.append(data)
                left -= len(data)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            if not parts:
                raise Offline(f"the download broke off: {str(error)[:200] or type(error).__name__}") from error
        data = b"".join(parts)
        if not data:
            self.close()
            raise Offline(f"the download broke off after {self._place:,} of {self._length:,} bytes")
        self._place += len(data)
        self._got += len(data)
        self._pace.took(len(data))
        return data

    def _refuse(self, why: str) -> None:
        self.close()
        raise Refusal(f"the hub does not send {self._path} as it should: {why}", 502)


def fetch_file(reading: Reading, part: Path, length: int) -> None:
    """Fill ``part``, going on where it ends; each piece is synced before the next. What it holds in the end is for the
    caller to verify. What ``reading`` raises passes through; StorageError."""
    with storage(part):
        part.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        sync_folder(part.parent)
    try:
        with storage(part):
            size = os.fstat(handle).st_size
            done = 0 if size > length else max(size - 1, 0) // PIECE_BYTES * PIECE_BYTES
            os.ftruncate(handle, done)
            os.lseek(handle, done, os.SEEK_SET)
        while done < length:
            data = reading.read(done, min(PIECE_BYTES - done % PIECE_BYTES, length - done))
            with storage(part):
                view = memoryview(data)
                while view:
                    view = view[os.write(handle, view) :]
                os.fsync(handle)
            done += len(data)
    finally:
        os.close(handle)
