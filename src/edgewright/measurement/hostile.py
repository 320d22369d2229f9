"""Hostile inputs: what a model answers to NaN, infinity and values far out of range, asked in a child process.

A child, for an engine may crash or hang on such values, and the run that asks must not go with it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.child import ChildError, run_child
from edgewright.core.errors import EdgewrightError
from edgewright.core.model import Model, Signature
from edgewright.core.session import Arrays, EngineOptions
from edgewright.measurement.subject import Subject


@dataclass(frozen=True)
class Outcome:
    """What came of one input. ``state``: ``finite``, ``NaN``, ``infinite``, ``error`` or ``died``.

    ``answer``: where the judged output is largest (its value when it is one number), None unless finite.
    """

    state: str
    answer: float | None = None
    message: str = ""


def hostile_requests(request: Arrays, high: Mapping[str, float]) -> dict[str, dict[str, NDArray[Any]]]:
    """Hostile versions of a good ``request``, by what was done to it. ``high``: the largest magnitude seen, by input.

    Floats become NaN, infinite and huge; whole numbers become huge and negative. Text and booleans stay.
    """
    floats = {n for n, a in request.items() if a.dtype.kind == "f" and a.size}
    wholes = {n for n, a in request.items() if a.dtype.kind in "iu" and a.size}
    made: dict[str, dict[str, NDArray[Any]]] = {}

    def put(name: str, which: set[str], value: Any, first: bool = False) -> None:
        if not which:
            return
        changed = {n: np.array(a) for n, a in request.items()}
        for n in which:
            given = value(n) if callable(value) else value
            if first:
                changed[n].flat[0] = given
            else:
                changed[n][...] = given
        made[name] = changed

    def beyond(n: str) -> float:
        return min(1e3 * high.get(n, 1.0), float(np.finfo(request[n].dtype).max) / 2)

    put("one NaN", floats, np.nan, first=True)
    put("NaN throughout", floats, np.nan)
    put("one infinity", floats, np.inf, first=True)
    put("minus infinity throughout", floats, -np.inf)
    put("the largest number of the type", floats, lambda n: np.finfo(request[n].dtype).max)
    put("a thousand times the largest seen", floats, beyond)
    put("the largest whole number", wholes, lambda n: np.iinfo(request[n].dtype).max)
    put("the smallest whole number", wholes, lambda n: np.iinfo(request[n].dtype).min)
    return made


def provoke(
    subjects: Mapping[str, Subject], requests: Mapping[str, Arrays], output: str, *, timeout_s: float = 30.0
) -> dict[str, dict[str, Outcome]]:
    """The outcome of every request for every subject, by their names.

    All subjects share one child; when it dies or runs past ``timeout_s``, each gets a child of its own, and whoever
    dies there is told apart. Raises the EdgewrightError families for a model that does not open.
    """
    try:
        return _ask(subjects, requests, output, timeout_s)
    except ChildError:
        found: dict[str, dict[str, Outcome]] = {}
        for name, subject in subjects.items():
            try:
                found |= _ask({name: subject}, requests, output, timeout_s)
            except ChildError as error:
                found[name] = dict.fromkeys(requests, Outcome("died", message=str(error)))
        return found


def _ask(
    subjects: Mapping[str, Subject], requests: Mapping[str, Arrays], output: str, timeout_s: float
) -> dict[str, dict[str, Outcome]]:
    with tempfile.TemporaryDirectory(prefix="edgewright-hostile-") as scratch:
        folder = Path(scratch)
        held: dict[str, Any] = {}
        for i, arrays in enumerate(requests.values()):
            for j, name in enumerate(sorted(arrays)):
                array = arrays[name]
                held[f"{i}_{j}"] = array.astype(np.str_) if array.dtype.kind in "OS" else array
        np.savez(folder / "requests.npz", **held)
        tasks = [_task(folder / str(k), subject) for k, subject in enumerate(subjects.values())]
        names = sorted(next(iter(requests.values())))
        given = {"requests": str(folder / "requests.npz"), "names": names, "count": len(requests),
                 "output": output, "subjects": tasks}  # fmt: skip
        answers = run_child("edgewright.measurement.hostile:answer", given, timeout_s=timeout_s)
    return {
        name: {asked: Outcome(**told) for asked, told in zip(requests, mine, strict=True)}
        for name, mine in zip(subjects, answers, strict=True)
    }


def _task(folder: Path, subject: Subject) -> dict[str, Any]:
    model = subject.model
    for name, data in model.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return {
        "folder": str(folder), "files": list(model.files), "format": model.format, "main": model.main,
        "signature": model.signature.to_json(), "engine": subject.engine, "options": subject.options.to_json(),
    }  # fmt: skip


def answer(given: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    """In the child: the fields of an Outcome for every request, subject after subject."""
    with np.load(given["requests"], allow_pickle=False) as held:
        requests = []
        for i in range(given["count"]):
            rows = {name: held[f"{i}_{j}"] for j, name in enumerate(given["names"])}
            requests.append({n: a.astype(object) if a.dtype.kind == "U" else a for n, a in rows.items()})
    return [_answers(task, requests, given["output"]) for task in given["subjects"]]


def _answers(task: Mapping[str, Any], requests: Sequence[Arrays], output: str) -> list[dict[str, Any]]:
    from edgewright.engines import open_session

    files = {name: (Path(task["folder"]) / name).read_bytes() for name in task["files"]}
    model = Model(task["format"], task["main"], files, Signature.from_json(task["signature"]))
    told = []
    with open_session(model, task["engine"], EngineOptions(**task["options"])) as session:
        for request in requests:
            try:
                told.append(_outcome(session.infer(request), output))
            except EdgewrightError as error:
                told.append({"state": "error", "message": str(error)[:200]})
    return told


def _outcome(outputs: Arrays, output: str) -> dict[str, Any]:
    floats = [a for a in outputs.values() if a.dtype.kind == "f"]
    if any(np.isnan(a).any() for a in floats):
        return {"state": "NaN"}
    if any(np.isinf(a).any() for a in floats):
        return {"state": "infinite"}
    judged = outputs[output].ravel()
    if judged.dtype.kind not in "fiub" or not judged.size:
        return {"state": "finite"}
    return {"state": "finite", "answer": float(judged.argmax()) if judged.size > 1 else float(judged[0])}


__all__ = ["Outcome", "hostile_requests", "provoke"]
