"""FastAPI on uvicorn, as its documentation has it: uvloop, httptools, one worker, no access log.

    python fastapi_app.py FOLDER PORT

JSON goes through a pydantic model; the binary body is the tensor's bytes and nothing else, which no client could do
with less. Handlers are ``async def``: a hop to a thread costs more than the small model takes.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from PIL import Image
from pydantic import BaseModel
from session import one_row, open_all

SESSIONS = open_all(Path(sys.argv[1]))
SHAPES = {name: one_row(session.get_inputs()[0]) for name, session in SESSIONS.items()}
app = FastAPI()


class Input(BaseModel):
    x: list[float]


class Output(BaseModel):
    y: list[float]


@app.get("/ready")
async def ready() -> dict[str, bool]:
    return {"ready": True}


@app.post("/json/{name}")
async def infer(name: str, given: Input) -> Output:
    x = np.array(given.x, np.float32).reshape(SHAPES[name])
    (y,) = SESSIONS[name].run(None, {"x": x})
    return Output(y=y.ravel().tolist())


@app.post("/binary/{name}")
async def infer_raw(name: str, request: Request) -> Response:
    body = await request.body()
    if name not in SESSIONS or len(body) != 4 * int(np.prod(SHAPES[name])):
        raise HTTPException(400, "wrong model or size")
    (y,) = SESSIONS[name].run(None, {"x": np.frombuffer(body, np.float32).reshape(SHAPES[name])})
    return Response(y.tobytes(), media_type="application/octet-stream")


@app.post("/image/{name}")
async def decide(name: str, request: Request) -> dict[str, object]:
    """A JPEG to its class: decoded, resized and normalised as ``tiles.py`` states it."""
    _, _, high, wide = SHAPES[name]
    image = Image.open(io.BytesIO(await request.body()))
    pixels = np.asarray(image.convert("L").resize((wide, high), Image.Resampling.BILINEAR), np.float32)
    x = ((pixels / np.float32(255) - np.float32(0.5)) / np.float32(0.25))[None, None]
    (y,) = SESSIONS[name].run(None, {"x": x})
    return {"class": int(y.argmax()), "y": y.ravel().tolist()}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), loop="uvloop", http="httptools", workers=1,
                access_log=False, log_level="warning")  # fmt: skip
