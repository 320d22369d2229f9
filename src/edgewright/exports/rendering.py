"""Rendering: templates with ``@@name|quote@@`` in them, and nothing else.

Not Jinja2: it is no part of the hub's or a device's install, its ``{{ }}`` are GitHub's own, and it escapes for
HTML alone. Here every place says for which language its value is quoted, and forgetting it is an error. There are no
conditions and no loops: what hangs on the bundle is made in Python, as ``Code``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from edgewright.exports.quoting import QUOTES

RENDERED = ".in"
"""Files whose names end so are templates, and lose it; all others are taken as they are."""
_PLACE = re.compile(r"@@(\w+)\|(\w+)@@")
_PART = re.compile(r"__(?!init__)(\w+)__")
_NOT_OURS = {"__pycache__", "__init__.py"}


def render(template: str, values: Mapping[str, str], where: str = "the template") -> str:
    """The template with its places filled. Raises ValueError for an unknown name or quote, a place without a quote,
    and a value that cannot be quoted so."""
    if "@@" in _PLACE.sub("", template):
        raise ValueError(f"{where} holds '@@' that is no place of the form @@name|quote@@")

    def fill(place: re.Match[str]) -> str:
        name, quote = place.groups()
        if name not in values or quote not in QUOTES:
            raise ValueError(
                f"{where} asks for {place[0]}, and there is no such {'quote' if name in values else 'value'}"
            )
        return QUOTES[quote](values[name])

    return _PLACE.sub(fill, template)


def render_folder(folder: str, values: Mapping[str, str], names: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """All files of ``templates/<folder>``, rendered, by name. ``__part__`` in a name stands for ``names["part"]``.

    Raises ValueError as ``render`` does, KeyError for a part that ``names`` lacks.
    """
    made: dict[str, bytes] = {}
    for name, file in _walk(files("edgewright.exports") / "templates" / folder, ""):
        target = _PART.sub(lambda part: (names or {})[part[1]], name)
        data = file.read_bytes()
        if name.endswith(RENDERED):
            target = target.removesuffix(RENDERED)
            data = render(data.decode(), values, f"{folder}/{name}").encode()
        made[target] = data
    if not made:
        raise ValueError(f"there are no templates for {folder!r}; install the package again")
    return made


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name in _NOT_OURS:
            continue
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry
