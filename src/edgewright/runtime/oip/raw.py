"""Raw binary requests: the body is the model's only input and nothing else (Inference-Header-Content-Length: 0)."""

from __future__ import annotations

import math

from edgewright.runtime.faults import BadRequest
from edgewright.runtime.lanes.stream import Body
from edgewright.runtime.oip.messages import InferRequest, Piece, Plan
from edgewright.runtime.oip.types import NUMPY, datatype
from edgewright.runtime.served import Served


def raw_plan(served: Served, body: Body) -> Plan:
    """What a body without JSON says, by the model's own signature: one input, its shape told by its length.

    Of several open sizes the first is 1, as one request of one row has it; one may then be left open. All outputs go
    back as binary. (Triton's binary tensor data extension, "Raw Binary Request".) Raises BadRequest.
    """
    specs = served.session.signature.inputs
    if len(specs) != 1:
        raise BadRequest(f"a raw request is for models of one input, this one has {len(specs)}; send the JSON as well")
    spec, kind = specs[0], datatype(specs[0].dtype)
    sizes = [size if isinstance(size, int) else -1 for size in spec.shape]
    if sizes.count(-1) > 1:
        sizes[sizes.index(-1)] = 1
    if sizes.count(-1) > 1:
        raise BadRequest("a raw request is for models with one open size; send the JSON as well")
    each = 0 if kind == "BYTES" else 2 if kind == "BF16" else NUMPY[kind].itemsize
    known = math.prod(size for size in sizes if size >= 0)
    if -1 in sizes:
        # BYTES tell nothing by their length: one element.
        count = 1 if not each else len(body) // (each * known) if known else 0
        sizes[sizes.index(-1)] = count
    if each and each * math.prod(sizes) != len(body):
        raise BadRequest(f"the input takes {' x '.join(map(str, sizes)) or 'one'} of {kind}, {len(body)} bytes came")
    piece = Piece(spec.name, kind, tuple(sizes), 0, len(body))
    return Plan((piece,), len(body), InferRequest({}, binary=True))
