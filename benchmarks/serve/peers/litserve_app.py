"""LitServe with the settings of its page on performance: one worker, ``fast_queue``, no logging.

    python litserve_app.py FOLDER PORT

Its requests are JSON or forms; it takes no raw body. Each model has a worker process of its own.
"""

import logging
import sys
from pathlib import Path

import litserve as ls
import numpy as np
from session import one_row, open_model


class Served(ls.LitAPI):
    """One model."""

    def __init__(self, path: Path) -> None:
        super().__init__(api_path=f"/{path.stem}")
        self.path = path

    def setup(self, device: str) -> None:
        self.session = open_model(self.path)
        self.shape = one_row(self.session.get_inputs()[0])

    def decode_request(self, request):
        return np.array(request["x"], np.float32).reshape(self.shape)

    def predict(self, x):
        return self.session.run(None, {"x": x})[0]

    def encode_response(self, y):
        return {"y": y.ravel().tolist()}


if __name__ == "__main__":
    logging.disable(logging.INFO)
    apis = [Served(path) for path in sorted(Path(sys.argv[1]).glob("*.onnx"))]
    server = ls.LitServer(apis, accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), num_api_servers=1, log_level="warning", access_log=False,
               generate_client_file=False)  # fmt: skip
