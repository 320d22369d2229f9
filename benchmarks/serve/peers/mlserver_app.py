"""MLServer with a runtime of 20 lines, as its documentation describes custom runtimes.

    python mlserver_app.py FOLDER PORT

``parallel_workers`` 0: its documentation advises so where one process serves (a pool adds a hop between processes).
Metrics stay on, as in Edgewright; logging of requests is off. Its REST side knows JSON alone.
"""

import asyncio
import logging
import sys
import tempfile
from pathlib import Path

import numpy as np
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from session import open_model


class Served(MLModel):
    """One model."""

    async def load(self) -> bool:
        self.session = open_model(Path(self.settings.parameters.uri))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        x = NumpyCodec.decode_input(payload.inputs[0])
        (y,) = self.session.run(None, {"x": x.astype(np.float32, copy=False)})
        outputs = [NumpyCodec.encode_output("y", y)]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)


async def main(folder: Path, port: int) -> None:
    settings = Settings(
        host="127.0.0.1", http_port=port, grpc_port=port + 1, metrics_port=port + 2, parallel_workers=0, debug=False,
        metrics_dir=tempfile.mkdtemp(), use_structured_logging=False,
    )  # fmt: skip
    server = MLServer(settings)
    logging.disable(logging.INFO)
    models = [
        ModelSettings(name=path.stem, implementation=Served, parameters={"uri": str(path)})
        for path in sorted(folder.glob("*.onnx"))
    ]
    await server.start(models)


if __name__ == "__main__":
    import uvloop

    uvloop.install()
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
