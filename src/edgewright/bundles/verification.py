"""Verifying: signature first, then everything the signature speaks for, then nothing else may be there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edgewright.bundles import archive
from edgewright.bundles.bundle import Bundle
from edgewright.bundles.checks import check_content
from edgewright.bundles.manifest import parse, restore
from edgewright.bundles.names import KIND, MANIFEST, SIGNATURE, Limits
from edgewright.bundles.sources import open_source
from edgewright.core.digests import digest_bytes
from edgewright.core.errors import TrustError
from edgewright.trust import PublicKey, own_public_key
from edgewright.trust import verify as verify_signature
from edgewright.trust.signatures import LIMIT_BYTES


def verify(path: str | Path, trusted: Iterable[PublicKey] | None = None, limits: Limits | None = None) -> Bundle:
    """The bundle at ``path``, a folder or a single file, if a key of ``trusted`` signed exactly what lies there.

    ``trusted`` None stands for the user's own key alone; keys that are named replace it. Bytes are parsed only after
    the signature over them holds, read once, and kept: what was verified is what the Bundle gives out. Raises
    TrustError with what differs, InputError when nothing is at ``path``.
    """
    keys = _own() if trusted is None else tuple(trusted)
    limits = limits or Limits()
    with open_source(Path(path)) as source:
        manifest = source.read(MANIFEST, limits.manifest_bytes)
        signature = source.read(SIGNATURE, LIMIT_BYTES)
        signer = verify_signature(manifest, signature, KIND, keys)
        files = {MANIFEST: manifest, SIGNATURE: signature}
        try:
            fields, table = parse(manifest, limits)
            for name in archive.order(table)[2:]:
                digest, size = table[name]
                files[name] = source.read(name, limits.file_bytes, size)
                if digest_bytes(files[name]) != digest:
                    raise TrustError(f"{name} was changed: its digest is not the one that was signed")
            source.finish(frozenset(files))
            content = restore(fields, {name: files[name] for name in table})
            check_content(content)
        except (ValueError, RecursionError) as error:
            raise TrustError(f"the bundle is signed but unsound: {error or type(error).__name__}") from error
    return Bundle(content, files, signer)


def _own() -> tuple[PublicKey, ...]:
    key = own_public_key()
    if key is None:
        raise TrustError("no key is trusted: you have none of your own yet; name the signer's with --key FILE.pub")
    return (key,)
