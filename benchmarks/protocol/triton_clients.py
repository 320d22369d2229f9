"""Every call of Triton's own clients (HTTP, gRPC, and both for asyncio), made against a server.

    python benchmarks/protocol/triton_clients.py 127.0.0.1:8000 127.0.0.1:8001 MODEL

MODEL answers with what it was asked, FP32 of [-1, 4]. A call that the server refuses as unsupported is told apart from
one that fails. Exit status: 1 when a call failed.
"""

from __future__ import annotations

import asyncio
import inspect
import queue
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.grpc.aio as grpc_aio
import tritonclient.http as http
import tritonclient.http.aio as http_aio
from tritonclient.utils import InferenceServerException
from tritonclient.utils import shared_memory as shm

NOBODY, REGION = "edgewright-no-such-model", "edgewright-clients"
X = np.arange(8, dtype=np.float32).reshape(2, 4)
Step = tuple[str, Callable[[], object]]
MODULES = {"http": http, "grpc": grpc, "http.aio": http_aio, "grpc.aio": grpc_aio}


class Caller:
    """A client whose coroutines are run to their end."""

    def __init__(self, module: ModuleType, address: str, loop: asyncio.AbstractEventLoop) -> None:
        self.module, self.loop = module, loop
        self.grpc, self.aio = "grpc" in module.__name__, module.__name__.endswith("aio")
        self.client = self.done(self._open(address))

    async def _open(self, address: str) -> Any:
        return self.module.InferenceServerClient(address)

    def done(self, value: Any) -> Any:
        return self.loop.run_until_complete(value) if inspect.isawaitable(value) else value

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *given, **named: self.done(getattr(self.client, name)(*given, **named))

    def json(self, name: str, *given: Any) -> Any:
        """What the call tells, as JSON."""
        return getattr(self, name)(*given, **({"as_json": True} if self.grpc else {}))


def given(caller: Caller, binary: bool = True) -> Any:
    one = caller.module.InferInput("x0", list(X.shape), "FP32")
    return one.set_data_from_numpy(X) if caller.grpc else one.set_data_from_numpy(X, binary_data=binary)


def wanted(caller: Caller, name: str, **named: Any) -> Any:
    return caller.module.InferRequestedOutput(name, **named)


def same(caller: Caller, found: Any, name: str, identity: str = "") -> None:
    np.testing.assert_array_equal(found.as_numpy(name), X)
    reply = found.get_response()
    told = (reply.id if caller.grpc else reply.get("id", "")) or ""
    assert told == identity, f"the id {identity!r} came back as {told!r}"


def raises(call: Callable[[], object]) -> None:
    try:
        call()
    except InferenceServerException as error:
        assert str(error).strip() and error.status(), f"it says neither why nor with which status: {error!r}"
        return
    raise AssertionError("it is answered")


def told(c: Caller, model: str, output: str) -> Iterator[Step]:
    """What the server tells."""

    def has(call: str, *given: Any, **expected: Any) -> None:
        found = c.json(call, *given)
        odd = {key: found.get(key) for key, value in expected.items() if found.get(key) != value}
        assert not odd, f"it tells {odd}"

    def config() -> None:
        found = c.json("get_model_config", model)
        found = found["config"] if c.grpc else found
        assert (found["name"], found["input"][0]["data_type"]) == (model, "TYPE_FP32"), found

    def index() -> None:
        found = c.json("get_model_repository_index")
        found = found["models"] if c.grpc else found
        assert any(one["name"] == model and one["state"] == "READY" for one in found), found

    def statistics(*named: str) -> None:
        (one,) = [one for one in c.json("get_inference_statistics", *named)["model_stats"] if one["name"] == model]
        assert int(one["inference_stats"]["success"]["count"]) > 0, one
        assert int(one["last_inference"]) > 0, one

    yield "is_server_live", lambda: yes(c.is_server_live())
    yield "is_server_ready", lambda: yes(c.is_server_ready())
    yield "is_model_ready", lambda: yes(c.is_model_ready(model))
    yield "is_model_ready, version", lambda: yes(c.is_model_ready(model, "1"))
    yield "is_model_ready, nobody", lambda: yes(not c.is_model_ready(NOBODY))
    yield "get_server_metadata", lambda: yes(c.json("get_server_metadata")["extensions"])
    yield "get_model_metadata", lambda: has("get_model_metadata", model, name=model, versions=["1"])
    yield "get_model_metadata, version", lambda: has("get_model_metadata", model, "1", name=model)
    yield "get_model_metadata, nobody", lambda: raises(lambda: c.get_model_metadata(NOBODY))
    yield "get_model_config", config
    yield "get_model_repository_index", index
    yield "get_inference_statistics, all", lambda: statistics()
    yield "get_inference_statistics", lambda: statistics(model)
    yield "get_inference_statistics, version", lambda: statistics(model, "1")


