"""KServe's Python model server with models that answer with what they were asked.

    python kserve_app.py FOLDER PORT

The server does what it does by itself; it leaves to a model's code whether its inputs are those of the metadata, and
this code does not look. HTTP at PORT, gRPC at PORT + 1. It listens everywhere and has no option for that: it is told to
listen on this machine alone.
"""

import json
import sys
from pathlib import Path

import grpc.aio
import uvicorn


class Local(uvicorn.Config):
    def __init__(self, app, host="", **more):
        super().__init__(app, host="127.0.0.1", **more)


def local(*given, _make=grpc.aio.server, **named):
    made = _make(*given, **named)
    add = made.add_insecure_port
    made.add_insecure_port = lambda address: add(address.replace("[::]", "127.0.0.1"))
    return made


uvicorn.Config, grpc.aio.server = Local, local
from kserve import InferOutput, InferResponse, Model, ModelServer  # noqa: E402
from kserve.utils.utils import generate_uuid  # noqa: E402


class Echo(Model):
    def __init__(self, name, told):
        super().__init__(name)
        self.told = told
        self.load()

    def load(self):
        self.ready = True
        return True

    def tensors(self, letter):
        kind, shape, count = (self.told[key] for key in ("datatype", "shape", "tensors"))
        return [{"name": f"{letter}{n}", "datatype": kind, "shape": shape} for n in range(count)]

    def get_input_types(self):
        return self.tensors("x")

    def get_output_types(self):
        return self.tensors("y")

    async def predict(self, payload, headers=None, response_headers=None):
        outputs = []
        for one in payload.inputs:
            array = one.as_numpy()
            outputs.append(InferOutput(one.name.replace("x", "y"), list(array.shape), one.datatype))
            outputs[-1].set_data_from_numpy(array, binary_data=payload.use_binary_outputs)
        return InferResponse(
            payload.id or generate_uuid(), self.name, outputs, use_binary_outputs=payload.use_binary_outputs,
            requested_outputs=payload.request_outputs,
        )  # fmt: skip


if __name__ == "__main__":
    models = json.loads((Path(sys.argv[1]) / "models.json").read_text())
    port = int(sys.argv[2])
    server = ModelServer(http_port=port, grpc_port=port + 1, workers=1, access_log_format=None)
    server.start([Echo(name, told) for name, told in models.items()])
