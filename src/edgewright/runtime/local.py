"""Local: a bundle, a model or a folder of them in this process, asked in the way a ``Remote`` asks a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgewright.core.closing import Closing
from edgewright.core.errors import InputError
from edgewright.runtime.failsafe import Safe
from edgewright.runtime.faults import Fault
from edgewright.runtime.oip.answers import Answered
from edgewright.runtime.oip.metadata import metadata, parameters
from edgewright.runtime.oip.types import datatype
from edgewright.runtime.remote import Tensor
from edgewright.runtime.runtime import Runtime


class Local(Closing):
    """Close it, or use it in a ``with``. Raises what keeps a single bundle or model from loading."""

    extensions: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        self._runtime = Runtime(path)

    def models(self) -> list[str]:
        """Names of what answers."""
        return [served.source.name for served in self._runtime.repository.ready()]

    def metadata(self, model: str, version: str = "") -> dict[str, Any]:
        """As a server tells them. Raises InputError when there is no such model, with what there is."""
        repository = self._runtime.repository
        try:
            served = repository.find(model, version)
        except Fault as error:
            raise InputError(str(error)) from error
        told = metadata(model, repository.versions(model), served.source.engine, served.session.signature)
        return {**told, "parameters": parameters(served)}

    def infer(
        self, model: str, inputs: Mapping[str, Tensor], version: str = "", *,
        parameters: Mapping[str, Any] | None = None, outputs: Sequence[Mapping[str, Any]] = (),
    ) -> Answered:  # fmt: skip
        """One request; ``parameters`` are ``timeout`` in µs and ``priority``. Raises InputError for what does not fit
        the model, or the Fault."""
        asked = dict(parameters or {})
        deadline_ms = asked["timeout"] / 1e3 if "timeout" in asked else None
        chosen = {"priority": asked["priority"]} if "priority" in asked else {}
        arrays = {name: tensor.array for name, tensor in inputs.items()}
        named = f"{model}:{version}" if version else model
        try:
            found = self._runtime.infer(arrays, named, deadline_ms=deadline_ms, **chosen)
        except Fault as error:
            if 400 <= error.status < 499:
                raise InputError(str(error)) from error
            raise
        kinds = {name: datatype("str" if a.dtype.kind in "OSU" else a.dtype.name) for name, a in found.items()}
        version = self._runtime.repository.find(model, version).source.version
        return Answered(found, version, kinds, isinstance(found, Safe))

    def close(self) -> None:
        """Finish what waits, and close every model."""
        self._runtime.close()