def changed(c: Caller, model: str, output: str) -> Iterator[Step]:
    """What the server is told to do."""

    def unload() -> None:
        c.unload_model(model)
        while c.is_model_ready(model):
            pass
        c.load_model(model)
        yes(c.is_model_ready(model))

    def trace() -> None:
        found = settings("get_trace_settings")
        assert {"trace_level", "trace_rate", "trace_count", "log_frequency", "trace_file"} <= {*found}, found
        c.update_trace_settings(settings={"trace_level": ["OFF"]})
        c.update_trace_settings(model_name=model, settings={"trace_level": ["OFF"]})
        assert settings("get_trace_settings", model) == found, found

    def log() -> None:
        found = settings("get_log_settings")
        assert {"log_info", "log_warning", "log_error", "log_verbose_level", "log_format"} <= {*found}, found
        c.update_log_settings({"log_info": True, "log_verbose_level": 0})
        assert settings("get_log_settings") == found, found

    def settings(call: str, *given: Any) -> Any:
        found = c.json(call, *given)
        return found["settings"] if c.grpc else found

    yield "load_model", lambda: c.load_model(model)
    yield "load_model, nobody", lambda: raises(lambda: c.load_model(NOBODY))
    yield "unload_model, load_model", unload
    yield "update_trace_settings, get_trace_settings", trace
    yield "update_log_settings, get_log_settings", log


def memory(c: Caller, model: str, output: str) -> Iterator[Step]:
    """Shared memory."""

    def system() -> None:
        c.unregister_system_shared_memory(REGION)
        region = shm.create_shared_memory_region(REGION, f"/{REGION}", 2 * X.nbytes)
        try:
            shm.set_shared_memory_region(region, [X])
            c.register_system_shared_memory(REGION, f"/{REGION}", 2 * X.nbytes)
            found = c.json("get_system_shared_memory_status", REGION)
            assert REGION in str(found), found
            one, back = c.module.InferInput("x0", list(X.shape), "FP32"), wanted(c, output)
            one.set_shared_memory(REGION, X.nbytes)
            back.set_shared_memory(REGION, X.nbytes, offset=X.nbytes)
            reply = c.infer(model, [one], outputs=[back])
            shape = reply.get_output(output).shape if c.grpc else reply.get_output(output)["shape"]
            assert [*shape] == [*X.shape], shape
            laid = shm.get_contents_as_numpy(region, np.float32, X.shape, offset=X.nbytes)
            np.testing.assert_array_equal(laid, X)
            c.unregister_system_shared_memory(REGION)
            raises(lambda: c.infer(model, [one]))
        finally:
            shm.destroy_shared_memory_region(region)

    yield "system shared memory", system
    yield "unregister_system_shared_memory, all", lambda: c.unregister_system_shared_memory()
    yield "get_cuda_shared_memory_status", lambda: c.get_cuda_shared_memory_status()
    yield "unregister_cuda_shared_memory, all", lambda: c.unregister_cuda_shared_memory()


def inferred(c: Caller, model: str, output: str) -> Iterator[Step]:
    """Inference, in every way that they have in common."""

    def ask(identity: str = "", **named: Any) -> None:
        same(c, c.infer(model, [given(c)], request_id=identity, **named), output, identity)

    def classes() -> None:
        found = c.infer(model, [given(c)], outputs=[wanted(c, output, class_count=2)]).as_numpy(output)
        assert found.tolist() == [[b"3.000000:3", b"2.000000:2"], [b"7.000000:3", b"6.000000:2"]], found

    yield "infer", lambda: ask("7")
    yield "infer, version", lambda: ask(model_version="1")
    yield "infer, outputs", lambda: ask(outputs=[wanted(c, output)])
    yield "infer, priority and timeout", lambda: ask(priority=1, timeout=10_000_000)
    yield "infer, parameters", lambda: ask(parameters={"a": 1, "b": "c", "d": True, "e": 1.5})
    yield "infer, sequence", lambda: ask(sequence_id=3, sequence_start=True, sequence_end=True)
    yield "infer, headers", lambda: ask(headers={"x-edgewright": "a"})
    yield "infer, classes", classes
    yield "infer, nobody", lambda: raises(lambda: c.infer(NOBODY, [given(c)]))
    yield "infer, nothing", lambda: raises(lambda: c.infer(model, []))
    if not c.grpc:
        yield from packed(c, model, output)
    if not c.aio:
        yield from (streams if c.grpc else asynchronous)(c, model, output)
    if c.grpc and c.aio:
        yield "stream_infer", lambda: c.done(streamed(c, model, output))
    if c.grpc:
        yield "infer, client_timeout", lambda: ask(client_timeout=10)
        yield "infer, gzip", lambda: ask(compression_algorithm="gzip")


