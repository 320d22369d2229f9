"""KServe's own inference clients (REST and gRPC), made against a server. Runs where ``kserve`` is installed.

    python kserve_clients.py http://127.0.0.1:8000 127.0.0.1:8001 MODEL...

Each MODEL answers with what it was asked. Exit status: 1 when a call failed.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

NOBODY = "edgewright-no-such-model"
DTYPES = {"FP32": "<f4", "FP64": "<f8", "FP16": "<f2", "INT64": "<i8", "UINT8": "u1", "BOOL": "?", "BYTES": object}
Step = tuple[str, Callable[[], Awaitable[object]]]


def drawn(told: dict[str, Any]) -> Any:
    """An input of two rows where its first size is open."""
    shape = [2 if size < 0 else size for size in told["shape"]]
    count = int(np.prod(shape))
    if told["datatype"] == "BYTES":
        return np.array([f"é{n}".encode() for n in range(count)], object).reshape(shape)
    return (np.arange(count) % 2).astype(DTYPES[told["datatype"]]).reshape(shape)


def request(metadata: dict[str, Any], binary: bool, back: bool, **named: Any) -> tuple[InferRequest, list[Any]]:
    inputs, arrays = [], []
    for told in metadata["inputs"]:
        array = drawn(told)
        one = InferInput(told["name"], list(array.shape), told["datatype"])
        one.set_data_from_numpy(array, binary_data=binary)
        inputs.append(one)
        arrays.append(array)
    parameters = {"binary_data_output": True} if back else None
    return InferRequest(metadata["name"], inputs, parameters=parameters, **named), arrays


def held(found: Any, metadata: dict[str, Any], arrays: list[Any], identity: str = "") -> None:
    assert found.model_name == metadata["name"], found.model_name
    assert not identity or found.id == identity, f"the id {identity!r} came back as {found.id!r}"
    by_name = {one.name: one for one in found.outputs}
    for told, array in zip(metadata["outputs"], arrays, strict=True):
        one = by_name[told["name"]]
        assert one.datatype == told["datatype"] and list(one.shape) == list(array.shape), (one.datatype, one.shape)
        got = one.as_numpy()
        got = np.array([v if isinstance(v, bytes) else v.encode() for v in got.ravel()], object).reshape(
            got.shape
        ) if got.dtype.kind in "OU" else got  # fmt: skip
        np.testing.assert_array_equal(got, array)


async def raises(call: Callable[[], Awaitable[object]]) -> None:
    try:
        await call()
    except httpx.HTTPStatusError as error:
        assert not str(error).startswith(","), f"it does not say why: {error}"
    except Exception as error:  # noqa: BLE001 - grpc.aio.AioRpcError, from whichever grpc KServe has
        assert error.details(), f"it does not say why: {error}"  # type: ignore[attr-defined]
    else:
        raise AssertionError("it is answered")


async def true(call: Awaitable[object]) -> None:
    assert await call is True


async def rest(url: str, models: list[dict[str, Any]]) -> AsyncIterator[Step]:
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0, timeout=10))

    async def ask(model: dict[str, Any], binary: bool, back: bool, **named: Any) -> None:
        asked, arrays = request(model, binary, back, **named)
        held(await client.infer(url, asked, model_name=model["name"]), model, arrays, named.get("request_id", ""))

    async def nobody() -> None:
        assert not await client.is_model_ready(url, NOBODY)

    yield "is_server_live", lambda: true(client.is_server_live(url))
    yield "is_server_ready", lambda: true(client.is_server_ready(url))
    yield "is_model_ready, nobody", nobody
    yield "infer, nobody", lambda: raises(lambda: client.infer(url, {"inputs": []}, model_name=NOBODY))
    yield "infer, nothing", lambda: raises(lambda: client.infer(url, {"inputs": []}, model_name=models[0]["name"]))
    for model in models:
        name = model["name"]
        outputs = [RequestedOutput(one["name"]) for one in model["outputs"]]
        half = "FP16" in [one["datatype"] for one in model["inputs"]]
        yield f"is_model_ready {name}", lambda name=name: true(client.is_model_ready(url, name))
        if not half:  # it sends none in JSON
            yield f"infer {name}, JSON", lambda model=model: ask(model, False, False, request_id="7")
            yield f"infer {name}, outputs", lambda model=model, o=outputs: ask(model, False, False, request_outputs=o)
        yield f"infer {name}, binary", lambda model=model: ask(model, True, True, request_id="7")
    await client.close()


async def rpc(address: str, models: list[dict[str, Any]]) -> AsyncIterator[Step]:
    client = InferenceGRPCClient(address, timeout=10, retries=0)

    async def ask(model: dict[str, Any], binary: bool, **named: Any) -> None:
        asked, arrays = request(model, binary, False, **named)
        held(await client.infer(asked), model, arrays, named.get("request_id", ""))

    async def nobody() -> None:
        assert not await client.is_model_ready(NOBODY)

    yield "is_server_live", lambda: true(client.is_server_live())
    yield "is_server_ready", lambda: true(client.is_server_ready())
    yield "is_model_ready, nobody", nobody
    yield "infer, nobody", lambda: raises(lambda: client.infer(InferRequest(NOBODY, [])))
    for model in models:
        name = model["name"]
        outputs = [RequestedOutput(one["name"]) for one in model["outputs"]]
        yield f"is_model_ready {name}", lambda name=name: true(client.is_model_ready(name))
        if "FP16" not in [one["datatype"] for one in model["inputs"]]:
            yield f"infer {name}, typed", lambda model=model: ask(model, False, request_id="7")
        yield f"infer {name}, raw", lambda model=model: ask(model, True, request_id="7")
        yield f"infer {name}, outputs", lambda model=model, o=outputs: ask(model, True, request_outputs=o)
    await client.close()


async def run(url: str, address: str, names: list[str]) -> int:
    models = [httpx.get(f"{url}/v2/models/{name}").json() for name in names]
    failed = 0
    for what, steps in (("REST", rest(url, models)), ("gRPC", rpc(address, models))):
        passed = count = 0
        async for step, call in steps:
            count += 1
            try:
                await call()
            except Exception as error:  # noqa: BLE001 - the clients raise what they like; the other calls still run
                print(f"  failed       {what}: {step}: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
            else:
                passed += 1
        failed += count - passed
        print(f"kserve {what}: {passed} of {count} calls")
    return 1 if failed else 0


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # the clients tell every refusal at length
    sys.exit(asyncio.run(run(sys.argv[1], sys.argv[2], sys.argv[3:])))
