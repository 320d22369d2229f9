"""Statistics, configuration, repository, settings and scheduling, where the server announces them."""

from __future__ import annotations

from typing import Any

from edgewright.testing.oip.case import Case
from edgewright.testing.oip.checks.discovery import NOBODY
from edgewright.testing.oip.contract import check, expect

_DURATIONS = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output")
_STATES = ("READY", "UNAVAILABLE", "LOADING", "UNLOADING", "UNKNOWN", "")


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
    """A model's statistics have every field, of the right type."""
    case.answered(case.request())
    one = _stats(case)
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


def _index(case: Case, told: Any) -> dict[str, Any]:
    reply = case.post("/v2/repository/index", told)
    expect(reply.status == 200, f"status {reply.status}")
    found = reply.json()
    expect(isinstance(found, list), "the index is no list")
    for entry in found:
        expect(isinstance(entry.get("name"), str), f"an entry without a name: {entry!r:.80}")
        expect(entry.get("state", "") in _STATES, f"{entry['name']!r} has the state {entry.get('state')!r}")
        expect(isinstance(entry.get("reason", ""), str), f"{entry['name']!r} has no reason of text")
    return {entry["name"]: entry for entry in found}


@check("repository.index", "model_repository", "Triton, model repository extension, Index")
def index(case: Case) -> None:
    """The index has the model; asked for what is ready, nothing else."""
    expect(_index(case, {}).get(case.model, {}).get("state") == "READY", "the model is not in the index as READY")
    ready = _index(case, {"ready": True})
    expect(case.model in ready, "the model is not among what is ready")
    odd = [name for name, entry in ready.items() if entry.get("state") != "READY"]
    expect(not odd, f"asked for what is ready, got {odd}")


@check("repository.unknown", "model_repository", "Triton, model repository extension, Load")
def load_unknown(case: Case) -> None:
    """A model that is not in the repository cannot be loaded."""
    case.refused(case.post(f"/v2/repository/models/{NOBODY}/load", {}))


@check("repository.load", "model_repository", "Triton, model repository extension, Load")
def load(case: Case) -> None:
    """The model can be loaded again, and answers as before."""
    case.reference  # noqa: B018 - before it is loaded again
    reply = case.post(f"/v2/repository/models/{case.path.rpartition('/')[2]}/load", {})
    expect(reply.status == 200, f"status {reply.status}: {reply.body[:120]!r}")
    expect(case.agrees(case.answered(case.request())[1]), "another answer after it was loaded again")


def _settings(case: Case, path: str, keys: tuple[str, ...]) -> None:
    told = _got(case, path)
    expect(isinstance(told, dict), "the settings are no object")
    missing = [key for key in keys if key not in told]
    expect(not missing, f"settings are missing: {missing}")
    reply = case.post(path, {keys[0]: told[keys[0]]})
    expect(reply.status == 200 and reply.json() == told, "a setting set to what it is does not come back")
    case.refused(case.post(path, {"edgewright-no-such-setting": "1"}), 400, 404, 422, 501)


@check("trace.settings", "trace", "Triton, trace extension")
def trace(case: Case) -> None:
    """Trace settings can be read and set, and one that there is not is refused."""
    _settings(case, "/v2/trace/setting", ("trace_level", "trace_rate", "log_frequency"))


@check("logging.settings", "logging", "Triton, logging extension")
def logging(case: Case) -> None:
    """Log settings can be read and set, and one that there is not is refused."""
    _settings(case, "/v2/logging", ("log_info", "log_warnings", "log_errors", "log_verbose_level", "log_format"))


@check("schedule.priority", "schedule_policy", "Triton, schedule policy extension")
def priority(case: Case) -> None:
    """A request may have a priority and a timeout."""
    told = {"priority": 1, "timeout": 10_000_000}
    expect(case.agrees(case.answered(case.request(parameters=told))[1]), "another answer than the reference")


@check("schedule.timeout", "schedule_policy", "Triton, schedule policy extension")
def timeout(case: Case) -> None:
    """A request of one microsecond is answered or refused, and harms nobody."""
    reply = case.infer(case.request(parameters={"timeout": 1}))
    if reply.status != 200:
        case.refused(reply, *range(400, 600))
    case.read(case.infer(case.request()))


@check("schedule.wrong", "schedule_policy", "Triton, schedule policy extension")
def wrong(case: Case) -> None:
    """A timeout that is no whole number is refused."""
    case.refused(case.infer(case.request(parameters={"timeout": "soon"})))
