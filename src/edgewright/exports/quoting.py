"""Quoting: a text of the bundle's as source text of another language, one line each, whatever the text holds."""

from __future__ import annotations

import html
import json
import re
import shlex
from collections.abc import Callable

_PLAIN = re.compile(r"[^A-Za-z0-9 _.,:;=+()\[\]-]")
_MARKS = re.compile(r"([\\`*_{}\[\]()<>#|!~&+.-])")
_ESCAPED = re.compile(r"\\.|\$")
_KOTLIN = {"$": "\\u0024", "\\f": "\\u000c"}
_COMMENT = 200


class Code(str):
    """Source text that we wrote ourselves, or quoted already. It alone may be inserted ``raw``."""

    __slots__ = ()


def python(text: str) -> str:
    """A string literal of Python's, in double quotes where none are inside."""
    body = ascii(text)
    return f'"{body[1:-1]}"' if body[0] == "'" and '"' not in body and "\\'" not in body else body


def javascript(text: str) -> str:
    """A string literal of JSON, JavaScript and TypeScript."""
    return json.dumps(text)


def yaml(text: str) -> str:
    """A double-quoted scalar of YAML 1.2, and a basic string of TOML: neither knows halves of a UTF-16 pair."""
    return '"' + "".join(map(_wide, text)) + '"'


def _wide(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    point = ord(character)
    if 0x20 <= point < 0x7F:
        return character
    return f"\\u{point:04X}" if point < 0x10000 else f"\\U{point:08X}"


def cpp(text: str) -> str:
    """A string literal of C and C++, in UTF-8. Octal escapes end after three digits, whatever follows."""
    return '"' + "".join(_octal(byte) for byte in text.encode()) + '"'


def _octal(byte: int) -> str:
    # A question mark could begin a trigraph.
    return chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\?' else f"\\{byte:03o}"


def kotlin(text: str) -> str:
    """A string literal of Kotlin, in which a dollar sign begins a template, and which has no word for a form feed."""
    return _ESCAPED.sub(lambda found: _KOTLIN.get(found[0], found[0]), json.dumps(text))


def swift(text: str) -> str:
    """A string literal of Swift."""
    return '"' + "".join(_braced(character) for character in text) + '"'


def _braced(character: str) -> str:
    plain = 0x20 <= ord(character) < 0x7F and character not in '"\\'
    return character if plain else f"\\u{{{ord(character):X}}}"


def xml(text: str) -> str:
    """Text or an attribute's value in XML 1.0, which has no place for control characters."""
    return html.escape("".join(c if c.isprintable() else "?" for c in text))


def shell(text: str) -> str:
    """One word of a POSIX shell. Raises ValueError for a line break, which few files can hold where a word stands."""
    if not text.isprintable():
        raise ValueError(f"{text[:40]!r} cannot be one word of a shell's line")
    return shlex.quote(text)


def markdown(text: str) -> str:
    """Text in Markdown: nothing in it is markup, HTML or a line break."""
    return _MARKS.sub(r"\\\1", "".join(c if c.isprintable() else "?" for c in text))


def comment(text: str) -> str:
    """Words in a comment, whatever ends comments there: letters, digits and harmless signs, cut after 200."""
    return _PLAIN.sub("?", text)[:_COMMENT]


def raw(text: str) -> str:
    """As it is. Raises ValueError unless it is ``Code``."""
    if not isinstance(text, Code):
        raise ValueError(f"{text[:40]!r} is not source text; name how it is to be quoted")
    return text


QUOTES: dict[str, Callable[[str], str]] = {
    one.__name__: one for one in (python, javascript, yaml, cpp, kotlin, swift, xml, shell, markdown, comment, raw)
}
"""By the name that a template gives behind ``|``."""
