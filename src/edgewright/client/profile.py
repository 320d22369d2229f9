"""Profile: where the hub is and who one is there, kept between commands in a file of mode 0600."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from edgewright.core.digests import canonical_json
from edgewright.core.errors import InputError
from edgewright.trust.keys import keys_folder
from edgewright.trust.private import make_folder, read_private, write_private


@dataclass(frozen=True)
class Profile:
    """``url``: the hub's, without a path; ``token``: an API token; ``anchor``: PEM of the roots that the hub's
    certificate must stand below, "" for the system's."""

    url: str
    token: str = field(default="", repr=False)
    anchor: str = ""

    def __post_init__(self) -> None:
        if not self.token.isascii() or not all(c.isprintable() and c != " " for c in self.token):
            raise InputError("the token holds characters that no token has; copy the whole of it, and nothing else")

    @staticmethod
    def prepare() -> None:
        """Make the folder for it, so that what hinders ``save`` is told before a password is spent. Raises TrustError,
        StorageError."""
        make_folder(place().parent)

    def save(self) -> Path:
        """Keep it for later commands. Raises StorageError, TrustError."""
        path = place()
        make_folder(path.parent)
        write_private(path, canonical_json(asdict(self)) + b"\n")
        return path

    @classmethod
    def load(cls) -> Profile:
        """From EDGEWRIGHT_HUB and EDGEWRIGHT_TOKEN where the first is set, else what ``save`` kept. Raises
        InputError."""
        url = os.environ.get("EDGEWRIGHT_HUB", "").rstrip("/")
        if url:
            file = os.environ.get("EDGEWRIGHT_CA", "")
            return cls(url, os.environ.get("EDGEWRIGHT_TOKEN", ""), _pem(Path(file)) if file else "")
        path = place()
        if not path.exists():
            raise InputError("no hub is known; log in: edgewright login URL (or set EDGEWRIGHT_HUB, EDGEWRIGHT_TOKEN)")
        try:
            told = json.loads(read_private(path))
            return cls(str(told["url"]), str(told["token"]), str(told["anchor"]))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} cannot be read; log in again: edgewright login URL") from error


def place() -> Path:
    """Where the profile lies."""
    return keys_folder() / "hub.json"


def _pem(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"EDGEWRIGHT_CA: {path} is no file of certificates (PEM)") from error
