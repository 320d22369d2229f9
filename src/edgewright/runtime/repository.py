"""Repository: what is served under which name, and why something is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgewright.bundles import verify
from edgewright.bundles.names import MANIFEST
from edgewright.core.errors import EdgewrightError, InputError
from edgewright.core.session import EngineOptions
from edgewright.engines import open_session
from edgewright.formats import load
from edgewright.measurement.subject import drawn_requests
from edgewright.runtime.faults import NotFound, NotReady
from edgewright.runtime.served import Batching, Served, Source
from edgewright.trust import PublicKey

_PLAIN = {".onnx": "onnxruntime", ".ort": "onnxruntime", ".xml": "openvino"}


@dataclass(frozen=True)
class Entry:
    """One version in the index. ``state``: READY, LOADING or UNAVAILABLE; ``reason`` says why it is not ready."""

    name: str
    version: str
    state: str
    reason: str = ""


class Repository:
    """Versions by model. What a request sees is one reference in a dict: swapped whole, never half."""

    def __init__(self) -> None:
        self._ready: dict[str, Served] = {}
        self._versions: dict[tuple[str, str], Served] = {}
        self._failed: dict[str, str] = {}
        self._only: Served | None = None

    @classmethod
    def of(cls, path: Path, trusted: Sequence[PublicKey] | None = None, batching: Batching | None = None) -> Repository:
        """What lies at ``path``: a bundle, a model file, or a folder of these. Raises InputError when there is nothing;
        for a single bundle or model also what keeps it from loading."""
        made = cls()
        single = _is_one(path)
        places = [path] if single else _within(path)
        if not places:
            raise InputError(f"{path} holds no bundle and no model; put NAME.onnx files or bundles there")
        for place in places:
            name = place.stem if place.is_file() else place.name
            try:
                made.put(open_source(read_source(place, name, trusted), batching))
            except EdgewrightError as error:
                if single:
                    raise
                made._failed[name] = str(error)
        return made

    def put(self, served: Served) -> Served | None:
        """Serve this version from now on; the one that was ready before, if any."""
        name = served.source.name
        before = self._ready.get(name)
        self._versions[name, served.source.version] = served
        self._ready[name] = served
        self._failed.pop(name, None)
        self._only = served if len(self._ready) == 1 else None
        return before

    def find(self, name: str = "", version: str = "") -> Served:
        """The model of that name: its latest version, or the one asked for. Raises NotFound, NotReady."""
        if not version:
            found = self._ready.get(name) if name else self._only
            if found is not None:
                return found
        found = self._versions.get((name, version))
        if found is not None:
            return found
        if name in self._failed:
            raise NotReady(f"model {name!r} is not ready: {self._failed[name]}")
        there = ", ".join(sorted(self._ready)) or "none"
        if not name:
            raise NotFound(f"name the model; there are: {there}")
        if version and name in self._ready:
            raise NotFound(f"model {name!r} has no version {version!r}; it has: {', '.join(self.versions(name))}")
        raise NotFound(f"no model is named {name!r}; there are: {there}")

    def versions(self, name: str) -> list[str]:
        """The versions of a model that answer."""
        return sorted(version for known, version in self._versions if known == name)

    def ready(self) -> list[Served]:
        """The latest version of every model that answers."""
        return [self._ready[name] for name in sorted(self._ready)]

    def index(self) -> Iterator[Entry]:
        """All that is known, ready or not."""
        for name, version in sorted(self._versions):
            yield Entry(name, version, "READY")
        for name, reason in sorted(self._failed.items()):
            yield Entry(name, "", "UNAVAILABLE", reason)

    def close(self) -> None:
        """Close every session."""
        for served in self._versions.values():
            served.session.close()


def open_source(source: Source, batching: Batching | None = None) -> Served:
    """A version, open and warm. Raises as the engine does."""
    served = Served(source, open_session(source.model, source.engine, source.options), batching)
    with suppress(InputError):  # strings cannot be drawn: the first caller warms it
        served.warm(drawn_requests(source.model.signature, 1))
    return served


def read_source(path: Path, name: str, trusted: Sequence[PublicKey] | None = None) -> Source:
    """What is at ``path``: a bundle, which must verify, or a model file of the user's own.

    Raises InputError, TrustError.
    """
    if path.is_dir() or path.suffix == ".ewb":
        bundle = verify(path, trusted)
        variant = bundle.variant()
        content = bundle.content
        return Source(
            name, content.version, variant.model, variant.engine, variant.options, content.labels,
            content.preprocessing, bundle.digest,
        )  # fmt: skip
    engine = _PLAIN.get(path.suffix)
    if engine is None:
        raise InputError(f"{path} is neither a bundle nor a model: {', '.join(_PLAIN)}")
    model = load(path)
    return Source(name, "1", model, engine, EngineOptions(), digest=model.digest)


def _is_one(path: Path) -> bool:
    return path.is_file() or (path / MANIFEST).is_file()


def _within(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"there is nothing at {folder}; name a bundle, a model file, or a folder of them")
    found = [p for p in folder.iterdir() if p.suffix in (*_PLAIN, ".ewb") or (p / MANIFEST).is_file()]
    return sorted(p for p in found if not p.name.startswith("."))
