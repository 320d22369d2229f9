"""Tensors in binary, behind the JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np

from edgewright.testing.oip.case import BINARY as GROUP
from edgewright.testing.oip.case import LENGTH, Case, Request
from edgewright.testing.oip.contract import Skipped, check, expect
from edgewright.testing.oip.tensors import same, to_binary
from edgewright.testing.oip.wire import Reply

_CLAUSE = "Triton, binary tensor data extension"


def _kinds(case: Case, reply: Reply) -> set[str]:
    """How the outputs of a good reply travelled."""
    told, _ = case.read(reply)
    binary = [name for name, entry in _entries(told).items() if "binary_data_size" in (entry.get("parameters") or {})]
    header = reply.headers.get(LENGTH.lower())
    expect(bool(binary) <= (header is not None), f"the outputs {binary} are binary, and {LENGTH} is missing")
    return {*binary}


def _entries(told: dict[str, list[dict[str, object]]]) -> dict[str, dict[str, dict[str, object]]]:
    return {str(entry["name"]): entry for entry in told["outputs"]}  # type: ignore[misc]


def _asked(case: Case, binary: bool) -> list[dict[str, object]]:
    return [{"name": t.name, "parameters": {"binary_data": binary}} for t in case.outputs]


def _combination(sent: bool, back: bool) -> Callable[[Case], None]:
    def run(case: Case) -> None:
        if not (back or case.json_back):
            raise Skipped("an output has no form in JSON")
        reply = case.infer(case.request(binary=sent, outputs=_asked(case, back)))
        found = _kinds(case, reply)
        if back:
            expect(found == {t.name for t in case.outputs}, f"binary was asked for, binary are {sorted(found)}")
        else:
            expect(not found, f"JSON was asked for, binary are {sorted(found)}")
        expect(case.agrees(case.read(reply)[1]), "another answer than the reference")

    run.__doc__ = f"Inputs in {'binary' if sent else 'JSON'}, outputs in {'binary' if back else 'JSON'}."
    return run


for _sent in (True, False):
    for _back in (True, False):
        _name = f"binary.{'binary' if _sent else 'json'}-{'binary' if _back else 'json'}"
        check(_name, GROUP, _CLAUSE)(_combination(_sent, _back))


@check("binary.default", GROUP, f"{_CLAUSE}, binary_data")
def default(case: Case) -> None:
    """Outputs come in JSON unless they are asked for in binary, also when the inputs are binary."""
    if not case.json_back:
        raise Skipped("an output has no form in JSON")
    expect(not _kinds(case, case.infer(case.request(binary=True))), "binary outputs that nobody asked for")


@check("binary.all", GROUP, f"{_CLAUSE}, binary_data_output")
def all_outputs(case: Case) -> None:
    """binary_data_output asks for all outputs in binary."""
    reply = case.infer(case.request(parameters={"binary_data_output": True}))
    expect(_kinds(case, reply) == {t.name for t in case.outputs}, "not all outputs are binary")
    expect(case.agrees(case.read(reply)[1]), "another answer than the reference")


@check("binary.all-listed", GROUP, f"{_CLAUSE}, binary_data_output")
def all_listed(case: Case) -> None:
    """binary_data_output counts for outputs that are listed without saying how.

    "All outputs should be returned as binary data" unless binary_data at an output overrides it. A server that reads it
    only where no outputs are listed sends JSON to who asked for bytes.
    """
    listed = [{"name": tensor.name} for tensor in case.outputs]
    reply = case.infer(case.request(parameters={"binary_data_output": True}, outputs=listed))
    expect(_kinds(case, reply) == {t.name for t in case.outputs}, "not all outputs are binary")


@check("binary.override", GROUP, f"{_CLAUSE}, binary_data_output")
def override(case: Case) -> None:
    """binary_data at an output wins over binary_data_output."""
    if not case.json_back:
        raise Skipped("an output has no form in JSON")
    request = case.request(parameters={"binary_data_output": True}, outputs=_asked(case, False))
    expect(not _kinds(case, case.infer(request)), "binary outputs where binary_data is false")


@check("binary.odd-offset", GROUP, _CLAUSE)
def odd_offset(case: Case) -> None:
    """Tensors are read wherever the JSON ends, aligned or not, and whatever the case of the header's name."""
    request = case.request(binary=True)
    body = json.dumps(request.told).encode()
    for spaces in range(3):
        head = body + b" " * spaces
        headers = {LENGTH.lower(): str(len(head))}
        reply = case.ask("POST", f"{case.path}/infer", head + request.binary, headers)
        expect(case.agrees(case.read(reply)[1]), f"another answer with {spaces} spaces after the JSON")


