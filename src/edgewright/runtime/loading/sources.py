"""Sources: what is served, as read from a bundle that verified or from a model file of the user's own."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.bundles import Golden, verify
from edgewright.core.digests import digest_parts
from edgewright.core.errors import EngineError, InputError
from edgewright.core.model import FilesIn, Model, Signature
from edgewright.core.session import EngineOptions, Session
from edgewright.core.strict import parse_json
from edgewright.engines import open_session
from edgewright.formats import load
from edgewright.runtime.loading.places import BUNDLE, PLAIN, Place, data_files
from edgewright.trust import PublicKey

if TYPE_CHECKING:
    from edgewright.runtime.isolation import Isolation

_EVIDENCE_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Source:
    """What is served: a model, how it is opened, and what a bundle told besides.

    ``unready``: which gates the bundle did not pass when it was sealed, "" when all. ``latency_ms``: what its contract
    promises as the 99th percentile on its target, or None. ``digest``: SHA-256 of the bundle's manifest, or of the
    model file as ``sha256sum`` prints it; with files beside it ``core.digests.digest_files`` of all. ``written_ns``:
    when the files were.
    """

    name: str
    version: str
    model: Model
    engine: str
    options: EngineOptions
    labels: tuple[str, ...] = ()
    preprocessing: Mapping[str, Any] | None = None
    postprocessing: Mapping[str, Any] | None = None
    digest: str = ""
    golden: Golden | None = None
    latency_ms: float | None = None
    unready: str = ""
    written_ns: int = 0

    @property
    def title(self) -> str:
        """As ``titled``."""
        return titled(self.name, self.version, self.digest)


def titled(name: str, version: str, digest: str) -> str:
    """Name, version and how the digest begins: which files these are, for people."""
    return f"{name} {version}" + (f" (sha256 {digest[:12]})" if digest else "")


def read_source(
    place: Place,
    trusted: Sequence[PublicKey] | None = None,
    engine: str = "",
    options: EngineOptions | None = None,
) -> Source:
    """What lies there. A bundle must verify, against ``trusted`` or the keys of this machine.

    ``engine`` and ``options`` replace what the bundle or the file's suffix says. Raises InputError, TrustError.
    """
    path = place.path
    if path.is_dir() or path.suffix == BUNDLE:
        bundle = verify(path, trusted)
        variant = bundle.variant(engine)
        content = bundle.content
        promised = [limit.limit for limit in content.contract.limits if limit.metric == "latency_p99_ms"]
        return Source(
            place.name, content.version, variant.model, variant.engine, options or variant.options, content.labels,
            content.preprocessing, content.postprocessing, bundle.digest, content.golden,
            promised[0] if promised else None, _unready(content.evidence), place.written_ns,
        )  # fmt: skip
    if path.suffix not in PLAIN:
        raise InputError(f"{path} is neither a bundle nor a model: {', '.join(PLAIN)}")
    chosen = engine or PLAIN[path.suffix]
    if chosen == "onnxruntime" and path.suffix in (".onnx", ".ort"):
        model = _in_place(path)
        digest = _digest(path)
    else:
        model = load(path)
        digest = model.digest
    chosen_options, written_ns = options or EngineOptions(), place.written_ns
    return Source(place.name, place.version, model, chosen, chosen_options, digest=digest, written_ns=written_ns)


def open_model(source: Source, isolation: Isolation | None = None, run_bytes: int = 0) -> tuple[Source, Session]:
    """``source`` open in its engine, and with the signature that the engine found where nobody had read it before;
    with ``isolation`` in a process of its own. ``run_bytes`` as ``open_session`` has it.

    Raises EngineError, MissingExtra, and InputError for a file that is no model.
    """
    with opening(source.model):
        session: Session
        if isolation is None:
            session = open_session(source.model, source.engine, source.options, run_bytes)
        else:
            from edgewright.runtime.isolation import open_isolated

            session = open_isolated(source.model, source.engine, source.options, isolation, run_bytes)
    if not source.model.signature.inputs:
        found = session.signature
        if not found.inputs or not found.outputs:
            session.close()
            raise EngineError("the model takes no input or gives no output; export it with both")
        source = replace(source, model=replace(source.model, signature=found))
    return source, session


@contextlib.contextmanager
def opening(model: Model) -> Iterator[None]:
    """What ONNX Runtime says of a file that is no model, in words for whoever put it there: InputError."""
    try:
        yield
    except EngineError as error:
        if "INVALID_PROTOBUF" not in str(error):
            raise
        what = f"{model.main} is not a whole ONNX file (truncated or another format); export it again"
        raise InputError(what) from error


def scattered(path: Path) -> bool:
    """Whether a model file seems to keep weights in files beside it, which an engine would map: changed under it, they
    would end the process."""
    return path.suffix == ".onnx" and path.is_file() and bool(data_files(path))


def _unready(evidence: Mapping[str, bytes]) -> str:
    try:
        told = parse_json(evidence["readiness.json"], _EVIDENCE_BYTES)
        failed = [str(gate["name"])[:60] for gate in told["gates"] if gate["state"] == "failed"]
        return "" if told["ready"] is True else ", ".join(failed) or "its report says not ready"
    except (KeyError, TypeError, ValueError):
        return ""  # a bundle may have been sealed without gates


def _in_place(path: Path) -> Model:
    """A file for ONNX Runtime to open where it lies: what the device install has reads no ONNX by itself."""
    try:
        with path.open("rb") as stream:
            head = stream.read(64)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if not head:
        raise InputError(f"{path} is empty; export the model again")
    if head.startswith(b"version https://git-lfs"):
        raise InputError(f"{path} is a Git LFS pointer, not the model; fetch it with: git lfs pull")
    return Model(path.suffix[1:], path.name, FilesIn(path.parent, [path.name]), Signature((), ()))


def _digest(path: Path) -> str:
    found = {}
    for part in [path, *(data_files(path) if path.suffix == ".onnx" else [])]:
        try:
            with part.open("rb") as stream:
                found[str(part.relative_to(path.parent))] = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise InputError(f"cannot read {part}: {error.strerror}") from error
    return digest_parts(found)
