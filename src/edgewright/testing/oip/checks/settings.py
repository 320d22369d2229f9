"""Trace and log settings, where the server announces them."""

from __future__ import annotations

from typing import Any

from edgewright.testing.oip.case import Case
from edgewright.testing.oip.contract import check, expect

_UNKNOWN = "edgewright-no-such-setting"


def _got(case: Case, path: str) -> dict[str, Any]:
    reply = case.ask("GET", path)
    expect(reply.status == 200, f"{path}: status {reply.status}")
    told = reply.json()
    expect(isinstance(told, dict), f"{path}: the settings are no object")
    return dict(told)


def _settings(case: Case, path: str, keys: tuple[str, ...]) -> None:
    told = _got(case, path)
    missing = [key for key in keys if key not in told]
    expect(not missing, f"{path}: settings are missing: {missing}")
    reply = case.post(path, {keys[0]: told[keys[0]]})
    expect(reply.status == 200 and reply.json() == told, "a setting set to what it is does not come back")
    reply = case.post(path, {_UNKNOWN: "1"})  # the text does not say that it is refused
    expect(reply.status >= 400 or reply.json() == told, "a setting that there is not was set")
    expect(_got(case, path) == told, "other settings after that")


@check("trace.settings", "trace", "Triton, trace extension")
def trace(case: Case) -> None:
    """Trace settings, the server's and the model's, can be read and set; one that there is not is not set."""
    for path in ("/v2/trace/setting", f"{case.path}/trace/setting"):
        _settings(case, path, ("trace_level", "trace_rate", "trace_count", "log_frequency", "trace_file"))


@check("logging.settings", "logging", "Triton, logging extension")
def logging(case: Case) -> None:
    """Log settings can be read and set; one that there is not is not set, and no verbosity below zero."""
    path = "/v2/logging"
    _settings(case, path, ("log_info", "log_warning", "log_error", "log_verbose_level", "log_format", "log_file"))
    before = _got(case, path)
    case.refused(case.post(path, {"log_verbose_level": -1}))
    expect(_got(case, path) == before, "other settings after a refusal")
