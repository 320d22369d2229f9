"""The server and the model that a check is about, and the questions that checks ask."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from numpy.typing import NDArray

from edgewright.testing.oip.contract import Failed, Skipped, expect
from edgewright.testing.oip.tensors import (
    BINARY_ONLY,
    DATATYPES,
    Tensor,
    draw,
    from_binary,
    from_json,
    same,
    to_binary,
    to_json,
)  # fmt: skip
from edgewright.testing.oip.wire import Reply, Target, Wire

Arrays = Mapping[str, NDArray[Any]]
_MOST_ASKS = 64
"""To find out whether answers differ: enough to see a tenth of a split (0.9 ** 64 is 0.001)."""
_PROMPT_S = 1.0
BINARY = "binary_tensor_data"
LENGTH = "Inference-Header-Content-Length"


@dataclass
class Request:
    """An inference request: what its JSON says, and the tensors behind it."""

    told: dict[str, Any]
    binary: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def wire(self) -> tuple[bytes, dict[str, str]]:
        """Body and headers."""
        head = json.dumps(self.told).encode()
        own = {"Content-Type": "application/json"}
        if self.binary:
            own = {"Content-Type": "application/octet-stream", LENGTH: str(len(head))}
        return head + self.binary, own | self.headers


class Case:
    """A server at ``target``, its ``model`` and what it announced. ``given``: inputs to use in place of drawn ones."""

    def __init__(
        self,
        target: Target,
        model: str,
        extensions: Sequence[str],
        timeout_s: float = 10.0,
        given: Arrays | None = None,
    ) -> None:
        self.target, self.model, self.extensions, self.timeout_s = target, model, tuple(extensions), timeout_s
        self.given = dict(given or {})
        self._metadata: dict[str, Any] | None = None
        self._reference: Arrays | None = None
        self.varies, self._asks = False, _MOST_ASKS
        """Whether equal requests were seen to get different answers."""
        self.check, self.refusals = "", list[tuple[str, Reply]]()
        """The check that runs; and what was refused so far, each with its check."""

    @property
    def path(self) -> str:
        """The model's."""
        return f"/v2/models/{quote(self.model, safe='')}"

    def wire(self) -> Wire:
        """A connection of its own."""
        return Wire(self.target, self.timeout_s)

    def there(self) -> bool:
        """Whether anybody listens: one that is just coming to its end may still connect, and then hangs up."""
        try:
            with Wire(self.target, min(self.timeout_s, _PROMPT_S)) as wire:
                wire.send(wire.request("GET", "/v2/health/live"))
                return not wire.ended()
        except OSError:
            return False
        except Failed:  # it says nothing, and that is something else
            return True

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:  # fmt: skip
        """One request on a connection of its own. Raises Failed when no reply comes."""
        with self.wire() as wire:
            wire.send(wire.request(method, path, body, {**(headers or {}), "Connection": "close"}))
            return wire.read(method)

    def post(self, path: str, told: Any) -> Reply:
        """JSON to a path."""
        return self.ask("POST", path, json.dumps(told).encode(), {"Content-Type": "application/json"})

    @property
    def metadata(self) -> dict[str, Any]:
        """What the server tells of the model. Raises Failed."""
        if self._metadata is None:
            reply = self.ask("GET", self.path)
            expect(reply.status == 200, f"the model's metadata came with status {reply.status}")
            found = reply.json()
            expect(isinstance(found, dict), "the model's metadata is no JSON object")
            self._metadata = found
        return self._metadata

    @property
    def inputs(self) -> list[Tensor]:
        """The model's. Raises Skipped when the metadata does not tell them."""
        return self._tensors("inputs")

    @property
    def outputs(self) -> list[Tensor]:
        """The model's. Raises Skipped when the metadata does not tell them."""
        return self._tensors("outputs")

    def _tensors(self, side: str) -> list[Tensor]:
        try:
            found = [Tensor(t["name"], t["datatype"], tuple(t["shape"])) for t in self.metadata[side]]
            expect(all(t.datatype in DATATYPES and all(type(n) is int for n in t.shape) for t in found), "")
            expect(found or side == "outputs", "")
        except (KeyError, TypeError, Failed) as error:
            raise Skipped(f"the model's metadata does not tell its {side} (see model.metadata)") from error
        return found

    @property
    def json_able(self) -> bool:
        """Whether all inputs can travel in JSON."""
        return not any(t.datatype in BINARY_ONLY for t in self.inputs)

    @property
    def json_back(self) -> bool:
        """Whether all outputs can."""
        return not any(t.datatype in BINARY_ONLY for t in self.outputs)

    def arrays(self, seed: int = 0, rows: int = 1) -> Arrays:
        """Inputs by name."""
        return {t.name: self.given[t.name] if t.name in self.given else draw(t, seed + number, rows)
                for number, t in enumerate(self.inputs)}  # fmt: skip

    def request(
        self, arrays: Arrays | None = None, binary: bool | None = None, nested: bool = False, **more: Any
    ) -> Request:  # fmt: skip
        """An inference request; ``binary`` None: JSON wherever it can be, and outputs that have no form in JSON are
        asked for in binary. ``more`` goes into the JSON."""
        if binary is None and not self.json_able and BINARY not in self.extensions:
            raise Skipped(f"the model's inputs have no form in JSON, and the server does not announce {BINARY}")
        chosen = arrays or self.arrays()
        entries, tail = [], b""
        for tensor in self.inputs:
            array = chosen[tensor.name]
            entry: dict[str, Any] = {"name": tensor.name, "shape": list(array.shape), "datatype": tensor.datatype}
            if binary or (binary is None and not self.json_able):
                raw = to_binary(array, tensor.datatype)
                entry["parameters"] = {"binary_data_size": len(raw)}
                tail += raw
            elif tensor.datatype in BINARY_ONLY:
                raise Skipped(f"input {tensor.name!r} is {tensor.datatype}, which has no form in JSON")
            else:
                entry["data"] = to_json(array, tensor.datatype, nested)
            entries.append(entry)
        if not self.json_back:
            more["parameters"] = {"binary_data_output": True, **more.get("parameters", {})}
            if "outputs" in more:
                more["outputs"] = [
                    {**one, "parameters": {"binary_data": True, **one.get("parameters", {})}} for one in more["outputs"]
                ]
        return Request({"inputs": entries, **more}, tail)

    def infer(self, request: Request, version: str = "") -> Reply:
        """What the server says to it."""
        body, headers = request.wire()
        path = self.path + (f"/versions/{quote(version, safe='')}" if version else "")
        return self.ask("POST", f"{path}/infer", body, headers)

    def answered(self, request: Request, version: str = "") -> tuple[dict[str, Any], Arrays]:
        """The reply's JSON and outputs. Raises Failed."""
        return self.read(self.infer(request, version))

    def read(self, reply: Reply, placed: Collection[str] = ()) -> tuple[dict[str, Any], Arrays]:
        """A good reply's JSON and outputs, each held against the metadata. ``placed``: outputs that were to be laid
        into shared memory, and are not sent. Raises Failed."""
        if reply.status != 200:
            raise Failed(f"status {reply.status}: {reply.body[:160].decode('utf-8', 'replace')}")
        told_size = reply.headers.get(LENGTH.lower())
        expect(told_size is None or told_size.isdigit(), f"{LENGTH} of the reply is {told_size!r}")
        size = len(reply.body) if told_size is None else int(told_size)
        expect(size <= len(reply.body), f"{LENGTH} is {size}, the body has {len(reply.body)} bytes")
        told = reply.json(reply.body[:size])
        expect(isinstance(told, dict) and isinstance(told.get("outputs"), list), "the reply has no list of outputs")
        found, rest = {}, reply.body[size:]
        known = {t.name: t for t in self.outputs}
        for entry in told["outputs"]:
            expect(isinstance(entry, dict) and isinstance(entry.get("name"), str), "an output has no name")
            name, kind, shape = entry["name"], entry.get("datatype"), entry.get("shape")
            expect(kind in DATATYPES, f"output {name!r} has the datatype {kind!r}")
            expect(isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape), f"{name!r}: {shape!r}")
            parameters = entry.get("parameters") or {}
            length = parameters.get("binary_data_size")
            if length is not None:
                expect("data" not in entry, f"output {name!r} has both 'data' and 'binary_data_size'")
                expect(len(rest) >= length, f"output {name!r} announces {length} bytes, {len(rest)} are there")
                array, rest = from_binary(rest[:length], kind, tuple(shape)), rest[length:]
            elif name in placed:
                expect("data" not in entry, f"output {name!r} lies in shared memory and has 'data' as well")
                continue
            else:
                expect("data" in entry, f"output {name!r} has no 'data'")
                array = from_json(entry["data"], kind, tuple(shape))
            expect(name not in found, f"output {name!r} came twice")
            found[name] = array
            tensor = known.get(name)
            expect(tensor is not None, f"output {name!r} is not in the model's metadata")
            assert tensor is not None
            expect(
                tensor.datatype == kind, f"output {name!r} is {tensor.datatype} in the metadata, {kind} in the reply"
            )
            expect(tensor.fits(array.shape), f"output {name!r} has shape {list(array.shape)}, not {list(tensor.shape)}")
        expect(not rest, f"{len(rest)} bytes follow the last output")
        return told, found

    @property
    def reference(self) -> Arrays:
        """The answer to ``arrays()``, that other ways of asking must get as well. Raises Skipped when there is none."""
        if self._reference is None:
            try:
                self._reference = self.answered(self.request())[1]
                self.varies = not self._same(self.answered(self.request())[1])
            except Failed as error:
                raise Skipped(f"no inference works with these inputs (try --inputs): {error}") from error
        return self._reference

    def agrees(self, outputs: Arrays) -> bool:
        """Whether these outputs are the reference's (those of a model that draws lots: by their shapes)."""
        self.reference  # noqa: B018 - asked for before anything is held against it
        if self._same(outputs):
            return True
        if self.varies or not self._uneven():
            return False
        self.varies = True
        return self._same(outputs)

    def _same(self, outputs: Arrays) -> bool:
        return all(
            name in outputs and (outputs[name].shape == array.shape if self.varies else same(array, outputs[name]))
            for name, array in (self._reference or {}).items()
        )

    def _uneven(self) -> bool:
        """Whether equal requests, one after the other, get different answers, as those of versions that share them."""
        self.answered(self.request())  # may differ in a server that mixes requests up: not that
        while self._asks:
            self._asks -= 1
            if not self._same(self.answered(self.request())[1]):
                return True
        return False

    def refused(self, reply: Reply) -> None:
        """Raise Failed unless the reply is a refusal of what the client got wrong: "an HTTP error status (typically
        400)", as the protocol has it. How it is told is judged once, for all refusals: by the group ``errors``."""
        expect(400 <= reply.status < 600, f"status {reply.status} where a refusal is due: {reply.body[:100]!r}")
        self.refusals.append((self.check, reply))

    def alive(self) -> None:
        """Raise Failed unless the server still answers."""
        try:
            reply = self.ask("GET", "/v2/health/live")
        except (OSError, Failed) as error:
            raise Failed(f"afterwards the server did not answer any more: {error}") from error
        expect(reply.status == 200, f"afterwards the server was not live any more: status {reply.status}")
