"""A content-addressed store: results by what they were made of, whole or not there, safe to share and to kill.

``objects/`` holds bytes by their own digest, ``entries/`` small JSON values by the digest of their key. A result is
written object first, entry last, so that an entry never names what is missing. Both are checked when they are read:
what a disk damaged counts as absent and is made again. The folder may be deleted whenever no run uses it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgewright.core.digests import canonical_json, digest_bytes, digest_json
from edgewright.core.files import sweep, write_file
from edgewright.core.model import Model, Signature, Step

# For backup programs (the Cache Directory Tagging Standard) and for git: nothing here is worth keeping.
_MARKS = {"CACHEDIR.TAG": b"Signature: 8a477f597d28d172789f06886806bc55\n", ".gitignore": b"*\n"}


class Store:
    """Rooted at a folder that need not exist yet."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def prepared(self) -> bool:
        """Whether a store was ever prepared there."""
        return all((self.root / name).is_file() for name in _MARKS)

    def prepare(self) -> None:
        """Make the folder, mark it as a cache and remove what killed writers left in it. Raises StorageError."""
        for name, data in _MARKS.items():
            if not (self.root / name).exists():
                write_file(self.root / name, data)
        sweep(self.root, below=True)

    def get(self, key: Any) -> Any:
        """The JSON value kept under a JSON key, or None. A damaged entry counts as absent."""
        path = self._entry(key)
        try:
            kept = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(kept, dict) or kept.get("key") != json.loads(canonical_json(key)):
            return None
        value = kept.get("value")
        return value if kept.get("digest") == digest_json(value) else None

    def put(self, key: Any, value: Any) -> None:
        """Keep a JSON value under a JSON key. Raises StorageError."""
        write_file(self._entry(key), canonical_json({"key": key, "value": value, "digest": digest_json(value)}))

    def put_model(self, model: Model) -> dict[str, Any]:
        """Keep a model's files; the JSON value that ``get_model`` takes."""
        names = {}
        for name, data in model.files.items():
            digest = digest_bytes(data)
            if self._object(digest) is None:
                write_file(self._place(digest), data)
            names[name] = digest
        return {
            "format": model.format,
            "main": model.main,
            "files": names,
            "signature": model.signature.to_json(),
            "lineage": [step.to_json() for step in model.lineage],
        }

    def get_model(self, value: dict[str, Any]) -> Model | None:
        """The model ``put_model`` kept, its bytes checked; None when they are gone or changed."""
        files = {}
        for name, digest in value["files"].items():
            data = self._object(digest)
            if data is None:
                return None
            files[name] = data
        lineage = tuple(Step(s["name"], s["options"], s["parent"]) for s in value["lineage"])
        return Model(value["format"], value["main"], files, Signature.from_json(value["signature"]), lineage)

    def _object(self, digest: str) -> bytes | None:
        """The bytes of a digest; None when they are gone or changed."""
        try:
            data = self._place(digest).read_bytes()
        except OSError:
            return None
        return data if digest_bytes(data) == digest else None

    def _place(self, digest: str) -> Path:
        return self.root / "objects" / digest[:2] / digest

    def _entry(self, key: Any) -> Path:
        name = digest_json(key)
        return self.root / "entries" / name[:2] / f"{name}.json"
