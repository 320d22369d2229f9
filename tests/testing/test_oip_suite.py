"""The conformance suite passes what conforms, and fails what does not: ours bent in one place, and servers that are no
servers."""

import http.server
import json
import re
import socket
import struct
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from edgewright.formats import save
from edgewright.runtime.addresses import Address
from edgewright.runtime.config import Config, ModelTable
from edgewright.runtime.lanes.tls import Certificate
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.oip.encodings import split
from edgewright.runtime.safety import Safety
from edgewright.runtime.server import Server, serving
from edgewright.runtime.tokens import Tokens, new_token
from edgewright.testing.build import Build
from edgewright.testing.certificates import make_certificate
from edgewright.testing.oip import CHECKS, conform
from edgewright.testing.oip.__main__ import main
from edgewright.testing.oip.case import Case
from edgewright.testing.oip.checks import memory
from edgewright.testing.oip.runner import run
from edgewright.testing.oip.wire import Target

LONG = 60.0
SIZES = b"Inference-Header-Content-Length"


def model(dtype="float32", inputs=1, shape=("n", 4)):
    build = Build()
    for number in range(inputs):
        x = build.input(f"x{number}", list(shape), dtype)
        build.output(build.node("Identity", x), list(shape), dtype=dtype)
    return build.model()


