"""Inference as the protocol itself has it: tensors in JSON (in binary where JSON has no form for them)."""

from __future__ import annotations

import threading

from edgewright.testing.oip.case import Case
from edgewright.testing.oip.contract import Failed, Skipped, check, expect

_REQUEST, _RESPONSE = "OIP REST, Inference Request", "OIP REST, Inference Response"


@check("infer", "protocol", _RESPONSE)
def infer(case: Case) -> None:
    """A request made from the metadata is answered with every output, as the metadata has it."""
    told, outputs = case.answered(case.request())
    expect(told.get("model_name") == case.model, f"'model_name' is {told.get('model_name')!r}")
    expect(isinstance(told.get("model_version") or "", str), f"'model_version' is {told['model_version']!r}")
    missing = {t.name for t in case.outputs} - {*outputs}
    expect(not missing, f"outputs are missing: {sorted(missing)}")


@check("infer.nested", "protocol", "OIP REST, Tensor Data")
def nested(case: Case) -> None:
    """Rows inside rows are the same tensor as its elements one after the other."""
    if any(array.ndim == 0 for array in case.arrays().values()):
        raise Skipped("an input has no rows")
    expect(case.agrees(case.answered(case.request(binary=False, nested=True))[1]), "nested data gets another answer")


@check("infer.whitespace", "protocol", "RFC 8259, 2")
def whitespace(case: Case) -> None:
    """JSON is JSON however it is spaced, and whatever the order of its keys."""
    request = case.request()
    if request.binary:
        raise Skipped("the model's inputs have no form in JSON")
    request.told = {"parameters": {}, "outputs": [], **dict(reversed(request.told.items()))}
    entries = [dict(reversed(entry.items())) for entry in request.told["inputs"]]
    request.told["inputs"] = entries
    del request.told["outputs"]
    body, headers = request.wire()
    spaced = b" \n\t" + body.replace(b'", ', b'" ,\r\n ') + b"\n"
    expect(case.agrees(case.read(case.ask("POST", f"{case.path}/infer", spaced, headers))[1]), "another answer")


@check("infer.id", "protocol", f"{_RESPONSE}, id")
def identity(case: Case) -> None:
    """The reply has the request's id, whatever characters it is made of."""
    for one in ("42", 'a b/ü"\\', "x" * 200):
        told, _ = case.answered(case.request(id=one))
        expect(told.get("id") == one, f"the id {one[:20]!r} came back as {told.get('id')!r:.40}")


@check("infer.parameters", "protocol", f"{_REQUEST}, parameters")
def parameters(case: Case) -> None:
    """Parameters that the server does not know harm nothing, at the request, an input or an output."""
    odd = {"x-edgewright": "a", "x-number": 1, "x-flag": True}
    request = case.request(parameters=dict(odd), outputs=[{"name": t.name, "parameters": odd} for t in case.outputs])
    for entry in request.told["inputs"]:
        entry["parameters"] = entry.get("parameters", {}) | odd
    expect(case.agrees(case.answered(request)[1]), "another answer")


@check("infer.outputs", "protocol", f"{_REQUEST}, outputs")
def outputs(case: Case) -> None:
    """Of the outputs, those that were asked for come back and no others."""
    for tensor in case.outputs:
        _, found = case.answered(case.request(outputs=[{"name": tensor.name}]))
        expect([*found] == [tensor.name], f"asked for {tensor.name!r}, got {sorted(found)}")
    expect(case.agrees(case.answered(case.request(outputs=[]))[1]), "an empty list is not all outputs")


@check("infer.rows", "protocol", f"{_REQUEST}, inputs")
def rows(case: Case) -> None:
    """Where the first size is open, two rows may come, and the outputs have two where theirs is open."""
    if case.given or not all(t.shape and t.shape[0] == -1 for t in case.inputs):
        raise Skipped("the first size of the inputs is not open")
    reply = case.infer(case.request(case.arrays(rows=2)))
    if 400 <= reply.status < 500:
        raise Skipped(f"the model does not take two: {reply.body[:80]!r}")
    _, found = case.read(reply)
    for tensor in case.outputs:
        if tensor.shape and tensor.shape[0] == -1 and case.reference[tensor.name].shape[:1] == (1,):
            expect(found[tensor.name].shape[0] == 2, f"{tensor.name!r} has shape {found[tensor.name].shape}")


@check("infer.again", "protocol", _RESPONSE)
def again(case: Case) -> None:
    """The same request gets the same answer after another one, and each its own."""
    case.reference  # noqa: B018 - skips when nothing works
    other = case.answered(case.request(case.arrays(seed=7)))[1]
    expect(case.agrees(case.answered(case.request())[1]), "the first request gets another answer after a second one")
    expect({*other} == {*case.answered(case.request())[1]}, "other outputs")


@check("infer.together", "protocol", f"{_RESPONSE}, id")
def together(case: Case) -> None:
    """Many clients at once each get the answer to their own request."""
    seeds = range(4)
    alone = [case.answered(case.request(case.arrays(seed=s)))[1] for s in seeds]
    case.reference  # noqa: B018 - skips when nothing works
    wrong: list[str] = []

    def client(number: int) -> None:
        try:
            for turn in range(6):
                seed = (number + turn) % len(seeds)
                one = f"{number}-{turn}"
                told, found = case.answered(case.request(case.arrays(seed=seed), id=one))
                expect(told.get("id") == one, f"the request {one!r} got the reply to {told.get('id')!r}")
                shapes = all(found[name].shape == a.shape for name, a in alone[seed].items())
                expect(shapes, "the outputs have other shapes than those of a client alone")
        except (Failed, OSError) as error:
            wrong.append(str(error))

    threads = [threading.Thread(target=client, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(not wrong, wrong[0] if wrong else "")
