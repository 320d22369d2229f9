"""A content-addressed store: results by what they were made of, whole or not there, safe to share and to kill.

``objects/`` holds bytes by their own digest, ``entries/`` small JSON values by the digest of their key. A result is
written object first, entry last, so that an entry never names what is missing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgewright.core.digests import canonical_json, digest_bytes, digest_json
from edgewright.core.files import write_file
from edgewright.core.model import Model, Signature, Step


class Store:
    """Rooted at a folder that need not exist yet."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, key: Any) -> Any:
        """The JSON value kept under a JSON key, or None. A damaged entry counts as absent."""
        path = self._entry(key)
        try:
            kept = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return None
        return kept["value"] if isinstance(kept, dict) and kept.get("key") == json.loads(canonical_json(key)) else None

    def put(self, key: Any, value: Any) -> None:
        """Keep a JSON value under a JSON key. Raises StorageError."""
        write_file(self._entry(key), canonical_json({"key": key, "value": value}))

    def put_model(self, model: Model) -> dict[str, Any]:
        """Keep a model's files; the JSON value that ``get_model`` takes."""
        names = {}
        for name, data in model.files.items():
            digest = digest_bytes(data)
            path = self.root / "objects" / digest[:2] / digest
            if not path.exists():
                write_file(path, data)
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
            try:
                data = (self.root / "objects" / digest[:2] / digest).read_bytes()
            except OSError:
                return None
            if digest_bytes(data) != digest:
                return None
            files[name] = data
        lineage = tuple(Step(s["name"], s["options"], s["parent"]) for s in value["lineage"])
        return Model(value["format"], value["main"], files, Signature.from_json(value["signature"]), lineage)

    def _entry(self, key: Any) -> Path:
        name = digest_json(key)
        return self.root / "entries" / name[:2] / f"{name}.json"
