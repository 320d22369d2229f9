"""The tile detector, from a photograph's JPEG to the decision.

    python benchmarks/serve/tiles.py

Edgewright serves a bundle that declares preprocessing and labels, and gets the JPEG itself; the FastAPI app decodes
with Pillow (``peers/fastapi_app.py``). Photographs: ``shared/data/magnetic-tile`` beside the checkout; without them
there is no such row. The model's weights are drawn: time is measured here, and what is right in benchmarks/compile.
"""

from __future__ import annotations

import io
import json
import os
import random
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from serve import load, onnxfiles
from serve.figures import pooled
from serve.load import Target
from serve.onnxfiles import TILE_CLASSES, TILE_SIDE, TILES
from serve.peers.session import open_model
from serve.processes import Server, free_ports, wait_ready
from serve.subjects import EDGEWRIGHT, SUBJECTS, Address
from serve.wire import Request, exchange

HERE = Path(__file__).resolve().parent
WORK = HERE / "work" / "tiles"
PHOTOGRAPHS = 60
GET_READY_S = 0.05


def photographs() -> list[bytes]:
    """Some of each class; none where the folder is missing."""
    for parent in HERE.parents:
        folder = parent / "shared" / "data" / "magnetic-tile"
        if folder.is_dir():
            files = sorted(folder.glob("*/*.jpg"))
            chosen = random.Random(0).sample(files, min(PHOTOGRAPHS, len(files)))
            return [path.read_bytes() for path in chosen]
    return []


def bundle(model: Path) -> Path:
    """The model sealed with its preprocessing, as ``edgewright optimize`` would. Raises what sealing raises."""
    from edgewright.bundles import BundleContent, Contract, Variant, record_golden, seal
    from edgewright.core.session import EngineOptions
    from edgewright.datasets.preprocessing import Preprocessing
    from edgewright.formats import load as read

    place = WORK / "bundle" / TILES.name
    place.parent.mkdir(parents=True, exist_ok=True)
    opened = read(model)
    variants = (Variant("onnxruntime", EngineOptions(), opened),)
    declared = Preprocessing((TILE_SIDE, TILE_SIDE), channels=1, mean=(0.5,), std=(0.25,)).to_json()
    golden = record_golden(variants, [{"x": TILES.sample(seed)} for seed in range(4)], 4)
    content = BundleContent(
        TILES.name, "1", opened.digest, variants, golden, Contract("host-cpu"), preprocessing=declared,
        postprocessing={"output": "y"}, labels=TILE_CLASSES,
    )  # fmt: skip
    seal(content, place)
    return place


def image_request(photograph: bytes) -> Request:
    """A JPEG as the one BYTES element of the model's input."""
    raw = struct.pack("<I", len(photograph)) + photograph
    told = {"inputs": [{"name": "x", "shape": [1], "datatype": "BYTES",
                        "parameters": {"binary_data_size": len(raw)}}]}  # fmt: skip
    head = json.dumps(told).encode()
    return Request(f"/v2/models/{TILES.name}/infer", head + raw, {"Inference-Header-Content-Length": str(len(head))})


def inside(model: Path, place: Path, photos: Sequence[bytes], seconds: float) -> dict[str, dict[str, Any]]:
    """In this process: Pillow and a bare session beside ``Runtime.infer`` with the JPEG, in turns."""
    from PIL import Image

    from edgewright.runtime import Runtime

    session = open_model(model)

    def bare(photo: bytes) -> int:
        image = Image.open(io.BytesIO(photo)).convert("L").resize((TILE_SIDE, TILE_SIDE), Image.Resampling.BILINEAR)
        x = ((np.asarray(image, np.float32) / 255 - 0.5) / 0.25)[None, None]
        return int(session.run(None, {"x": x})[0].argmax())

    times: dict[str, list[float]] = {"bare": [], "edgewright": []}
    same = 0
    with Runtime(place) as runtime:

        def ours(photo: bytes) -> int:
            return int(runtime.infer({"x": photo})["y"].argmax())  # type: ignore[dict-item]

        for photo in photos:  # warms both up
            same += bare(photo) == ours(photo)
        end, number = time.perf_counter() + 2 * seconds, 0
        while time.perf_counter() < end:
            photo, number = photos[number % len(photos)], number + 1
            for name, call in (("bare", bare), ("edgewright", ours)):
                begin = time.perf_counter()
                call(photo)
                times[name].append(time.perf_counter() - begin)
    return {name: _row(np.array(found)) | {"same": same / len(photos)} for name, found in times.items()}


def _row(latency_s: Any, failed: int = 0, cpu_s: float = 0.0, asked: int = 0) -> dict[str, Any]:
    turn = {"asked": asked, "failed": failed, "elapsed_s": float(latency_s.sum()), "cpu_s": cpu_s}
    return pooled([turn], [latency_s])


def run(cpus: Sequence[int], seconds: float = 3.0) -> dict[str, Any]:
    """``rows`` by server; empty with a reason when there are no photographs."""
    photos = photographs()
    if not photos:
        return {"rows": [], "failure": "no shared/data/magnetic-tile beside the checkout"}
    model = onnxfiles.served(HERE / "work" / "models") / f"{TILES.name}.onnx"
    rows: list[dict[str, Any]] = []
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(cpus[:1]))
    try:
        place = bundle(model)
        for name, row in inside(model, place, photos, seconds).items():
            known = {"bare": "Pillow + session.run", "edgewright": "Edgewright"}[name]
            rows.append({"server": known, "lane": "in process", **row})
    except Exception as error:  # noqa: BLE001 - a checkout whose runtime takes no images has no such row, and says so
        rows.append({"server": "Edgewright", "lane": "in process", "failure": f"{type(error).__name__}: {error}"[:200]})
        place = WORK / "bundle" / TILES.name
    finally:
        os.sched_setaffinity(0, before)
    fastapi = next(one for one in SUBJECTS if one.name == "FastAPI")
    for subject, folder, make in (
        (EDGEWRIGHT, place.parent, image_request),
        (fastapi, model.parent, lambda photo: Request(f"/image/{TILES.name}", photo, {"Content-Type": "image/jpeg"})),
    ):
        row: dict[str, Any] = {"server": subject.name, "lane": "HTTP"}
        try:
            row |= _over_http(subject.name, subject.command, folder, [make(photo) for photo in photos], cpus, seconds)
        except (RuntimeError, OSError) as error:
            row["failure"] = str(error)[:200]
        rows.append(row)
    return {"rows": rows, "photographs": len(photos)}


def _over_http(
    name: str, command: Any, folder: Path, requests: Sequence[Request], cpus: Sequence[int], seconds: float
) -> dict[str, Any]:
    subject = next(one for one in SUBJECTS if one.name == name)
    address = Address(free_ports())
    server = Server(command(folder, address), HERE / "work" / "logs" / f"tiles-{name}.log", subject.variables)
    try:
        wait_ready(server, lambda: subject.listens(address))
        server.look()
        server.pin(cpus[:1])
        status, body = exchange(address.http, requests[0].raw())
        if status != 200:
            raise RuntimeError(f"status {status}: {body[:160].decode('utf-8', 'replace')}")
        target = Target(address.http, requests[0], more=tuple(requests[1:]))
        load.closed(target, 1, GET_READY_S, cpus[:1], 0.0)
        cpu = server.cpu_s()
        result = load.closed(target, 1, seconds, cpus[:1], 0.0)
        return _row(result.latency_s, result.failed, server.cpu_s() - cpu, result.asked)
    finally:
        server.close()


def main() -> int:
    print(json.dumps(run(sorted(os.sched_getaffinity(0))), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
