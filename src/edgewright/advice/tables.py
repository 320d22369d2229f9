"""The advice data: TOML files in ``advice/data``, read strictly. An error names the file and the entry."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from edgewright.core.errors import InputError

SCHEMA = 1


@cache
def read(name: str) -> Mapping[str, Any]:
    """The document ``advice/data/<name>.toml``. Raises InputError for one this version does not understand."""
    data = (files("edgewright.advice") / "data" / f"{name}.toml").read_bytes()
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"advice/data/{name}.toml is no TOML document: {error}") from error
    if document.pop("schema", None) != SCHEMA:
        raise InputError(f"advice/data/{name}.toml must say schema = {SCHEMA}")
    return document


def check_keys(entry: Mapping[str, Any], needed: Iterable[str], allowed: Iterable[str], place: str) -> None:
    """Raise InputError when ``entry`` lacks a needed key or has one that nobody reads."""
    missing = [key for key in needed if not entry.get(key)]
    if missing:
        raise InputError(f"{place}: {missing[0]!r} is missing")
    unknown = sorted(entry.keys() - set(needed) - set(allowed))
    if unknown:
        raise InputError(f"{place}: {unknown[0]!r} is not a known key")
