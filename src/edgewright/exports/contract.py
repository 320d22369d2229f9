"""Contract: what an export is, and what the base makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from edgewright.exports.quoting import Code, markdown
from edgewright.exports.rendering import render_folder
from edgewright.exports.subject import Subject


@dataclass(frozen=True)
class Limit:
    """The most that a platform takes: ``size_bytes`` of ``what``; ``source``: who says so."""

    size_bytes: int
    what: str
    source: str


class Export(Protocol):
    """One kind. Pure: a verified bundle in, files out, the same bytes each time. Sentences end with a full stop.

    ``title``: "a Python client". ``needs``: what whoever uses it needs. ``tested``: what our tests do with it, "" where
    nothing of it was ever run: then it is unverified, and says so everywhere. ``untested``: what they do not.
    """

    title: str
    needs: str
    tested: str
    untested: str
    limit: Limit | None

    def files(self, subject: Subject) -> dict[str, bytes]:
        """Files by relative name, ``README.md`` among them. Raises InputError for a bundle that does not do."""
        ...


def common(subject: Subject, export: Export) -> dict[str, str]:
    """Values that every template may use. ``identity``, ``standing`` and ``tensors`` are Markdown."""
    content = subject.bundle.content
    texts = {
        **subject.identity, "label": subject.label, "snake": subject.snake, "pascal": subject.pascal,
        "short": subject.bundle.digest[:12], "task": content.task, "licence": content.licence or "not told",
        "kebab": subject.snake.replace("_", "-"), "image_tag": image_tag(subject), "extras": subject.extras,
    }  # fmt: skip
    return {
        **texts, "key": Code(subject.bundle.signer.text()), "word": Code(subject.name),
        "identity": Code(_identity(subject)), "standing": Code(standing(export)),
        "tensors": Code(_tensors(subject)), "preparing": Code(_preparing(subject)),
    }  # fmt: skip


def image_tag(subject: Subject) -> str:
    """What the container image of this very bundle is called."""
    return f"{subject.label}:{subject.bundle.digest[:12]}"


def rendered(
    subject: Subject, export: Export, folder: str, values: Mapping[str, str], names: Mapping[str, str] | None = None
) -> dict[str, bytes]:
    """The templates of ``folder`` with the common values and ``values``."""
    return render_folder(folder, {**common(subject, export), **values}, names)


def standing(export: Export) -> str:
    """What is verified and what is not, as Markdown."""
    if not export.tested:
        return f"**Unverified.** {export.untested}"
    return f"Verified: {export.tested}\n\nNot verified: {export.untested}"


def _identity(subject: Subject) -> str:
    rows = [
        ("bundle", f"{subject.name} {subject.version}"), ("digest", f"`{subject.bundle.digest}`"),
        ("signed by", f"`{subject.bundle.signer.id}`"),
        ("licence of the model", markdown(subject.bundle.content.licence) or "not told"),
    ]  # fmt: skip
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def _tensors(subject: Subject) -> str:
    lines = ["| | name | dtype and shape |", "|---|---|---|"]
    for side, tensors in (("input", subject.inputs), ("output", subject.outputs)):
        lines += [f"| {side} | {markdown(one.name)} | {markdown(one.told)} |" for one in tensors]
    return "\n".join(lines)


def _preparing(subject: Subject) -> str:
    """How inputs are to be prepared, as Markdown."""
    declared = subject.bundle.content.preprocessing
    if declared is None:
        return "The bundle declares no preprocessing: inputs are what the model was trained on, as the table has them."
    told = ", ".join(f"{markdown(str(key))} {markdown(str(value))}" for key, value in sorted(declared.items()))
    return (
        f"The bundle declares how an image becomes the input: {told}. Pixels count from 0 to 255, channels are RGB, "
        "and each becomes (pixel × scale − mean) / std."
    )