def packed(c: Caller, model: str, output: str) -> Iterator[Step]:
    """What HTTP alone has."""

    def ask(sent: bool, back: bool, **named: Any) -> None:
        outputs = [wanted(c, output, binary_data=back)]
        same(c, c.infer(model, [given(c, sent)], outputs=outputs, **named), output)

    def raw() -> None:
        body, length = http.InferenceServerClient.generate_request_body([given(c)])
        assert body and length
        reply = c.infer(model, [given(c)])
        assert reply.get_output(output)["datatype"] == "FP32"

    for sent in (True, False):
        for back in (True, False):
            kinds = ["binary" if binary else "JSON" for binary in (sent, back)]
            yield f"infer, {' to '.join(kinds)}", lambda sent=sent, back=back: ask(sent, back)
    for one in ("gzip", "deflate"):
        yield f"infer, {one} to server", lambda one=one: ask(True, True, request_compression_algorithm=one)
        yield f"infer, {one} from server", lambda one=one: ask(True, True, response_compression_algorithm=one)
    yield "infer, query", lambda: ask(True, True, query_params={"a": "b"})
    yield "generate_request_body", raw


def asynchronous(c: Caller, model: str, output: str) -> Iterator[Step]:
    """async_infer over HTTP."""

    def ask() -> None:
        for pending in [c.async_infer(model, [given(c)], request_id=str(n)) for n in range(4)]:
            np.testing.assert_array_equal(pending.get_result().as_numpy(output), X)

    yield "async_infer", ask


def streams(c: Caller, model: str, output: str) -> Iterator[Step]:
    """async_infer and streams over gRPC."""
    found: queue.Queue[tuple[Any, Any]] = queue.Queue()

    def back(result: Any, error: Any) -> None:
        found.put((result, error))

    def ask() -> None:
        for n in range(4):
            c.async_infer(model, [given(c)], back, request_id=str(n))
        for _ in range(4):
            good(*found.get(timeout=10))

    def good(result: Any, error: Any) -> str:
        assert error is None, error
        np.testing.assert_array_equal(result.as_numpy(output), X)
        return str(result.get_response().id)

    def stream() -> None:
        c.start_stream(back)
        try:
            for n in range(4):
                c.async_stream_infer(model, [given(c)], request_id=str(n))
            assert [good(*found.get(timeout=10)) for _ in range(4)] == ["0", "1", "2", "3"]
            c.async_stream_infer(NOBODY, [given(c)], request_id="5")
            result, error = found.get(timeout=10)
            assert result is None and isinstance(error, InferenceServerException), (result, error)
            c.async_stream_infer(model, [given(c)], request_id="6")
            assert good(*found.get(timeout=10)) == "6"
        finally:
            c.stop_stream()

    def empty() -> None:
        c.start_stream(back)
        try:
            c.async_stream_infer(model, [given(c)], enable_empty_final_response=True)
            result, error = found.get(timeout=10)
            good(result, error)
            assert result.get_response().parameters["triton_final_response"].bool_param, (
                "nothing says that it is the last"
            )
        finally:
            c.stop_stream()

    yield "async_infer", ask
    yield "async_stream_infer", stream
    yield "async_stream_infer, enable_empty_final_response", empty


async def streamed(c: Caller, model: str, output: str) -> None:
    async def requests() -> Any:
        for n in range(4):
            yield {"model_name": model, "inputs": [given(c)], "request_id": str(n)}

    seen = 0
    async for result, error in c.client.stream_infer(requests()):
        assert error is None, error
        same(c, result, output, str(seen))
        seen += 1
    assert seen == 4, f"{seen} of 4 answers came"


def yes(value: object) -> None:
    assert value, f"the answer is {value!r}"


def outcomes(name: str, address: str, model: str, output: str = "") -> Iterator[tuple[str, str, str]]:
    """Step, "ok", "unsupported" or "failed", and why."""
    loop = asyncio.new_event_loop()
    caller = Caller(MODULES[name], address, loop)
    try:
        output = output or caller.json("get_model_metadata", model)["outputs"][0]["name"]
        for part in (inferred, told, memory, changed):
            for step, call in part(caller, model, output):
                try:
                    call()
                except InferenceServerException as error:
                    unsupported = error.status() in ("501", "StatusCode.UNIMPLEMENTED")
                    yield step, "unsupported" if unsupported else "failed", str(error)
                except Exception as error:  # noqa: BLE001 - the clients raise what they like; the other calls still run
                    yield step, "failed", f"{type(error).__name__}: {error}"
                else:
                    yield step, "ok", ""
    finally:
        caller.close()
        loop.close()


def main(argv: list[str]) -> int:
    over = {"http": argv[0], "grpc": argv[1]}
    failed = 0
    for name in MODULES:
        found = [*outcomes(name, over[name.split(".")[0]], argv[2])]
        for step, outcome, why in found:
            if outcome != "ok":
                print(f"  {outcome:<11}  {name}: {step}: {' '.join(why.split())[:300]}")
        failed += sum(outcome == "failed" for _, outcome, _ in found)
        print(f"tritonclient.{name}: {sum(outcome == 'ok' for _, outcome, _ in found)} of {len(found)} calls")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
