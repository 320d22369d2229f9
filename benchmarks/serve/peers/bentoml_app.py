"""BentoML: a service with one worker and one method a model, arrays as its type hints declare them.

    python bentoml_app.py FOLDER PORT

Its HTTP bodies are JSON or forms (raw tensors travel as uploaded files), so it has a JSON row alone. Access log,
tracing and metrics are off: faster than its defaults.
"""

import os
import sys
from pathlib import Path

import bentoml
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from session import one_row, open_all


@bentoml.service(
    workers=1, traffic={"timeout": 60, "max_concurrency": 1000}, metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)  # fmt: skip
class Service:
    """All models."""

    def __init__(self) -> None:
        self.sessions = open_all(Path(os.environ["SERVE_MODELS"]))

    @bentoml.api
    async def infer(self, name: str, x: np.ndarray) -> np.ndarray:
        session = self.sessions[name]
        shape = one_row(session.get_inputs()[0])
        return session.run(None, {"x": x.astype(np.float32, copy=False).reshape(shape)})[0]


if __name__ == "__main__":
    os.environ["SERVE_MODELS"] = sys.argv[1]
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"
    here = Path(__file__).resolve()
    os.execv(  # the same interpreter: a script of its environment would name another place after a move
        sys.executable,
        [sys.executable, "-m", "bentoml", "serve", "--host", "127.0.0.1", "--port", sys.argv[2],
         "--working-dir", str(here.parent), "--quiet", f"{here.stem}:Service"],
    )  # fmt: skip
