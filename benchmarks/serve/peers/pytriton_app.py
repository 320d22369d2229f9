"""PyTriton: Triton in front, the models in this process.

    python pytriton_app.py FOLDER PORT

No batching (one sample a request); strict; metrics on at Triton's default. ``python`` must be Debian's own.
"""

import signal
import sys
from pathlib import Path

import numpy as np
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig
from session import one_row, open_all


def serve(folder: Path, port: int) -> None:
    config = TritonConfig(http_address="127.0.0.1", http_port=port, grpc_address="127.0.0.1", grpc_port=port + 1,
                          metrics_port=port + 2, log_verbose=0)  # fmt: skip
    with Triton(config=config) as triton:
        for name, session in open_all(folder).items():
            shape = one_row(session.get_inputs()[0])

            def run(requests, session=session):
                return [{"y": session.run(None, {"x": request["x"]})[0]} for request in requests]

            triton.bind(
                model_name=name, infer_func=run, config=ModelConfig(batching=False),
                inputs=[Tensor(name="x", dtype=np.float32, shape=shape)],
                outputs=[Tensor(name="y", dtype=np.float32, shape=one_row(session.get_outputs()[0]))],
            )  # fmt: skip
        triton.serve()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # leaving the context gives the shared memory back
    serve(Path(sys.argv[1]), int(sys.argv[2]))
