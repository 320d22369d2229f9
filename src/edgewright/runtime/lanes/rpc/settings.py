"""Trace and log settings in gRPC messages; what they are, and what is refused, is HTTP's."""

from __future__ import annotations

from typing import Any

from edgewright.runtime.lanes.rpc.schema import MESSAGES
from edgewright.runtime.oip.settings import LOG, TRACE, settings


def traced(told: Any) -> Any:
    """The reply to a TraceSettingRequest. A setting without a value asks for its default. Raises Unsupported."""
    values = {key: [*one.value] for key, one in told.settings.items()}
    asked = {key: None if not v else v if isinstance(TRACE.get(key), list) or len(v) > 1 else v[0]
             for key, v in values.items()}  # fmt: skip
    made = MESSAGES["TraceSettingResponse"]()
    for key, value in settings(TRACE, asked).items():
        made.settings[key].value.extend(value if isinstance(value, list) else [value])
    return made


def logged(told: Any) -> Any:
    """The reply to a LogSettingsRequest. Raises Unsupported."""
    chosen = {key: one.WhichOneof("parameter_choice") for key, one in told.settings.items()}
    asked = {key: None if kind is None else getattr(told.settings[key], kind) for key, kind in chosen.items()}
    made = MESSAGES["LogSettingsResponse"]()
    for key, value in settings(LOG, asked).items():
        kind = "bool" if isinstance(value, bool) else "uint32" if isinstance(value, int) else "string"
        setattr(made.settings[key], f"{kind}_param", value)
    return made
