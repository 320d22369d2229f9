"""What the child says of a file, held against what it may say: it may be the file that speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.core.digests import canonical_json
from edgewright.core.errors import InputError
from edgewright.core.fields import Fields
from edgewright.core.files import safe_name
from edgewright.core.strict import texts
from edgewright.formats.hostile import checked_signature

_MOST_BYTES = 2**16
_MOST_FILES = 4096
_WORD = 16


@dataclass(frozen=True)
class ModelFacts:
    """``files``: name -> path below the folder the child worked in. ``layers``: JSON, as it is stored."""

    format: str
    digest: str
    signature: dict[str, Any]
    files: Mapping[str, Path]
    facts: dict[str, Any]
    layers: bytes


def model_facts(value: Any, folder: Path) -> ModelFacts:
    """The child's answer about a model. Raises InputError."""
    try:
        fields = Fields(value, "the answer")
        files = {safe_name(name): _inside(folder, place) for name, place in fields.named("files").items()}
        layers = canonical_json(fields.take("layers", list))
        found = ModelFacts(
            fields.text("format")[:_WORD], _digest(fields.text("digest")),
            _signature(fields.named("signature")), files, _bounded(fields.named("facts")),
            layers if b"\\u0000" not in layers else b"[]",
        )  # fmt: skip
        fields.end()
    except (ValueError, TypeError) as error:
        raise InputError(f"the model cannot be told of ({error}); export it again") from error
    if not 0 < len(files) <= _MOST_FILES or "\0" in texts(found.signature):
        raise InputError("the model has no files, too many, or names that cannot be kept; export it again")
    return found


def data_facts(value: Any) -> dict[str, Any]:
    """The child's answer about a data set. Raises InputError."""
    try:
        if not isinstance(value, dict) or type(value["samples"]) is not int or value["samples"] < 1:
            raise ValueError("it has no samples")
        return _bounded(value)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"the data cannot be told of ({error}); save them again") from error


def _signature(told: dict[str, Any]) -> dict[str, Any]:
    """Every list of models tells it, so it has a bound: some hundred tensors."""
    made = checked_signature(told, "the model").to_json()
    if len(canonical_json(made)) > _MOST_BYTES:
        raise ValueError(f"its inputs and outputs take more than {_MOST_BYTES:,} bytes to tell")
    return made


def _bounded(facts: dict[str, Any]) -> dict[str, Any]:
    """It is shown, and nothing depends on it: what cannot be kept is left out."""
    kept = dict(facts)
    for name in sorted(kept, key=lambda key: -len(canonical_json(kept[key]))):
        if len(canonical_json(kept)) <= _MOST_BYTES:
            break
        del kept[name]
    return kept if "\0" not in texts(kept) else {}


def _digest(text: str) -> str:
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise ValueError("its digest is none")
    return text


def _inside(folder: Path, place: Any) -> Path:
    path = folder / safe_name(place if isinstance(place, str) else "")
    if path.is_symlink() or not path.is_file() or path.resolve() != folder.resolve() / place:
        raise ValueError("a file of it is not there")
    return path
