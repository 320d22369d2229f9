"""MLServer with models that answer with what they were asked.

    python mlserver_app.py FOLDER PORT

HTTP at PORT, gRPC at PORT + 1. Whether a model's inputs are those of its metadata is left to its code, which does not
look.
"""

import asyncio
import json
import logging
import sys
import tempfile
from pathlib import Path

from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.settings import ModelParameters
from mlserver.types import InferenceResponse, MetadataTensor, ResponseOutput


class Echo(MLModel):
    async def load(self):
        return True

    async def predict(self, payload):
        outputs = [
            ResponseOutput(
                name=one.name.replace("x", "y"), shape=one.shape, datatype=one.datatype, data=one.data,
                parameters=one.parameters,
            )
            for one in payload.inputs
        ]  # fmt: skip
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)


def settings(name, told):
    inputs, outputs = (
        [MetadataTensor(name=f"{letter}{n}", datatype=told["datatype"], shape=told["shape"])
         for n in range(told["tensors"])]
        for letter in "xy"
    )  # fmt: skip
    return ModelSettings(name=name, implementation=Echo, platform="python", inputs=inputs, outputs=outputs,
                         parameters=ModelParameters(version="1"))  # fmt: skip


async def main(folder, port):
    server = MLServer(
        Settings(
            host="127.0.0.1", http_port=port, grpc_port=port + 1, metrics_port=port + 2, parallel_workers=0,
            debug=False, metrics_dir=tempfile.mkdtemp(), use_structured_logging=False,
        )
    )  # fmt: skip
    logging.disable(logging.INFO)
    models = json.loads((folder / "models.json").read_text())
    await server.start([settings(name, told) for name, told in models.items()])


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
