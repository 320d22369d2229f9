"""System shared memory, where the server announces it and is on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.shared_memory import SharedMemory
from typing import Any

from edgewright.testing.oip.case import Case, Request
from edgewright.testing.oip.contract import Skipped, check, expect
from edgewright.testing.oip.tensors import from_binary, to_binary

_CLAUSE = "Triton, shared memory extension"
_NAME = "edgewright-conformance"
_ROOT = "/v2/systemsharedmemory"


@contextmanager
def _region(case: Case, size: int) -> Iterator[SharedMemory]:
    """A registered region; its first half is for inputs, its second for outputs."""
    if not case.target.local:
        raise Skipped("the server is on another machine")
    memory = SharedMemory(create=True, size=max(size, 4096))
    try:
        _forget(case)
        reply = _register(case, key=memory.name, byte_size=memory.size)
        if reply.status in (501, 503):
            raise Skipped(f"the server takes no regions: {reply.body[:120]!r}")
        expect(reply.status == 200, f"register: status {reply.status}: {reply.body[:120]!r}")
        try:
            yield memory
        finally:
            _forget(case)
    finally:
        memory.close()
        memory.unlink()


def _register(case: Case, name: str = _NAME, **told: Any) -> Any:
    return case.post(f"{_ROOT}/region/{name}/register", {"offset": 0} | told)


def _forget(case: Case) -> None:
    case.ask("POST", f"{_ROOT}/region/{_NAME}/unregister", b"")


def _within(case: Case, memory: SharedMemory) -> tuple[Request, dict[str, int]]:
    """A request whose tensors are all in the region, and where each output will be."""
    request, place = Request({"inputs": []}), 0
    assert memory.buf is not None
    for tensor in case.inputs:
        array = case.arrays()[tensor.name]
        raw = to_binary(array, tensor.datatype)
        memory.buf[place : place + len(raw)] = raw
        entry = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(array.shape)}
        request.told["inputs"].append(entry | {"parameters": _parameters(place, len(raw))})
        place += len(raw) + 8
    outputs, places = [], {}
    for tensor in case.outputs:
        size = len(to_binary(case.reference[tensor.name], tensor.datatype))
        outputs.append({"name": tensor.name, "parameters": _parameters(place, size)})
        places[tensor.name] = place
        place += size + 8
    request.told["outputs"] = outputs
    return request, places


def _parameters(offset: int, size: int, region: str = _NAME) -> dict[str, Any]:
    return {"shared_memory_region": region, "shared_memory_byte_size": size, "shared_memory_offset": offset}


def _size(case: Case) -> int:
    arrays = [(case.arrays()[t.name], t.datatype) for t in case.inputs]
    arrays += [(case.reference[t.name], t.datatype) for t in case.outputs if t.name in case.reference]
    if len(arrays) != len(case.inputs) + len(case.outputs):
        raise Skipped("the model draws lots")
    return sum(len(to_binary(a, kind)) + 8 for a, kind in arrays)


@check("memory.status", "system_shared_memory", f"{_CLAUSE}, Status")
def status(case: Case) -> None:
    """A region that was registered is listed, and no more once it was unregistered."""
    with _region(case, 4096) as memory:
        for path in (f"{_ROOT}/region/{_NAME}/status", f"{_ROOT}/status"):
            told = case.ask("GET", path).json()
            found = [one for one in told if one.get("name") == _NAME]
            expect(len(found) == 1, f"{path} does not list it")
            one = found[0]
            good = one.get("key", "").lstrip("/") == memory.name and one.get("byte_size") == memory.size
            expect(good and one.get("offset") == 0, f"{path} tells {one!r}")
        case.refused(_register(case, key=memory.name, byte_size=memory.size))
    told = case.ask("GET", f"{_ROOT}/status").json()
    expect(_NAME not in [one.get("name") for one in told], "it is listed after it was unregistered")


@check("memory.infer", "system_shared_memory", f"{_CLAUSE}, shared_memory_region")
def infer(case: Case) -> None:
    """Inputs are taken from the region and outputs laid there, and not sent."""
    with _region(case, _size(case)) as memory:
        request, places = _within(case, memory)
        for _ in range(2):
            _, sent = case.read(case.infer(request), placed=places)
            expect(not sent, f"sent as well: {sorted(sent)}")
            expect(memory.buf is not None, "")
            assert memory.buf is not None
            found = {}
            for tensor in case.outputs:
                reference = case.reference[tensor.name]
                raw = bytes(memory.buf[places[tensor.name] :][: len(to_binary(reference, tensor.datatype))])
                found[tensor.name] = from_binary(raw, tensor.datatype, reference.shape)
            expect(case.agrees(found), "an output is not in its place")


@check("memory.beyond", "system_shared_memory", f"{_CLAUSE}, shared_memory_offset")
def beyond(case: Case) -> None:
    """Tensors beyond the region, of another size, or in a region that is not there are refused."""
    with _region(case, _size(case)) as memory:
        request, _ = _within(case, memory)
        size = request.told["inputs"][0]["parameters"]["shared_memory_byte_size"]
        for parameters in (
            _parameters(memory.size, size), _parameters(2**62, size), _parameters(-1, size), _parameters(0, size + 1),
            _parameters(0, 2**62), _parameters(0, size, "edgewright-no-such-region"), {"shared_memory_region": _NAME},
        ):  # fmt: skip
            request.told["inputs"][0]["parameters"] = parameters
            case.refused(case.infer(request))
        request, _ = _within(case, memory)
        request.told["outputs"][0]["parameters"] = _parameters(memory.size, 8)
        case.refused(case.infer(request))
        request, _ = _within(case, memory)
    case.refused(case.infer(request))  # unregistered by now
    case.alive()


@check("memory.names", "system_shared_memory", f"{_CLAUSE}, Register")
def names(case: Case) -> None:
    """Keys that are no shared memory objects, and sizes beyond theirs, are refused."""
    with _region(case, 4096) as memory:
        for told in (
            {"key": "../../etc/passwd", "byte_size": 16}, {"key": "/../../etc/passwd", "byte_size": 16},
            {"key": "edgewright-no-such-object", "byte_size": 16}, {"key": "", "byte_size": 16}, {"byte_size": 16},
            {"key": memory.name, "byte_size": memory.size * 1000}, {"key": memory.name},
            {"key": memory.name, "byte_size": 16, "offset": memory.size * 1000},
        ):  # fmt: skip
            case.refused(_register(case, "edgewright-other", **told))
    case.alive()
