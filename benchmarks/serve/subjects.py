"""Who is measured, how each is started, and what it is asked."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from serve.load import Target
from serve.onnxfiles import MLP, Kind
from serve.peers import environments
from serve.wire import (
    Array,
    Place,
    Request,
    exchange,
    exchange_frame,
    get,
    numbers,
    plain_binary,
    plain_json,
    v2_binary,
    v2_frame,
    v2_json,
)

PEERS = Path(__file__).resolve().parent / "peers"
SOURCE = PEERS.parents[2] / "src"


@dataclass(frozen=True)
class Address:
    """Where a server listens; ``sock``: the path of its Unix socket, if it has one."""

    port: int
    sock: str = ""

    @property
    def http(self) -> Place:
        return ("127.0.0.1", self.port)


Ask = Callable[[Kind, Array, Address, int], Target]
"""The target for a model, an input, an address and so many clients."""


@dataclass(frozen=True)
class Lane:
    """One way into a server. ``encoding``: JSON or binary, or JPEG for the tile. ``note``: what to know of the row."""

    name: str
    encoding: str
    ask: Ask
    checked: bool = True
    """Whether its replies hold the model's outputs (the echo's do not)."""


@dataclass(frozen=True)
class Subject:
    """One server. ``command`` makes its command line; ``missing`` lists the lanes it does not have, with the reason."""

    name: str
    command: Callable[[Path, Address], list[str | Path]]
    ready: str
    lanes: tuple[Lane, ...]
    peer: bool = True
    environment: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    quick: bool = True

    def listens(self, address: Address) -> bool:
        """Whether it says that it is ready. Raises OSError while it does not listen."""
        if self.ready:
            return get(address.http, self.ready)[0] == 200
        return exchange(("127.0.0.1", address.port + 1), Request("/", b"").raw())[0] == 200

    def answers(self, address: Address, kind: Kind = MLP) -> bool:
        """Whether it answers a request: some say that they are ready and know no model yet. Raises OSError."""
        if not self.listens(address):
            return False
        target = self.lanes[0].ask(kind, kind.sample(), address, 1)
        return exchange(target.place, target.request.raw())[0] == 200


def outputs_of(target: Target, count: int) -> Array:
    """What a target answers. Raises RuntimeError when it is no answer."""
    try:
        if target.frame:
            status, body = exchange_frame(target.place, target.frame)
        else:
            status, body = exchange(target.place, target.request.raw())
    except OSError as error:
        raise RuntimeError(f"no answer: {error}") from error
    if status != 200:
        raise RuntimeError(f"status {status}: {body[:120].decode('utf-8', 'replace')}")
    try:
        return numbers(body, count)
    except (ValueError, KeyError) as error:
        raise RuntimeError(f"its answer cannot be read: {error}") from error


def _peer(name: str) -> Callable[[Path, Address], list[str | Path]]:
    return lambda models, address: [
        environments.python_of(name), PEERS / f"{name}_app.py", models, str(address.port)
    ]  # fmt: skip


def _edgewright(models: Path, address: Address) -> list[str | Path]:
    command: list[str | Path] = [sys.executable, "-m", "edgewright.runtime", "--models-dir", models]
    return [*command, "--http", f"127.0.0.1:{address.port}", *(["--uds", address.sock] if address.sock else [])]


def _batching(models: Path, address: Address) -> list[str | Path]:
    told = models.parent / "batching.toml"
    told.write_text('[models."*"]\nmax_batch = 32\n')
    return [*_edgewright(models, address), "--config", told]


def _urgent(models: Path, address: Address) -> list[str | Path]:
    return ["nice", "-n", "-3", *_edgewright(models, address)]


def _over_http(make: Callable[[str, Array], Request]) -> Ask:
    return lambda kind, x, address, clients: Target(address.http, make(kind.name, x))


def _frames(kind: Kind, x: Array, address: Address, clients: int) -> Target:
    return Target(address.sock, v2_binary(kind.name, x), v2_frame(kind.name, x))


def _echo(kind: Kind, x: Array, address: Address, clients: int) -> Target:
    return Target(("127.0.0.1", address.port + (clients > 1)), plain_binary("/", x))


HAS_FRAMES = importlib.util.find_spec("edgewright.runtime.lanes.frames") is not None
EDGEWRIGHT = Subject(
    "Edgewright", _edgewright, "/v2/health/ready",
    (
        Lane("HTTP", "binary", _over_http(v2_binary)),
        Lane("HTTP", "JSON", _over_http(v2_json)),
        Lane("HTTP, Unix socket", "binary", lambda k, x, a, c: Target(a.sock, v2_binary(k.name, x))),
        *([Lane("frames, Unix socket", "binary", _frames)] if HAS_FRAMES else []),
    ),
    peer=False, variables={"PYTHONPATH": os.environ.get("PYTHONPATH", str(SOURCE))},
    missing={} if HAS_FRAMES else {"frames, Unix socket": "not in this checkout"},
)  # fmt: skip
BATCHING = Subject(
    "Edgewright, batches of 32", _batching, "/v2/health/ready",
    (Lane("HTTP", "binary", _over_http(v2_binary)), Lane("HTTP", "JSON", _over_http(v2_json))),
    peer=False, variables=EDGEWRIGHT.variables,
)  # fmt: skip
URGENT = Subject(
    "Edgewright, nice -3", _urgent, "/v2/health/ready",
    (Lane("HTTP", "binary", _over_http(v2_binary)),), peer=False, variables=EDGEWRIGHT.variables,
)  # fmt: skip
ECHO = Subject(
    "echo", lambda models, address: [sys.executable, PEERS / "echo.py", models, str(address.port)], "",
    (Lane("HTTP", "binary", _echo, checked=False),), peer=False,
)  # fmt: skip
SUBJECTS = (
    ECHO,
    EDGEWRIGHT,
    BATCHING,
    URGENT,
    Subject(
        "FastAPI", _peer("fastapi"), "/ready",
        (
            Lane("HTTP", "binary", _over_http(lambda name, x: plain_binary(f"/binary/{name}", x))),
            Lane("HTTP", "JSON", _over_http(lambda name, x: plain_json(f"/json/{name}", x))),
        ),
        environment="fastapi",
    ),
    Subject(
        "MLServer", _peer("mlserver"), "/v2/health/ready", (Lane("HTTP", "JSON", _over_http(v2_json)),),
        environment="mlserver", missing={"HTTP binary": "its REST side reads JSON alone"},
    ),
    Subject(
        "LitServe", _peer("litserve"), "/health",
        (Lane("HTTP", "JSON", _over_http(lambda name, x: plain_json(f"/{name}", x))),),
        environment="litserve", missing={"HTTP binary": "it takes JSON and forms, no raw body"},
    ),
    Subject(
        "BentoML", _peer("bentoml"), "/readyz",
        (Lane("HTTP", "JSON", _over_http(lambda name, x: plain_json("/infer", x, nested=True, name=name))),),
        environment="bentoml", missing={"HTTP binary": "raw tensors travel as uploaded files alone"},
    ),
    Subject(
        "PyTriton", _peer("pytriton"), "/v2/health/ready",
        (Lane("HTTP", "binary", _over_http(v2_binary)), Lane("HTTP", "JSON", _over_http(v2_json))),
        environment="pytriton",
    ),
)  # fmt: skip
