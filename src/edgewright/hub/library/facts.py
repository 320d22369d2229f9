"""What a packed bundle says of itself, found out in two steps: who signed which manifest, here, by fixed places and one
signature; all else in a child process that is shut off, whose answer is checked like a stranger's.

So nothing that a forged bundle does to the reader of formats changes which manifest and which signer it is filed under.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from edgewright.bundles import Limits, archive, verify
from edgewright.bundles.names import KIND, MANIFEST, SIGNATURE, check_names, word
from edgewright.core.child import run_child
from edgewright.core.digests import canonical_json, digest_bytes
from edgewright.core.errors import EdgewrightError, EngineError, InputError, StorageError, TrustError
from edgewright.core.fields import Fields
from edgewright.core.strict import texts
from edgewright.trust import PublicKey
from edgewright.trust import verify as verify_signature
from edgewright.trust.signatures import LIMIT_BYTES

_CHILD = "edgewright.hub.library.facts:read_facts"
_TIMEOUT_S = 120.0
_SPARE_BYTES = 2**30
_EVIDENCE_BYTES = 2**18
_TOLD = 200
DIGEST = re.compile("[0-9a-f]{64}")
NO_SOURCE = "-"
"""The source of a bundle that names none."""


@dataclass(frozen=True)
class Facts:
    """``digest``: of the manifest; ``source``: of the model that it was made of. ``files``: name -> (SHA-256, bytes,
    where it begins in the single file). ``evidence``: JSON of at most 256 KiB."""

    digest: str
    name: str
    version: str
    source: str
    hardware: tuple[str, ...]
    engines: tuple[str, ...]
    evidence: Mapping[str, Any]
    files: Mapping[str, tuple[str, int, int]]


def signed_manifest(path: Path, signer: PublicKey) -> str:
    """The digest of the manifest that ``signer`` signed in the packed bundle at ``path``. Raises TrustError."""
    with path.open("rb") as stream:
        manifest = _next(stream, MANIFEST, Limits().manifest_bytes)
        signature = _next(stream, SIGNATURE, LIMIT_BYTES)
    try:
        verify_signature(manifest, signature, KIND, (signer,))
    except TrustError as error:
        raise TrustError(f"{error}; name the signer's public key with ?signer=") from error
    return digest_bytes(manifest)


def bundle_facts(path: Path, signer: PublicKey, digest: str) -> Facts:
    """Verify the whole bundle in a child process that sees only the folder of ``path``; then what it holds.

    Raises TrustError for a bundle that does not hold together, or that needs more time or memory than one may.
    """
    length = path.stat().st_size
    argument = {"path": path.name, "signer": signer.raw.hex()}
    memory = 3 * length + _SPARE_BYTES
    try:
        told = run_child(
            _CHILD, argument, timeout_s=_TIMEOUT_S, memory_bytes=memory, sandbox=True, folder=path.parent
        )  # fmt: skip
    except (TrustError, StorageError):
        raise
    except EdgewrightError as error:
        raise TrustError(f"the bundle cannot be verified: {error}") from error
    try:
        return _checked(told, digest, length)
    except (ValueError, EngineError) as error:
        raise TrustError(f"the bundle's facts cannot be used: {error}") from error


def read_facts(argument: dict[str, str]) -> dict[str, Any]:
    """In the child: verify, and tell."""
    path = Path(argument["path"])
    bundle = verify(path, (PublicKey(bytes.fromhex(argument["signer"])),))
    content, files, at = bundle.content, {}, 0
    for name in archive.order(bundle.files):
        data = bundle.files[name]
        files[name] = [digest_bytes(data), len(data), at + archive.BLOCK]
        at += archive.BLOCK + len(data) + len(archive.padding(len(data)))
    contract = content.contract
    return {
        "digest": bundle.digest,
        "name": content.name,
        "version": content.version,
        "source": content.source,
        "target": contract.target,
        "engines": [variant.engine for variant in content.variants],
        "evidence": {
            "target": contract.target,
            "task": content.task,
            "licence": content.licence,
            "limits": [vars(limit) for limit in contract.limits],
            "measured": {name: one.to_json() for name, one in contract.measured.items()},
            "datasets": [vars(fact) for fact in content.datasets],
            "held_out": None if content.held_out is None else content.held_out.to_json(),
            "files": {f"evidence/{name}": files[f"evidence/{name}"][:2] for name in content.evidence},
        },
        "files": files,
    }


def _next(stream: BinaryIO, name: str, limit_bytes: int) -> bytes:
    """The archive's next file, which must have that name."""
    block = stream.read(archive.BLOCK)
    size = archive.stated_size(block)
    if size is None or block != archive.header(name, size):
        raise TrustError(f"that is no packed bundle: {name} is not where it belongs; run: edgewright bundle pack")
    if size > limit_bytes:
        raise TrustError(f"{name} has {size:,} bytes where at most {limit_bytes:,} belong")
    data = stream.read(size)
    fill = archive.padding(size)
    if len(data) != size or stream.read(len(fill)) != fill:
        raise TrustError(f"the archive is cut or changed at {name}")
    return data


def _checked(value: Any, digest: str, length: int) -> Facts:
    """The child's answer. Raises ValueError."""
    fields = Fields(value, "the answer")
    if fields.text("digest") != digest:
        raise ValueError("it is about another manifest")
    name, version = word(fields.text("name"), "name"), word(fields.text("version"), "version")
    source, target = fields.text("source"), fields.text("target")
    source = source if DIGEST.fullmatch(source) else NO_SOURCE  # versions are found by it, nothing else depends on it
    engines = tuple(word(engine, "engine") for engine in fields.texts("engines"))
    evidence = fields.named("evidence")
    if len(canonical_json(evidence)) > _EVIDENCE_BYTES or "\0" in texts(evidence):
        evidence = {}  # it is shown, and nothing depends on it
    files = {key: _place(entry, length) for key, entry in fields.named("files").items()}
    fields.end()
    check_names(files)
    if files.get(MANIFEST, ("",))[0] != digest or SIGNATURE not in files:
        raise ValueError("its manifest or its signature is not among its files")
    return Facts(digest, name, version, source, _hardware(target), engines[:_TOLD], evidence, files)


def _place(entry: Any, length: int) -> tuple[str, int, int]:
    digest, size, start = entry if type(entry) is list and len(entry) == 3 else ("", -1, -1)
    sound = type(digest) is str and DIGEST.fullmatch(digest) and type(size) is int and type(start) is int
    if not sound or size < 0 or start < 0 or start + size > length:
        raise ValueError("a file in it lies nowhere")
    return digest, size, start


def _hardware(target: str) -> tuple[str, ...]:
    """``host`` is whatever machine it was measured on, and no kind that devices know themselves by."""
    try:
        return () if target in ("", "host") else (word(target, "target"),)
    except (ValueError, InputError):
        return ()
