"""What is wrong with a request is the client's fault, is said so, and harms nobody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgewright.testing.oip.case import Arrays, Case, Request
from edgewright.testing.oip.contract import Failed, Skipped, check, expect
from edgewright.testing.oip.tensors import NUMPY, to_json

_ERROR = "OIP REST, Inference Response JSON Error Object"
_INPUT = "OIP REST, Request Input"


def _raw(name: str, clause: str, title: str, bend: Callable[[bytes], bytes]) -> None:
    """A check whose body is bent as bytes."""

    def run(case: Case) -> None:
        # Of inputs that have no form in JSON the binary tensors stay away: whatever is wrong is wrong without them.
        body, headers = Request(case.request().told).wire()
        case.refused(case.ask("POST", f"{case.path}/infer", bend(body), headers))
        case.alive()

    run.__doc__ = title
    check(f"faults.{name}", "faults", clause)(run)


_raw("empty", "OIP REST, Inference Request", "No body is refused.", lambda body: b"")
_raw("cut", "RFC 8259, 2", "JSON that ends in the middle is refused.", lambda body: body[: len(body) // 2])
_raw("trailing", "RFC 8259, 2", "What follows the JSON is refused.", lambda body: body + b"{}")
_raw("not-json", "RFC 8259, 2", "What is no JSON is refused.", lambda body: b"\x00\x01 no JSON")
_raw("not-utf8", "RFC 8259, 8.1", "What is no UTF-8 is refused.", lambda body: b'{"id": "\xff\xfe", ' + body[1:])
_raw("list", "OIP REST, Inference Request", "JSON that is no object is refused.", lambda body: b"[" + body + b"]")
_raw("deep", "RFC 8259, 9", "JSON nested 100,000 deep is refused.", lambda body: b'{"inputs": ' + b"[" * 100_000)
_raw("deep-closed", "RFC 8259, 9", "JSON nested 100,000 deep, and closed again, is refused.",
     lambda body: b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")  # fmt: skip
_raw("long-number", "RFC 8259, 9", "A size of 5,000 digits is refused.",
     lambda body: body.replace(b'"shape": [', b'"shape": [' + b"9" * 5000 + b", "))  # fmt: skip


def _told(name: str, clause: str, title: str, bend: Callable[[Case, dict[str, Any]], None]) -> None:
    """A check whose JSON is bent; what makes no sense for the model raises Skipped."""

    def run(case: Case) -> None:
        request = case.request()
        bend(case, request.told)
        case.refused(case.infer(request))
        case.alive()

    run.__doc__ = title
    check(f"faults.{name}", "faults", clause)(run)


def _top(**more: Any) -> Callable[[Case, dict[str, Any]], None]:
    return lambda case, told: told.update(more)


def _first(**more: Any) -> Callable[[Case, dict[str, Any]], None]:
    return lambda case, told: told["inputs"][0].update(more)


def _without(key: str) -> Callable[[Case, dict[str, Any]], None]:
    def bend(case: Case, told: dict[str, Any]) -> None:
        if key not in told["inputs"][0]:
            raise Skipped("the model's inputs have no form in JSON")
        del told["inputs"][0][key]

    return bend


_told("inputs-missing", _ERROR, "No inputs are refused.", lambda case, told: told.pop("inputs"))
_told("inputs-null", _ERROR, "Inputs that are null are refused.", _top(inputs=None))
_told("inputs-empty", _ERROR, "An empty list of inputs is refused.", _top(inputs=[]))
_told("inputs-object", _ERROR, "Inputs that are no list are refused.", _top(inputs={"a": 1}))
_told("input-null", _INPUT, "An input that is null is refused.", _top(inputs=[None]))
_told("id-object", "OIP REST, Inference Request, id", "An id that is an object is refused.", _top(id={"a": 1}))
_told("parameters-list", "OIP REST, Parameters", "Parameters that are no object are refused.", _top(parameters=[1]))
_told("parameter-list", "OIP REST, Parameters", "A parameter that is no string, number or boolean is refused.",
      _top(parameters={"x-edgewright": [1]}))  # fmt: skip
_told("outputs-object", _ERROR, "Outputs that are no list are refused.", _top(outputs={"a": 1}))
_told("output-nameless", "OIP REST, Request Output", "An output without a name is refused.", _top(outputs=[{}]))
_told("output-unknown", "OIP REST, Request Output, name", "An output that the model has not is refused.",
      _top(outputs=[{"name": "edgewright-no-such-output"}]))  # fmt: skip
_told("name-missing", _INPUT, "An input without a name is refused.", _without("name"))
_told("name-unknown", _INPUT, "An input that the model has not is refused.", _first(name="edgewright-no-such-input"))
_told("name-number", _INPUT, "A name that is a number is refused.", _first(name=3))
_told("shape-missing", _INPUT, "An input without a shape is refused.", _without("shape"))
_told("shape-text", _INPUT, "A shape of text is refused.", _first(shape=["a"]))
_told("shape-fraction", _INPUT, "A size that is no whole number is refused.", _first(shape=[1.5]))
_told("shape-object", _INPUT, "A shape that is no list is refused.", _first(shape={"a": 1}))
_told("datatype-missing", _INPUT, "An input without a datatype is refused.", _without("datatype"))
_told("datatype-unknown", _INPUT, "A datatype that the protocol has not is refused.", _first(datatype="FP31"))
_told("data-missing", _INPUT, "An input without data is refused.", _without("data"))
_told("data-null", _INPUT, "Data that is null is refused.",
      lambda case, told: (_without("data")(case, told), told["inputs"][0].update(data=None))[0])  # fmt: skip
_told("extra-input", "OIP REST, Model Metadata, inputs", "One input too many is refused.",
      lambda case, told: told["inputs"].insert(0, told["inputs"][0] | {"name": "edgewright-extra"}))  # fmt: skip


def _plain(case: Case, told: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = told["inputs"][0]
    if "data" not in entry:
        raise Skipped("the model's inputs have no form in JSON")
    return entry


def _duplicate(case: Case, told: dict[str, Any]) -> None:
    _plain(case, told)
    told["inputs"].append(dict(told["inputs"][0]))


def _lacking(case: Case, told: dict[str, Any]) -> None:
    if len(told["inputs"]) < 2:
        raise Skipped("the model has one input")
    _plain(case, told)
    told["inputs"].pop()


def _longer(case: Case, told: dict[str, Any]) -> None:
    entry = _plain(case, told)
    entry["data"] = [*entry["data"], *entry["data"][:1]] if entry["data"] else [0]


def _shorter(case: Case, told: dict[str, Any]) -> None:
    entry = _plain(case, told)
    if not entry["data"]:
        raise Skipped("the input is empty")
    entry["data"] = entry["data"][:-1]


def _odd_element(value: Any) -> Callable[[Case, dict[str, Any]], None]:
    def bend(case: Case, told: dict[str, Any]) -> None:
        entry = _plain(case, told)
        if not entry["data"] or (isinstance(value, str) and entry["datatype"] in ("BYTES", "BOOL")):
            raise Skipped("it would be no fault of this input")  # any text can be coerced to a truth value
        entry["data"][0] = value

    return bend


@check("faults.data-ragged", "faults", "OIP REST, Tensor Data")
def ragged(case: Case) -> None:
    """Rows of different lengths are refused, or read as their elements one after the other."""
    case.reference  # noqa: B018 - asked for before it is needed
    request = case.request()
    entry = _plain(case, request.told)
    if len(entry["data"]) < 3 or len(entry["shape"]) < 2:
        raise Skipped("the input is too small to be ragged")
    entry["data"] = [entry["data"][:-1], entry["data"][-1:]]
    _refused_or(case, request, case.agrees)


@check("faults.data-too-large", "faults", "OIP REST, Tensor Data")
def too_large(case: Case) -> None:
    """A number that its datatype cannot hold is refused, or coerced ("the server can decide"), and harms nobody."""
    request = case.request()
    for entry, tensor in zip(request.told["inputs"], case.inputs, strict=True):
        dtype = np.dtype(NUMPY.get(tensor.datatype, "O"))
        if dtype.kind in "iu" and entry.get("data"):
            entry["data"][0] = int(np.iinfo(dtype).max) + 1
            return _refused_or(case, request, lambda outputs: True)
    raise Skipped("the model takes no integers")


def _refused_or(case: Case, request: Request, good: Callable[[Arrays], bool]) -> None:
    reply = case.infer(request)
    if reply.status == 200:
        expect(good(case.read(reply)[1]), "it is answered, and not as what it says")
    else:
        case.refused(reply)
    case.alive()


def _other_shape(case: Case, told: dict[str, Any]) -> None:
    entry, tensor = _plain(case, told), case.inputs[0]
    if not tensor.shape:
        raise Skipped("servers spell a shape that may be any as [], too")
    sizes = list(tensor.shape)
    fixed = [place for place, size in enumerate(sizes) if size >= 0]
    if fixed:
        sizes[fixed[-1]] += 1
    else:
        sizes = [1, *sizes]
    array = np.ones([1 if size < 0 else size for size in sizes], "u1")
    values = np.full(array.shape, b"1", object) if tensor.datatype == "BYTES" else array.astype(NUMPY[tensor.datatype])
    entry["shape"], entry["data"] = list(array.shape), to_json(values, tensor.datatype)


def _other_datatype(case: Case, told: dict[str, Any]) -> None:
    entry, tensor = _plain(case, told), case.inputs[0]
    other = "INT64" if tensor.datatype in ("BYTES", "FP32", "FP64") else "BYTES"
    entry["datatype"] = other
    entry["data"] = [1 if other == "INT64" else "a" for _ in entry["data"]]


def _huge(case: Case, told: dict[str, Any]) -> None:
    told["inputs"][0]["shape"] = [2**31, 2**31, *told["inputs"][0]["shape"]]


def _negative(case: Case, told: dict[str, Any]) -> None:
    told["inputs"][0]["shape"] = [-1 for _ in told["inputs"][0]["shape"]] or [-1]


_told("input-twice", _INPUT, "An input that is given twice is refused.", _duplicate)
_told("input-lacking", "OIP REST, Model Metadata, inputs", "One input too few is refused.", _lacking)
_told("data-longer", "OIP REST, Tensor Data", "An element too many is refused.", _longer)
_told("data-shorter", "OIP REST, Tensor Data", "An element too few is refused.", _shorter)
_told("data-text", "OIP REST, Tensor Data", "Text among numbers is refused.", _odd_element("edgewright"))
_told("data-object", "OIP REST, Tensor Data", "An object among the elements is refused.", _odd_element({"a": 1}))
_told(
    "shape-other", "OIP REST, Model Metadata, shape", "A shape that the model does not take is refused.", _other_shape
)
_told("shape-huge", _INPUT, "A shape of 2^62 elements is refused at once.", _huge)
_told("shape-negative", _INPUT, "A negative size is refused.", _negative)
_told("datatype-other", "OIP REST, Model Metadata, datatype", "Another datatype than the model's is refused.",
      _other_datatype)  # fmt: skip


@check("faults.then-fine", "faults", _ERROR)
def fine(case: Case) -> None:
    """After all of that, and a fault and a good request by turns, the answers are what they were."""
    for _ in range(3):
        case.refused(case.infer(Request({"inputs": [{"name": "x"}]})))
        if not case.agrees(case.answered(case.request())[1]):
            raise Failed("another answer after a fault")