@check("binary.raw", GROUP, f"{_CLAUSE}, Raw Binary Request")
def raw(case: Case) -> None:
    """A body without JSON is the model's only input; the outputs come back in binary."""
    if len(case.inputs) != 1:
        raise Skipped("the model has several inputs")
    (tensor,) = case.inputs
    opened = [n for n in tensor.shape if n < 0]
    if len(opened) > (0 if tensor.datatype == "BYTES" and math.prod(n for n in tensor.shape if n > 0) != 1 else 1):
        raise Skipped("the input's shape is not told by its length")
    (array,) = case.arrays().values()
    body = to_binary(array, tensor.datatype)
    reply = case.ask("POST", f"{case.path}/infer", body, {LENGTH: "0", "Content-Type": "application/octet-stream"})
    _, found = case.read(reply)
    expect(_kinds(case, reply) == {*found}, "not all outputs are binary")
    flat = {n: a.reshape(found[n].shape) for n, a in case.reference.items() if n in found and found[n].size == a.size}
    expect(case.varies or all(n in flat and same(flat[n], found[n]) for n in case.reference),
           "another answer than the reference")  # fmt: skip


@check("binary.not-finite", GROUP, "RFC 8259, 6")
def not_finite(case: Case) -> None:
    """What JSON has no number for does not make the reply something else than JSON.

    NaN and Infinity "are not permitted": strict readers (JavaScript's, Go's) fail at the whole reply for one of them.
    """
    if not case.json_back:
        raise Skipped("an output has no form in JSON")
    if not any(a.dtype.kind == "f" for a in case.arrays().values()):
        raise Skipped("the model takes no floats")
    odd = {name: np.full_like(a, np.nan) if a.dtype.kind == "f" else a for name, a in case.arrays().items()}
    reply = case.infer(case.request(odd, binary=True, outputs=_asked(case, False)))
    if reply.status == 200:
        case.read(reply)
    else:
        case.refused(reply)
    case.alive()


def _lie(name: str, title: str, bend: Callable[[Case, Request], tuple[bytes, dict[str, str]]]) -> None:
    def run(case: Case) -> None:
        request = case.request(binary=True)
        body, headers = bend(case, request)
        case.refused(case.ask("POST", f"{case.path}/infer", body, headers))
        case.alive()

    run.__doc__ = title
    check(f"binary.{name}", GROUP, f"{_CLAUSE}, binary_data_size")(run)


def _entry(case: Case, request: Request) -> dict[str, int]:
    parameters: dict[str, int] = request.told["inputs"][-1]["parameters"]
    return parameters


def _sized(by: int) -> Callable[[Case, Request], tuple[bytes, dict[str, str]]]:
    def bend(case: Case, request: Request) -> tuple[bytes, dict[str, str]]:
        _entry(case, request)["binary_data_size"] += by
        return request.wire()

    return bend


def _header(spelled: Callable[[int, int], str]) -> Callable[[Case, Request], tuple[bytes, dict[str, str]]]:
    def bend(case: Case, request: Request) -> tuple[bytes, dict[str, str]]:
        body, headers = request.wire()
        return body, headers | {LENGTH: spelled(int(headers[LENGTH]), len(body))}

    return bend


def _both(case: Case, request: Request) -> tuple[bytes, dict[str, str]]:
    told = case.request(binary=False).told["inputs"][0]["data"]
    request.told["inputs"][0]["data"] = told
    return request.wire()


def _as_text(case: Case, request: Request) -> tuple[bytes, dict[str, str]]:
    parameters = request.told["inputs"][-1]["parameters"]
    parameters["binary_data_size"] = str(parameters["binary_data_size"]) + "x"
    return request.wire()


def _bent_body(bend: Callable[[bytes], bytes]) -> Callable[[Case, Request], tuple[bytes, dict[str, str]]]:
    def run(case: Case, request: Request) -> tuple[bytes, dict[str, str]]:
        body, headers = request.wire()
        return bend(body), headers

    return run


def _lying_element(case: Case, request: Request) -> tuple[bytes, dict[str, str]]:
    if case.inputs[0].datatype != "BYTES" or not request.binary:
        raise Skipped("the model's first input is not BYTES")
    request.binary = (2**32 - 1).to_bytes(4, "little") + request.binary[4:]
    return request.wire()


_lie("size-larger", "A binary_data_size beyond the body is refused.", _sized(1))
_lie("size-smaller", "A binary_data_size below the tensor is refused.", _sized(-1))
_lie("size-huge", "A binary_data_size of 2^62 is refused at once.", _sized(2**62))
_lie("size-negative", "A negative binary_data_size is refused.", _sized(-(2**40)))
_lie("size-text", "A binary_data_size that is no number is refused.", _as_text)
_lie("data-as-well", "Data in JSON and in binary at once is refused.", _both)
_lie("body-short", "A body that lacks a tensor's last byte is refused.", _bent_body(lambda body: body[:-1]))
_lie("body-long", "A byte after the last tensor is refused.", _bent_body(lambda body: body + b"\0"))
_lie("header-beyond", f"{LENGTH} beyond the body is refused.", _header(lambda size, whole: str(whole + 1)))
_lie("header-huge", f"{LENGTH} of 2^62 is refused.", _header(lambda size, whole: str(2**62)))
_lie("header-inside", f"{LENGTH} that cuts the JSON is refused.", _header(lambda size, whole: str(size - 1)))
_lie("header-text", f"{LENGTH} that is no number is refused.", _header(lambda size, whole: "x"))
_lie("header-negative", f"{LENGTH} below zero is refused.", _header(lambda size, whole: "-1"))
_lie("element-lies", "An element of BYTES that announces 4 GiB is refused.", _lying_element)
