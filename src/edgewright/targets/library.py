"""Targets by name: those that ship with Edgewright, a user's own file, and this machine."""

from __future__ import annotations

import difflib
from functools import cache
from importlib.resources import files
from pathlib import Path

from edgewright.core.errors import InputError
from edgewright.targets.description import Target
from edgewright.targets.schema import load, parse

HOST = "host"


@cache
def _shipped() -> tuple[str, ...]:
    folder = files("edgewright.targets") / "data"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def names() -> tuple[str, ...]:
    """Names that ``target`` knows, ``host`` first."""
    return (HOST, *_shipped())


@cache
def _shipped_target(name: str) -> Target:
    place = files("edgewright.targets") / "data" / f"{name}.toml"
    return parse(place.read_bytes(), f"targets/{name}.toml")


def measure_host() -> Target:
    """This machine, measured anew (under 2 s); the result is remembered for ``target("host")``."""
    from edgewright.targets import host, probe

    detected = host.detect()
    return probe.applied(detected, probe.measured(detected, again=True))


def target(name: str | Path, *, measure: bool = False) -> Target:
    """The target of that name, ``host`` for this machine, or the one in a user's ``.toml`` file.

    ``measure`` matters to ``host`` only: True runs the micro-benchmark (under 2 s, once per machine and version);
    without it earlier results are used if there are any, else peaks derived from the instruction sets and the clock.
    Raises InputError: an unknown name with the nearest known ones, a wrong file with the key that is wrong.
    """
    text = str(name)
    if text == HOST:
        from edgewright.targets.host import host

        return host(measure=measure)
    if text in _shipped():
        return _shipped_target(text)
    if isinstance(name, Path) or text.endswith(".toml") or "/" in text:
        found = load(Path(name))
        if found.name == HOST:
            raise InputError(f"{name}: name {HOST!r} is kept for the machine one is on; give the target another name")
        return found
    near = difflib.get_close_matches(text.lower(), names(), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(names())}"
    raise InputError(f"no target is named {text[:80]!r}; {hint} (a path to a .toml file of your own works too)")
