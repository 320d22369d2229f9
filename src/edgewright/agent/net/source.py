"""HubSource: updates from the hub. The update metadata says what may run, downloads are only ever a way to its bytes.

Nothing the network does speaks against a bundle: what does not come is asked for again, less and less often, and what
the hub does not have, or sends wrong again and again, ends this attempt and leaves the bundle to the next.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from edgewright.agent.effects import Outcome, done, failed, later
from edgewright.agent.net import rebuilding
from edgewright.agent.net.downloads import Pace, Reading, Stopped
from edgewright.agent.net.hub import Hub, Offline, Refusal
from edgewright.agent.net.jitter import Jitter
from edgewright.agent.net.line import UPDATES, Line
from edgewright.agent.net.windows import opens_in_s
from edgewright.agent.net.wishes import Wishes
from edgewright.agent.slots import Slots
from edgewright.agent.sources import BUNDLE, FileSource
from edgewright.agent.states import Situation, Update
from edgewright.core.errors import EdgewrightError, InputError, StorageError, TrustError
from edgewright.core.files import storage, sync_folder, write_file
from edgewright.trust import PublicKey
from edgewright.trust.updates import Expired, Release, begin, begun, fetch_bundle, refresh, verify_bundle

_TRIES, _IDLE_S, _OFTEN_S = 8, 60.0, 1.0
_PART, _KEYS = "bundle.part", "keys"
_FIRST_ROOT, _ROOT_BYTES = "1.root.json", 64 * 2**10


class Synced(Protocol):
    """The part of ``link.Link`` that matters here."""

    tried: tuple[str, str, int]


class HubSource:
    """Of an enrolled device. ``stopped``: whether what is being fetched is wanted no more; ``local``: seconds since
    local midnight; ``most_bytes_s``: of downloads, whatever the hub allows (0: as the hub says); ``told``: whether the
    hub took all that was observed until now. Updates that somebody brought by hand (``details["path"]``) are taken from
    there."""

    def __init__(
        self, line: Line, wishes: Wishes, link: Synced, stopped: Callable[[], bool] = lambda: False,
        local: Callable[[], float] | None = None, most_bytes_s: int = 0, told: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        self._line, self._wishes, self._link, self._most_bytes_s = line, wishes, link, most_bytes_s
        self._pace = Pace(stopped, self._limit)
        self._state, self._slots = line.state, Slots(line.state)
        self._local, self._files = local or _local_s, FileSource()
        self._jitter, self._wrong, self._told = Jitter(line.draw), Counter[str](), told

    def metadata(self, now: Situation) -> Outcome:
        """Refreshed, verified, and the bundle looked up in it by its manifest's digest."""
        if _by_hand(now):
            return self._files.metadata(now)
        digest = _update(now).bundle
        try:
            with closing(self._line.dial()) as hub:
                if not begun(self._state / UPDATES):
                    begin(self._state / UPDATES, _named(hub, _FIRST_ROOT, _ROOT_BYTES))
                releases = refresh(self._state / UPDATES, lambda name, most: _named(hub, name, most), self._line.now)
            release = releases.named(digest)
        except FileNotFoundError:
            return later("the hub has no update keys yet", self._jitter.failed(_IDLE_S))
        except Expired as error:
            return later(f"{error}; is the clock right?", self._jitter.failed(_IDLE_S))
        except (TrustError, Offline, Refusal) as error:
            return self._again(digest, error)
        self._wrong.clear()
        self._jitter.succeeded()
        target = self._line.enrolment.target
        if release.hardware and target not in release.hardware:
            told = f"this device is {target!r}" if target else "this device was enrolled without --target"
            return failed(f"it is for {', '.join(release.hardware)}; {told}", bad=bool(target))
        if release.signer:
            # Trusted because the release key said so, and never before: this is what `Agent` verifies bundles with.
            key = PublicKey(bytes.fromhex(release.signer))
            path = self._state / _KEYS / f"{release.signer}.pub"
            if not path.is_file() or path.read_text("ascii", "replace") != key.text():
                write_file(path, key.text().encode("ascii"))
        return done(size_bytes=release.length, release=_facts(release))

    def fetch(self, now: Situation, work: Path) -> Outcome:
        """By a delta from a bundle that lies here, or whole; what is here already is not fetched again."""
        if _by_hand(now):
            return self._files.fetch(now, work)
        release = _release(now)
        try:
            with closing(self._line.dial()) as hub:
                if not (work / BUNDLE).is_file() and not self._delta(hub, release, work):
                    self._whole(hub, release, work)
        except Stopped as error:
            return later(str(error), 0.0)
        except (TrustError, Offline, Refusal) as error:
            return self._again(release.bundle, error)
        self._jitter.succeeded()
        return done()

    def reconstruct(self, now: Situation, work: Path) -> Outcome:
        """The bundle's file, the very one that was signed; fetched whole where the delta does not lead to it."""
        if _by_hand(now):
            return self._files.reconstruct(now, work)
        release = _release(now)
        try:
            if (work / BUNDLE).is_file() and self._holds(release, work / BUNDLE):
                return done()
            why = self._rebuilt(release, work)
            if not why:
                return done(delta=True)
            with closing(self._line.dial()) as hub:
                self._whole(hub, release, work)
        except Stopped as error:
            return later(str(error), 0.0)
        except (TrustError, Offline, Refusal) as error:
            return self._again(release.bundle, error)
        return done(delta_failed=why[:200])

    def shadow(self, now: Situation) -> Outcome:
        """After it: until the hub was told what was observed, so that it knows before it says to switch."""
        shadowed = float(_update(now).details.get("shadow_s", 0.0)) > 0 and not _by_hand(now)
        return done() if not shadowed or self._told() else later("the hub has not heard of the shadow yet", _OFTEN_S)

    def wait(self, now: Situation) -> Outcome:
        """Until the hub says to switch, and the device's window is open."""
        if _by_hand(now):
            return done()
        wanted = self._wishes.desired.release
        if wanted is None or wanted.bundle != _update(now).bundle:
            return later("another bundle is wanted now", _OFTEN_S)  # and whoever follows the hub ends this one
        if not wanted.activate:
            return later("the hub has not said to switch yet", _IDLE_S)
        return self.window(wanted.window)

    def window(self, window: str) -> Outcome:
        """Whether the device may be changed now."""
        if window and (fault := self._line.clock_fault):
            return later(f"the window cannot be kept: {fault}", _IDLE_S)
        try:
            left = opens_in_s(window, self._local())
        except InputError as error:
            return later(str(error), _IDLE_S)
        return later(f"the window {window} is not open", min(left, _IDLE_S)) if left else done()

    def sync(self, now: Situation) -> Outcome:
        """Whether the hub answered a sync that said that this update is on trial."""
        if _by_hand(now):
            return done()
        update = _update(now)
        mine = update.bundle, str(update.details.get("rollout", "")), int(update.details.get("attempt", 0))
        return done() if self._link.tried == mine else later("no sync since the switch", _OFTEN_S)

    def _limit(self) -> int:
        """Bytes a second that downloads may take, 0 for any number."""
        told = (self._most_bytes_s, self._wishes.desired.collect.download_bytes_s)
        return min((one for one in told if one), default=0)

    def _delta(self, hub: Hub, release: Release, work: Path) -> bool:
        """Whether a delta is here, all of it."""
        old = self._slots.current
        have = self._slots.model(old) if old and old != release.bundle else None
        part = work / _PART
        if have is None or not release.bundle or (part.is_file() and part.stat().st_size):
            return False
        if rebuilding.fetch_delta(hub, release, old, have, work, self._pace):
            return True
        rebuilding.drop(work)
        return False

    def _rebuilt(self, release: Release, work: Path) -> str:
        have = self._slots.model(self._slots.current)
        if have is None or not (work / rebuilding.DELTA).is_dir():
            return "there is no delta here"
        why = rebuilding.rebuild(release, have, work, work / BUNDLE)
        if not why and not self._holds(release, work / BUNDLE):
            why = "what the delta makes is not what was signed"
        rebuilding.drop(work)
        return why

    def _whole(self, hub: Hub, release: Release, work: Path) -> None:
        """The bundle's file, from where it broke off. Raises TrustError for another file than was signed."""
        part = work / _PART
        with closing(_bundle(hub, release, self._pace)) as reading:
            fetch_bundle(release, part, reading.read)
        with storage(part):
            part.replace(work / BUNDLE)
            sync_folder(work)

    def _holds(self, release: Release, path: Path) -> bool:
        """Whether the file is the one that was signed; it is gone if not."""
        try:
            verify_bundle(release, path)
        except TrustError:
            with storage(path):
                path.unlink()
            return False
        return True

    def _again(self, digest: str, error: EdgewrightError) -> Outcome:
        """Another time; not for ever, where the hub answers and what it answers is of no use."""
        if isinstance(error, Refusal) and error.status in (403, 409):
            self._line.hold(error)
        if isinstance(error, TrustError) or (
            isinstance(error, Refusal) and error.status not in (401, 403, 409, 429, 503)
        ):
            self._wrong[digest] += 1
            if self._wrong[digest] >= _TRIES:
                self._wrong.clear()
                return failed(str(error), failure="network")
        after = error.after_s if isinstance(error, Refusal) else 0.0
        return later(str(error), self._jitter.failed(after))


