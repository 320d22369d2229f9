"""Statistics, configuration and scheduling, where the server announces them."""

from __future__ import annotations

from typing import Any

from edgewright.testing.oip.case import Case
from edgewright.testing.oip.checks.discovery import NOBODY
from edgewright.testing.oip.contract import Skipped, check, expect

_DURATIONS = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output")


def _got(case: Case, path: str) -> Any:
    reply = case.ask("GET", path)
    expect(reply.status == 200, f"{path}: status {reply.status}")
    return reply.json()


def _stats(case: Case) -> dict[str, Any]:
    told = _got(case, f"{case.path}/stats")
    found = told.get("model_stats") if isinstance(told, dict) else None
    expect(isinstance(found, list) and found, "no list 'model_stats'")
    assert isinstance(found, list)
    expect(all(one.get("name") == case.model for one in found), "statistics of other models as well")
    return dict(found[0])


@check("statistics.fields", "statistics", "Triton, statistics extension, $model_stat")
def fields(case: Case) -> None:
    """A model's statistics, and those of the version that answers, have every field, of the right type."""
    told, _ = case.answered(case.request())
    _fields(_stats(case))
    version = told.get("model_version")
    if version:
        found = _got(case, f"{case.path}/versions/{version}/stats")["model_stats"]
        expect([one.get("version") for one in found] == [version], f"asked for version {version!r}, got {found!r:.80}")
        _fields(found[0])


def _fields(one: dict[str, Any]) -> None:
    for key in ("last_inference", "inference_count", "execution_count"):
        expect(type(one.get(key)) is int and one[key] >= 0, f"{key!r} is {one.get(key)!r}")
    expect(isinstance(one.get("inference_stats"), dict), "no 'inference_stats'")
    for key in _DURATIONS:
        _duration(one["inference_stats"].get(key), key)
    expect(isinstance(one.get("batch_stats"), list), "no list 'batch_stats'")
    for batch in one["batch_stats"]:
        expect(type(batch.get("batch_size")) is int, f"a batch without its size: {batch!r:.80}")
        for key in ("compute_input", "compute_infer", "compute_output"):
            _duration(batch.get(key), f"batch_stats, {key}")


def _duration(value: Any, key: str) -> None:
    good = isinstance(value, dict) and all(type(value.get(k)) is int and value[k] >= 0 for k in ("count", "ns"))
    expect(good, f"{key!r} is no count and ns: {value!r:.80}")


@check("statistics.count", "statistics", "Triton, statistics extension, inference_stats")
def count(case: Case) -> None:
    """Answers are counted as successes, refusals are not."""
    before = _successes(case)
    for _ in range(3):
        case.answered(case.request())
    case.infer(case.request(outputs=[{"name": "edgewright-no-such-output"}], inputs=[]))
    after = _successes(case)
    expect(after == before + 3, f"3 answers raised the successes from {before} to {after}")


@check("statistics.rows", "statistics", "Triton, statistics extension, inference_count")
def rows(case: Case) -> None:
    """Of a model that takes batches each row is an inference, of another each request; one run of it either way."""
    if case.given or not all(t.shape and t.shape[0] == -1 for t in case.inputs):
        raise Skipped("the first size of the inputs is not open")
    allowed = {1, 2}
    if "model_configuration" in case.extensions:
        allowed = {2} if _got(case, f"{case.path}/config").get("max_batch_size", 0) else {1}
    before = _sum(case, "inference_count"), _sum(case, "execution_count")
    reply = case.infer(case.request(case.arrays(rows=2)))
    if reply.status >= 400:
        raise Skipped(f"the model does not take two: {reply.body[:80]!r}")
    case.read(reply)
    more = _sum(case, "inference_count") - before[0], _sum(case, "execution_count") - before[1]
    expect(more[0] in allowed, f"a request of two rows counted as {more[0]} inferences")
    expect(more[1] == 1, f"one request counted as {more[1]} runs")


def _sum(case: Case, key: str) -> int:
    """Of all versions."""
    return sum(int(one[key]) for one in _got(case, f"{case.path}/stats")["model_stats"])


def _successes(case: Case) -> int:
    """Of all versions: requests that name none may be shared out among them."""
    _stats(case)
    told = _got(case, f"{case.path}/stats")["model_stats"]
    return sum(int(one["inference_stats"]["success"]["count"]) for one in told)


@check("statistics.all", "statistics", "Triton, statistics extension")
def all_models(case: Case) -> None:
    """Without a name, the statistics of all models come; of a model that is not there, none."""
    told = _got(case, "/v2/models/stats")
    expect(case.model in [one.get("name") for one in told["model_stats"]], "the model is not among them")
    case.refused(case.ask("GET", f"/v2/models/{NOBODY}/stats"))


@check("configuration", "model_configuration", "Triton, model configuration extension")
def configuration(case: Case) -> None:
    """The configuration names the model's tensors, their types and sizes; dims lack the batch where there is one."""
    told = _got(case, f"{case.path}/config")
    for version in (case.metadata.get("versions") or [])[:8]:
        expect(_got(case, f"{case.path}/versions/{version}/config").get("name") == case.model, f"version {version!r}")
    expect(told.get("name") == case.model, f"'name' is {told.get('name')!r}")
    most = told.get("max_batch_size", 0)
    expect(type(most) is int and most >= 0, f"'max_batch_size' is {most!r}")
    for side, tensors in (("input", case.inputs), ("output", case.outputs)):
        entries = {entry["name"]: entry for entry in told.get(side, [])}
        for tensor in tensors:
            entry = entries.get(tensor.name)
            expect(entry is not None, f"{side} {tensor.name!r} is missing")
            assert entry is not None
            kind = "TYPE_STRING" if tensor.datatype == "BYTES" else f"TYPE_{tensor.datatype}"
            expect(entry.get("data_type") == kind, f"{tensor.name!r} has the data_type {entry.get('data_type')!r}")
            wanted = list(tensor.shape[1:] if most else tensor.shape)
            dims = [int(n) for n in entry.get("dims", [])]
            expect(dims == wanted or "reshape" in entry, f"{tensor.name!r} has dims {dims}, not {wanted}")
    case.refused(case.ask("GET", f"/v2/models/{NOBODY}/config"))


@check("schedule.priority", "schedule_policy", "Triton, schedule policy extension")
def priority(case: Case) -> None:
    """A request may have a priority and a timeout."""
    told = {"priority": 1, "timeout": 10_000_000}
    expect(case.agrees(case.answered(case.request(parameters=told))[1]), "another answer than the reference")


@check("schedule.timeout", "schedule_policy", "Triton, schedule policy extension")
def timeout(case: Case) -> None:
    """A request of one microsecond is answered or refused, and harms nobody."""
    status = case.infer(case.request(parameters={"timeout": 1})).status
    expect(status == 200 or status >= 400, f"status {status}")
    case.read(case.infer(case.request()))


@check("schedule.wrong", "schedule_policy", "Triton, schedule policy extension")
def wrong(case: Case) -> None:
    """A timeout that is no whole number is refused."""
    case.refused(case.infer(case.request(parameters={"timeout": "soon"})))