MODELS = {
    "one": model(), "two": model(inputs=2), "text": model("str"), "whole": model("int64", shape=("n",)),
    "half": model("float16"), "bytes": model("uint8", shape=(2, 3)), "scalar": model("float64", shape=()),
    "flags": model("bool", shape=(1, "n")),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("served")
    (place / "models").mkdir()
    for name, made in MODELS.items():
        save(made, place / "made" / name)
        (place / "made" / name / "model.onnx").rename(place / "models" / f"{name}.onnx")
    (place / "models" / "broken.onnx").write_bytes(b"no model")
    return place / "models"


class Bent:
    """Routes that say something else than they should: ``before`` bends a body, ``after`` a reply."""

    def __init__(self, routes, before=None, after=None):
        self._routes, self.before, self.after = routes, before, after

    def __call__(self, head, body, answer):
        def bent(reply):
            if self.after is not None:
                status, more, parts = split(reply)
                reply = self.after(head.target, status, more, b"".join(parts))
            answer(reply)

        if self.before is not None and head.target.endswith("/infer"):
            head, body = self.before(head, bytes(body))
        self._routes(head, body, bent)


@contextmanager
def server(folder, before=None, after=None):
    made = Server(Settings(Path(folder)), [Address(port=0)])
    bent = Bent(made._routes, before, after)
    made._routes.of = lambda peer: bent
    thread = serving(made)
    try:
        yield str(made.addresses[0]), bent
    finally:
        made.stop()
        thread.join(LONG)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def ours(folder):
    with server(folder) as (url, _):
        yield url


@pytest.fixture(scope="module")
def another(folder):
    """Where a server listens, and what bends it."""
    with server(folder) as (url, bent):
        yield url, bent


@pytest.mark.parametrize("name", sorted(MODELS))
def test_our_server_conforms(ours, name):
    results = conform(ours, name, extensions=["trace", "logging"], timeout_s=LONG)
    assert len(results) == len(CHECKS)
    assert {r.check.name: r.why for r in results if r.outcome == "failed"} == {}
    skipped = {r.check.name for r in results if r.outcome == "skipped"}
    assert len(skipped) < (25 if name == "half" else 12), skipped


def test_nothing_is_skipped_everywhere(ours):
    passed = set()
    for name in ("two", "text", "whole"):
        passed |= {r.check.name for r in conform(ours, name, extensions=["trace", "logging"], timeout_s=LONG)
                   if r.outcome == "passed"}  # fmt: skip
    passed |= {r.check.name for r in conform(ours, "one", timeout_s=LONG, only="binary.raw") if r.outcome == "passed"}
    assert set(CHECKS) == passed


def json_of(pattern, bend):
    """Bends the JSON of good replies whose path fits; what follows the JSON stays."""

    def after(target, status, more, body):
        if status != 200 or not re.search(pattern, target) or not body:
            return status, more, body
        size = re.search(SIZES + rb": (\d+)", more)
        end = int(size[1]) if size else len(body)
        told = json.dumps(bend(json.loads(body[:end]))).encode()
        return status, re.sub(SIZES + rb": \d+", SIZES + b": %d" % len(told), more), told + body[end:]

    return after


def reply(pattern, status=None, body=None, among=range(200, 600)):
    """Bends the status or the body of replies whose path fits."""

    def after(target, found, more, raw):
        if found not in among or not re.search(pattern, target):
            return found, more, raw
        return status or found, more, raw if body is None else body

    return after


def request(bend):
    """Bends the JSON of requests that hold nothing else."""

    def before(head, body):
        try:
            told = bend(json.loads(body))
        except (ValueError, TypeError, KeyError, AttributeError):
            return head, body
        return head, json.dumps(told).encode()

    return before


def drop(*keys):
    return lambda told: {key: value for key, value in told.items() if key not in keys}


def outputs(bend):
    return lambda told: told | {"outputs": [bend(one) for one in told["outputs"]]}


def inputs(bend):
    return lambda told: told | {"inputs": [bend(one) for one in told["inputs"]]}


def swapped(target, status, more, body):
    size = re.search(SIZES + rb": (\d+)", more)
    if size is None:
        return status, more, body
    end = int(size[1])
    return status, more, body[:end] + np.frombuffer(body[end:], "<f4").byteswap().tobytes()


def unlabelled(target, status, more, body):
    return status, re.sub(SIZES + rb": \d+\r\n", b"", more), body


def gone(told):
    previous, gone.id = getattr(gone, "id", "x"), told.get("id")
    return told | {"id": previous}


def first_rows(told):
    return told | {"outputs": [{**one, "shape": [1, *one["shape"][1:]]} for one in told["outputs"]]}


def backwards(entry):
    data = entry["data"]
    if isinstance(data[0], list) and len({len(row) for row in data}) > 1:
        data = np.hstack(data)[::-1].tolist()
    return entry | {"data": data}


def worst_first(one):
    return one | ({"data": one["data"][::-1]} if one["datatype"] == "BYTES" else {})


INFER = "/infer$"
BENT = {
    "not live": ({"after": reply("/health/live", 503)}, ["health.live", "faults.deep"]),
    "ready, and not": ({"after": json_of("/health/ready", lambda told: {"ready": False})}, ["health.ready"]),
    "no name": ({"after": json_of("/v2$", drop("name"))}, ["server.metadata"]),
    "extensions in a text": ({"after": json_of("/v2$", lambda t: t | {"extensions": "all"})}, ["server.metadata"]),
    "everything ready": ({"after": reply("/ready$", 200)}, ["model.unknown"]),
    "open sizes as null": ({"after": json_of("/models/one$", lambda told: told | {"inputs": [
        {"name": "x0", "datatype": "FP32", "shape": [None, 4]}]})}, ["model.metadata"]),
    "no platform": ({"after": json_of("/models/one$", drop("platform"))}, ["model.metadata"]),
    "versions that are not there": ({"after": json_of("/models/one$", lambda told: told | {"versions": ["1", "5"]})},
                                    ["model.versions"]),
    "faults are fine": ({"after": reply("", 200, among=range(400, 600))},
                        ["model.unknown", "paths.unknown", "paths.verbs", "faults.cut", "faults.data-longer",
                         "faults.name-unknown", "binary.size-larger", "compression.unknown", "http.length-short",
                         "memory.names", "memory.beyond", "schedule.wrong", "trace.settings", "logging.settings",
                         "repository.unknown", "classification.wrong", "errors.object", "repository.unload"]),
    "faults are the server's": ({"after": reply("", 500, among=range(400, 500))}, ["errors.status"]),
    "faults without JSON": ({"after": reply("", body=b"no", among=range(400, 600))}, ["errors.object"]),
    "faults with a detail": ({"after": reply("", body=b'{"detail": "no"}', among=range(400, 600))}, ["errors.object"]),
    "another verb is not found": ({"after": reply("", 404, among=[405])}, ["paths.verbs"]),
    "nobody told by whom": ({"after": json_of(INFER, drop("model_name"))}, ["infer"]),
    "no outputs": ({"after": json_of(INFER, lambda told: told | {"outputs": []})}, ["infer", "infer.outputs"]),
    "another datatype": ({"after": json_of(INFER, outputs(lambda one: one | {"datatype": "FP64"}))}, ["infer"]),
    "another rank": ({"after": json_of(INFER, outputs(lambda one: one | {"shape": [1, *one["shape"]]}))}, ["infer"]),
    "an element too few": ({"after": json_of(INFER, outputs(lambda one: one | {"data": one["data"][1:]}))}, ["infer"]),
    "numbers as text": ({"after": json_of(INFER, outputs(lambda one: one | {"data": [*map(str, one["data"])]}))},
                        ["infer"]),
    "no id": ({"after": json_of(INFER, drop("id"))}, ["infer.id", "http.pipelining", "infer.together"]),
    "the id before": ({"after": json_of(INFER, gone)}, ["infer.id", "infer.together", "http.pipelining"]),
    "one row of two": ({"after": json_of(INFER, first_rows)}, ["infer.rows"]),
    "outputs as it likes": ({"before": request(drop("outputs"))}, ["faults.output-unknown", "binary.json-binary"]),
    "parameters not known": ({"before": request(lambda told: {} if "parameters" in told else told)},
                             ["infer.parameters", "schedule.priority"]),
    "ragged is read backwards": ({"before": request(inputs(backwards))}, ["faults.data-ragged"]),
    "twice is fine": ({"before": request(lambda told: told | {"inputs": told["inputs"][:1]})}, ["faults.input-twice"]),
    "big-endian": ({"after": swapped}, ["binary.json-binary", "binary.all"]),
    "binary without its header": ({"after": unlabelled}, ["binary.json-binary", "binary.raw"]),
    "binary is forgotten where outputs are listed": (
        {"before": request(lambda told: drop("parameters" if "outputs" in told else "")(told))}, ["binary.all-listed"]),
    "bytes after the last": ({"after": lambda t, s, m, b: (s, m, b + b"\0" if SIZES in m else b)}, ["binary.all"]),
    "numbers that are none": ({"after": lambda t, s, m, b: (s, m, b.replace(b'"NaN"', b"NaN"))}, ["binary.not-finite"]),
    "packed, it says": ({"after": lambda t, s, m, b: (s, m + b"Content-Encoding: gzip\r\n", b)},
                        ["compression.gzip-reply", "compression.not-wanted"]),
    "statistics without a queue": ({"after": json_of("/stats$", lambda told: {"model_stats": [
        one | {"inference_stats": drop("queue")(one["inference_stats"])} for one in told["model_stats"]]})},
        ["statistics.fields"]),
    "statistics that stand still": ({"after": json_of("/stats$", lambda told: {"model_stats": [
        one | {"inference_stats": one["inference_stats"] | {"success": {"count": 3, "ns": 3}}}
        for one in told["model_stats"]]})}, ["statistics.count"]),
    "another configuration": ({"after": json_of("/config$", lambda told: told | {"input": []})}, ["configuration"]),
    "versions without a configuration": ({"after": reply("/versions/1/config$", 404)}, ["configuration"]),
    "versions without statistics": ({"after": json_of("/versions/1/stats$", lambda told: {"model_stats": []})},
                                    ["statistics.fields"]),
    "rows counted threefold": ({"after": json_of("/stats$", lambda told: {"model_stats": [
        one | {"inference_count": 3 * one["inference_count"]} for one in told["model_stats"]]})}, ["statistics.rows"]),
    "ready for ever": ({"after": reply("/models/one/ready$", 200)}, ["repository.unload"]),
    "the worst classes first": ({"after": json_of(INFER, outputs(worst_first))}, ["classification.top"]),
    "no classes": ({"before": request(outputs(lambda one: one | {"parameters": {}}))}, ["classification.top"]),
    "an index of all": ({"after": json_of("/index$", lambda told: [*told, {"name": "b", "state": "UNAVAILABLE"}])},
                        ["repository.index"]),
    "settings that are not kept": ({"after": json_of("/v2/logging$", drop("log_info"))}, ["logging.settings"]),
    "settings of the text's example": ({"after": json_of("/v2/logging$", lambda told: {
        {"log_error": "log_errors"}.get(key, key): value for key, value in told.items()})}, ["logging.settings"]),
    "no settings of the model": ({"after": reply("/models/one/trace/setting$", 404)}, ["trace.settings"]),
    "replies that change their places": ({"after": lambda t, s, m, b: (s, m, b"{}" if t == "/v2" else b)},
                                         ["http.pipelining"]),
    "regions nobody lists": ({"after": json_of("memory/", lambda told: [])}, ["memory.status"]),
    "outputs elsewhere": ({"before": request(outputs(lambda one: one | {"parameters": {}}))}, ["memory.infer"]),
    "bodies for HEAD": ({"after": lambda t, s, m, b: (s, m + b"X: y\r\n\r\n{}", b)}, ["http.head"]),
    "more than it says": ({"after": lambda t, s, m, b: (s, m + b"X: y\r\n\r\nmore" * t.endswith("infer"), b)},
                          ["http.keep-alive"]),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(BENT))
def test_a_server_that_is_bent_in_one_place_fails_there(another, name):
    how, must_fail = BENT[name]
    url, bent = another
    bent.before, bent.after = how.get("before"), how.get("after")
    extensions = [check.group for check in CHECKS.values()]
    for check in must_fail:
        case = Case(Target.parse(url), "one", extensions, 3.0)
        (result,) = run(case, check)
        assert result.outcome == "failed" and result.why, f"{check} did not see it: {result}"
    if "repository.unload" in must_fail:  # on a busy machine the model is loaded again only after the check has ended
        bent.before = bent.after = None
        case = Case(Target.parse(url), "one", extensions, LONG)
        assert case.post("/v2/repository/models/one/load", {}).status == 200


@contextmanager
def listening(speak):
    """A server that is none: ``speak`` gets each connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def accept():
        while not over.is_set():
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock:
                if not over.is_set():
                    speak(sock)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        with socket.create_connection(listener.getsockname()):
            pass
        thread.join(LONG)
        listener.close()


def silent(sock):
    sock.settimeout(LONG)
    while sock.recv(65536):
        pass


def garbage(sock):
    sock.recv(65536)
    sock.sendall(b"I am no server\r\n\r\n")


def abrupt(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def endless(sock):
    sock.recv(65536)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n{}")


@pytest.mark.parametrize("speak", [silent, garbage, abrupt, endless])
@pytest.mark.parametrize("check", ["health.live", "server.metadata", "http.close", "faults.then-fine"])
def test_what_is_no_server_fails_and_does_not_hang(speak, check):
    with listening(speak) as url:
        (result,) = run(Case(Target.parse(url), "one", (), 0.2), check)
        assert result.outcome in ("failed", "skipped") and result.why
        assert result.outcome == "failed" or check == "faults.then-fine"


class Mortal(http.server.BaseHTTPRequestHandler):
    """Answers nothing, and ends its server, at ``deadly``."""

    deadly = ""

    def do_GET(self):
        if self.path == self.deadly:
            self.server.socket.close()
            threading.Thread(target=self.server.shutdown).start()
        else:
            self.send_response(200)
            self.end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def mortal(handler, port=0):
    with http.server.HTTPServer(("127.0.0.1", port), handler) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        try:
            yield made.server_port
        finally:
            made.shutdown()
            thread.join(LONG)


def test_what_ends_the_server_is_one_failure_and_the_rest_is_skipped_until_it_is_back():
    with mortal(type("Dies", (Mortal,), {"deadly": "/v2/health/live"})) as port:
        results = run(Case(Target.parse(f"http://127.0.0.1:{port}"), "one", (), 3.0), "[hs]e[ar]*")
        first, second = next(results), next(results)
    assert (first.check.name, first.outcome) == ("health.live", "failed") and first.why.startswith("nobody listens")
    assert (second.check.name, second.outcome) == ("health.ready", "skipped")
    assert second.why == "nobody listens any more since health.live"
    with mortal(Mortal, port):
        third = next(results)
    assert (third.check.name, third.outcome) == ("server.metadata", "failed") and "not JSON" in third.why


def test_no_memory_is_left_behind_when_the_server_is_gone(monkeypatch):
    made = []

    class Noted(memory.SharedMemory):
        def __init__(self, *given, **named):
            super().__init__(*given, **named)
            made.append(self.name)

    monkeypatch.setattr(memory, "SharedMemory", Noted)
    with listening(abrupt) as url:
        (result,) = run(Case(Target.parse(url), "one", ["system_shared_memory"], 3.0), "memory.status")
    assert result.outcome == "failed" and made and not Path("/dev/shm", made[0]).exists()


def test_a_server_that_closes_after_each_reply_does_not_keep_alive():
    with mortal(Mortal) as port:
        case, found = Case(Target.parse(f"http://127.0.0.1:{port}"), "one", (), 3.0), {}
        for name in ("health.live", "http.close", "http.head"):
            found |= {result.check.name: result.outcome for result in run(case, name)}
    assert found == {"health.live": "passed", "http.close": "passed", "http.head": "failed"}


def test_the_program_tells_by_its_exit_status(ours, folder, tmp_path, capsys):
    report = tmp_path / "report.json"
    assert main([ours, "--model", "one", "--only", "h[e]*", "--json", str(report)]) == 0
    told = json.loads(report.read_text())
    assert told["server"]["name"] == "edgewright" and {r["outcome"] for r in told["results"]} == {"passed"}
    assert "2 passed, 0 failed, 0 skipped" in capsys.readouterr().out
    assert main([ours, "--only", "model.ready"]) == 0, "the first of the index"
    with server(folder, after=reply("/health/live", 503)) as (url, _):
        assert main([url, "--model", "one", "--only", "health.*"]) == 1
        out = capsys.readouterr().out
        assert "FAIL  health.live" in out and "[OIP REST, Server Live]" in out
    for arguments in (
        ["ftp://x"],
        ["http://127.0.0.1:1"],
        [ours, "--only", "nonesuch"],
        [ours, "--inputs", "nowhere.npz"],
    ):
        assert main(arguments) == 2
        assert capsys.readouterr().err


@contextmanager
def serving_at(safety=None, config=None, folder=None):
    made = Server(Settings(folder, config=config or Config()), [Address(port=0, tls=bool(safety))], safety=safety)
    thread = serving(made)
    try:
        yield str(made.addresses[0])
    finally:
        made.stop()
        thread.join(LONG)
        assert not thread.is_alive()


def test_what_cannot_be_checked_is_one_sentence(ours, folder, tmp_path, capsys):
    chain, key = make_certificate(tmp_path)
    (tmp_path / "other").mkdir()
    other, _ = make_certificate(tmp_path / "other")
    token = new_token(tmp_path / "tokens")
    with serving_at(Safety(Certificate(chain, key), Tokens(tmp_path / "tokens")), folder=folder) as url:
        few = ["--model", "one", "--only", "health.*"]
        assert main([url, "--ca", str(chain), "--token", token, *few]) == 0
        capsys.readouterr()
        for arguments, says in (
            ([url, "--ca", str(other), "--token", token], "its certificate is not trusted"),
            ([url, "--ca", str(tmp_path / "tokens")], "holds no certificates"),
            ([url, "--ca", str(tmp_path / "none")], "No such file"),
            ([url], "answers 401 (a token is needed"),
            ([url, "--token", "wrong"], "answers 401 (this token is not known here"),
            (["http://127.0.0.1:1"], "nobody listens there"),
            (["http://127.0.0.1:1", "--ca", str(chain)], "are for https"),
            ([ours, "--model", "nonesuch"], "cannot check the model 'nonesuch': no model is named 'nonesuch'"),
        ):
            assert main([*arguments, "--model", "one"] if "--model" not in arguments else arguments) == 2
            out, err = capsys.readouterr()
            assert says in err and err.count("\n") == 1 and not out, err


def test_a_model_whose_versions_share_the_requests_is_told_once(tmp_path, capsys):
    for version in (1, 2):
        build = Build()
        build.output(build.node("Add", build.input("x", ["n", 4]), build.constant(np.float32(version))), ["n", 4])
        save(build.model(), tmp_path / "made")
        (tmp_path / "models" / "m").mkdir(parents=True, exist_ok=True)
        (tmp_path / "made" / "model.onnx").rename(tmp_path / "models" / "m" / f"{version}.onnx")
    config = Config(models={"m": ModelTable(split={"1": 50, "2": 50})})
    with serving_at(config=config, folder=tmp_path / "models") as url:
        assert main([url]) == 0, capsys.readouterr().out
        out = capsys.readouterr().out
    assert out.count("its answers differ between equal requests") == 1, out


def test_what_json_has_no_form_for_is_not_asked_of_who_takes_json_alone(ours):
    found = {result.check.name: result for result in run(Case(Target.parse(ours), "half", ()), "infer*")}
    assert {result.outcome for result in found.values()} == {"skipped"}
    assert "does not announce binary_tensor_data" in found["infer"].why


def test_inputs_may_be_given(ours, tmp_path):
    np.savez(tmp_path / "x.npz", x0=np.array([["hello", "é"] * 2]))
    assert main([ours, "--model", "text", "--inputs", str(tmp_path / "x.npz"), "--only", "[im]*"]) == 0
    np.savez(tmp_path / "x.npz", x0=np.ones((1, 5), np.float32))
    assert main([ours, "--model", "one", "--inputs", str(tmp_path / "x.npz"), "--only", "infer"]) == 1
