"""Kept: a candidate's folder as a run left it, read strictly: it may be anybody's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from edgewright.compression.search import Runner, Spec
from edgewright.core.errors import InputError
from edgewright.core.files import read_file, safe_name
from edgewright.core.session import EngineOptions
from edgewright.core.strict import parse_json
from edgewright.engines import ENGINES

CANDIDATE = "candidate.json"
"""What says how a candidate was made and is run, beside its model."""
_LIMIT, _MOST_STEPS = 16 * 2**20, 64


@dataclass(frozen=True)
class Kept:
    """``main``: the path of its model; ``digest``: of that ("": not told)."""

    spec: Spec
    main: Path
    digest: str


def read_kept(folder: Path) -> Kept:
    """The candidate in ``folder``. Raises InputError."""
    place = folder / CANDIDATE
    try:
        told = parse_json(read_file(place, _LIMIT), _LIMIT)
    except ValueError as error:
        raise InputError(f"{place} cannot be used: {error}") from error
    if not isinstance(told, dict) or not isinstance(told.get("main"), str):
        raise InputError(f"{place} does not name its model file ('main'); make the candidate again")
    return Kept(_spec(told, place), folder / safe_name(told["main"]), str(told.get("digest") or ""))


def read_spec(path: Path) -> Spec:
    """How a candidate was made, of its folder or its ``candidate.json``: every step is one that a pass takes. Its model
    is not looked at. Raises InputError."""
    from edgewright.compression.passes import make_pass

    spec = read_kept(path.parent if path.name == CANDIDATE else path).spec
    for step in spec.steps:
        make_pass(step)
    return spec


def _spec(told: Mapping[str, Any], place: Path) -> Spec:
    engine, steps = told.get("engine"), told.get("recipe", [])
    if not isinstance(engine, str) or engine not in ENGINES:
        raise InputError(f"{place} names the engine {engine!r}; there are: {', '.join(ENGINES)}")
    if not isinstance(steps, list) or len(steps) > _MOST_STEPS or not all(isinstance(step, dict) for step in steps):
        raise InputError(f"{place} holds no recipe of at most {_MOST_STEPS} steps; make the candidate again")
    return Spec(tuple(steps), Runner(engine, _options(told.get("engine_options"), place)))


def _options(told: Any, place: Path) -> EngineOptions:
    """Engine options out of JSON: known names and the right kinds of values only."""
    defaults = {field.name: field.default for field in fields(EngineOptions)}
    if not isinstance(told, dict) or not told.keys() <= defaults.keys():
        raise InputError(f"{place} holds engine_options that are not known; there are: {', '.join(defaults)}")
    wrong = [name for name, value in told.items() if type(value) is not type(defaults[name])]
    if wrong or not 1 <= told.get("threads", 1) <= 1024:
        raise InputError(f"{place} holds an engine option of the wrong kind: {', '.join(wrong) or 'threads'}")
    options = EngineOptions(**told)
    if options.graph_level not in ("none", "basic", "extended", "all") or options.policy not in ("fail", "degrade"):
        raise InputError(f"{place} holds an engine option that is not known: {options.graph_level}, {options.policy}")
    return options
