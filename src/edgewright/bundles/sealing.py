"""Sealing: content and a key to a bundle on the disk, the same bytes each time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgewright.bundles.bundle import Bundle, write_bundle
from edgewright.bundles.checks import check_content
from edgewright.bundles.content import BundleContent, Variant
from edgewright.bundles.manifest import lay_out, parse, render
from edgewright.bundles.names import BOM, KIND, MANIFEST, SIGNATURE, Limits
from edgewright.bundles.verification import verify
from edgewright.core.digests import canonical_json
from edgewright.core.errors import InputError
from edgewright.engines import engine
from edgewright.trust import SigningKey, own_key, sign


def seal(content: BundleContent, folder: str | Path, key: SigningKey | None = None) -> Bundle:
    """Write the bundle of ``content`` to ``folder``, whole or not at all, and give back what was read from there.

    ``key`` None stands for the user's own, made on first use. The same content, key and installed runtime libraries
    (the bill of materials names their versions) give the same bytes. An older bundle in ``folder`` is replaced,
    anything else is not. Raises InputError for content that cannot be kept, StorageError, TrustError for a bad key.
    """
    key = key or own_key()
    files = seal_files(content, key)
    write_bundle(Path(folder), files)
    return verify(folder, (key.public,))


def seal_files(content: BundleContent, key: SigningKey) -> dict[str, bytes]:
    """The files of the sealed bundle, by name. Raises InputError."""
    from edgewright.bundles.bom import bill_of_materials  # reads what is installed: nothing that a device needs

    content = replace(content, variants=tuple(map(_with_version, content.variants)))
    try:
        check_content(content)
        manifest, files = lay_out(content)
        bom = bill_of_materials(content, {name: data for name, data in files.items() if name.startswith("models/")})
        files[BOM] = canonical_json(bom) + b"\n"
        head = render(manifest, files)
        parse(head, Limits())  # what could not be opened is not sealed
    except (ValueError, TypeError) as error:
        raise InputError(f"the bundle cannot be sealed: {error}") from error
    return {MANIFEST: head, SIGNATURE: sign(head, KIND, key), **files}


def _with_version(variant: Variant) -> Variant:
    return variant if variant.engine_version else replace(variant, engine_version=engine(variant.engine).version())