def _named(hub: Hub, name: str, most: int) -> bytes:
    """``trust.updates.Fetch`` over the network."""
    try:
        return hub.ask("GET", f"/device/v1/updates/{name}", most_bytes=most).body
    except Refusal as refusal:
        if refusal.status == 404:
            raise FileNotFoundError(name) from refusal
        raise


def _bundle(hub: Hub, release: Release, pace: Pace) -> Reading:
    return Reading(hub, f"/device/v1/bundles/{release.sha256}", release.sha256, release.length, pace)


def _facts(release: Release) -> dict[str, Any]:
    return {**vars(release), "hardware": list(release.hardware)}


def _release(now: Situation) -> Release:
    """As verified metadata said it, by the journal. Raises StorageError."""
    told = now.facts.get("release")
    if not isinstance(told, Mapping):
        raise StorageError("the journal tells not what is to be fetched; the update is begun again")
    try:
        return Release(**{**told, "hardware": tuple(told["hardware"])})
    except (TypeError, KeyError, InputError) as error:
        raise StorageError(f"the journal tells not what is to be fetched ({error}); update again") from error


def _update(now: Situation) -> Update:
    if now.update is None:
        raise StorageError(f"the journal says {now.state} and names no update")
    return now.update


def _by_hand(now: Situation) -> bool:
    return "path" in _update(now).details


def _local_s() -> float:
    told = time.localtime()
    return 3600.0 * told.tm_hour + 60.0 * told.tm_min + told.tm_sec
