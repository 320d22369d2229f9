"""Keys: those of signers that the hub named are kept as long as a bundle here needs them."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from edgewright.agent.slots import Slots
from edgewright.bundles.names import SIGNATURE
from edgewright.core.errors import InputError
from edgewright.core.files import read_file, remove, storage
from edgewright.core.strict import parse_json
from edgewright.trust import PublicKey

KEYS = "keys"
_OURS = re.compile(r"[0-9a-f]{64}\.pub")
"""As ``HubSource`` names them; what the device's owner put there has other names, and stays."""
_BYTES = 64 * 2**10


def prune(state: Path, slots: Slots) -> list[str]:
    """Remove keys that no bundle on the disk was signed with; their names. While no update is on its way. Raises
    StorageError."""
    needed = set[str]()
    for digest in slots.held():
        try:
            folder = slots.model(digest) or state
            told = parse_json(read_file(folder / SIGNATURE, _BYTES), _BYTES)
            needed.add(str(told["keyid"]))
        except (InputError, ValueError, KeyError, TypeError):
            return []  # a bundle that cannot be looked at now may be the one that is needed
    gone = []
    for path in sorted((state / KEYS).glob("*.pub")):
        if _OURS.fullmatch(path.name) and _id(path.stem) not in needed:
            with storage(path):
                remove(path)
            gone.append(path.stem)
    return gone


def _id(text: str) -> str:
    with contextlib.suppress(InputError, ValueError):
        return PublicKey(bytes.fromhex(text)).id
    return ""
