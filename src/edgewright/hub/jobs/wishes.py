"""Wishes: from what is asked of a job to what is run. What the search would refuse is refused when it is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from edgewright.core.errors import InputError

_ODD = re.compile("[^A-Za-z0-9._+-]+")
_LIMITS = ("max_latency_ms", "max_size_mb", "max_memory_mb", "max_energy_mj", "max_accuracy_drop")
_PLAIN = ("budget_s", "seed", "threads", "keep_structure", "metric")
ONLY = "input/candidate.json"
"""Where the one candidate is described that a job makes, in its folder."""


def options(wish: Mapping[str, Any]) -> dict[str, Any]:
    """``optimize``'s keyword arguments."""
    from edgewright.compression.search import Spec
    from edgewright.compression.verdict import Preference

    limits = wish["limits"]
    chosen: dict[str, Any] = {name: limits[name] for name in _LIMITS if limits.get(name) is not None}
    chosen |= {name: wish[name] for name in _PLAIN}
    chosen["engines"] = tuple(wish["engines"])
    if wish["preference"] is not None:
        chosen["preference"] = Preference(**wish["preference"])
    if wish.get("only") is not None:
        chosen["only"] = Spec.from_json(wish["only"])
    return chosen


def check(wish: Mapping[str, Any]) -> None:
    """Raises InputError for what no search can do, and for what would run code of the asker's own."""
    from edgewright.bundles.names import word
    from edgewright.flows.settings import settle
    from edgewright.measurement.metrics import METRICS

    if wish["metric"] is not None and wish["metric"] not in METRICS:
        raise InputError(f"no metric is named {wish['metric'][:60]!r}; there are: {', '.join(METRICS)}")
    try:
        settle(None, options(wish))
        if wish["name"]:
            word(wish["name"], "bundle's name")
    except ValueError as error:
        raise InputError(str(error)) from error


def plain_name(name: str) -> str:
    """A file's or a model's name as a bundle may be called."""
    return _ODD.sub("-", name).strip("._+-")[:64] or "model"


def needs(wish: Mapping[str, Any]) -> dict[str, Any]:
    """What a worker must have: every engine that is asked for, that of the one candidate, and the one that measures the
    baseline."""
    own = [] if wish.get("only") is None else [wish["only"]["engine"]]
    return {"engines": sorted({"onnxruntime", *wish["engines"], *own})}


def arguments(wish: Mapping[str, Any], target: str) -> list[str]:
    """The words that ask ``edgewright optimize`` for the same."""
    words = ["--target", target]
    for name in _LIMITS:
        if wish["limits"].get(name) is not None:
            words += [f"--{name.replace('_', '-')}", f"{wish['limits'][name]:g}"]
    words += ["--budget", f"{wish['budget_s']:g}s", "--seed", str(wish["seed"])]
    if wish["threads"] != 1:
        words += ["--threads", str(wish["threads"])]
    for name in wish["engines"]:
        words += ["--engine", name]
    if wish["keep_structure"]:
        words.append("--keep-structure")
    if wish["metric"] is not None:
        words += ["--metric", wish["metric"]]
    if wish["preference"] is not None:
        words += ["--prefer", ",".join(f"{name}={value:g}" for name, value in wish["preference"].items() if value)]
    if wish.get("only") is not None:
        words += ["--only", ONLY]
    return words
