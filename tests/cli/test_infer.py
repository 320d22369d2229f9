"""``edgewright infer``: files to a served model, its answer to people, over every way in, and whatever goes wrong."""

import datetime
import http.server
import io
import ipaddress
import json
import socket
import ssl
import threading
from typing import ClassVar

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image

from edgewright.cli import main
from edgewright.runtime import Runtime
from edgewright.runtime.addresses import Address
from edgewright.runtime.client import Client
from edgewright.runtime.config import Config, ModelTable
from edgewright.runtime.failsafe import Safe
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.server import Server, serving
from edgewright.testing.build import Build
from edgewright.testing.tiny import TINY_PREPROCESSING, seal_tiny, tiny_model

LONG = 60.0
OUT = tiny_model().signature.outputs[0].name


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A bundle that takes images, and the same model as a plain file."""
    folder = tmp_path_factory.mktemp("models")
    seal_tiny(folder / "tiny")
    (folder / "plain.onnx").write_bytes(tiny_model().data)
    return folder


@pytest.fixture(scope="module")
def server(models, tmp_path_factory):
    place = tmp_path_factory.mktemp("s") / "edge.sock"
    made = Server(Settings(models), [Address(port=0), Address(path=place)])
    thread = serving(made)
    yield [str(address) for address in made.addresses]
    made.stop()
    thread.join(LONG)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same picture and a second one, in every form, and files that are of no use."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(5)
    for name in ("photo.jpg", "photo.png", "other.bmp"):
        Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8)).save(folder / name)
    tensor = TINY_PREPROCESSING.apply((folder / "photo.jpg").read_bytes())
    np.save(folder / "one.npy", tensor)
    np.save(folder / "batch.npy", np.stack([tensor] * 12))
    np.save(folder / "wide.npy", tensor.astype(np.float64))
    np.savez(folder / "named.npz", image=tensor[None], labels=np.zeros(1))
    (folder / "value.json").write_text(json.dumps(tensor.tolist()))
    (folder / "named.json").write_text(json.dumps({"image": tensor[None].tolist()}))
    request = {"name": "image", "datatype": "FP32", "shape": [1, 3, 12, 12], "data": tensor.ravel().tolist()}
    (folder / "request.json").write_text(json.dumps({"inputs": [request]}))
    np.save(folder / "pixels.npy", np.zeros((3, 12, 12), np.uint8))
    np.save(folder / "text.npy", np.array(["a"]))
    np.save(folder / "flat.npy", np.zeros((1, 7), np.float32))
    np.savez(folder / "others.npz", x=tensor)
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("no image")
    (folder / "cut.jpg").write_bytes((folder / "photo.jpg").read_bytes()[:150])
    (folder / "cut.npy").write_bytes((folder / "one.npy").read_bytes()[:150])
    (folder / "cut.json").write_text('{"image": [')
    (folder / "ragged.json").write_text("[[1, 2], [3]]")
    (folder / "odd.json").write_text('{"inputs": [{"name": "image"}]}')
    return folder


@pytest.fixture
def say(capsys):
    def run(*words):
        assert main(["infer", *map(str, words)]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        return said.out

    return run


def expected(models, files):
    with Runtime(models / "tiny") as runtime:
        return runtime.infer({"image": (files / "photo.jpg").read_bytes()})


def classes(text):
    return [line.split()[:2] for line in text.splitlines()[1:]]


def test_every_way_in_gives_the_same_classes(say, server, models, files):
    want = expected(models, files)
    best = [[str(i), name] for i, name in zip(want["top_indices"][0], want["top_labels"][0], strict=True)]
    for place in (*server, models / "tiny", models):
        assert classes(say(place, "tiny", files / "photo.jpg")) == best, place
    for name in ("one.npy", "wide.npy", "named.npz", "value.json", "named.json", "request.json"):
        assert classes(say(server[0], "tiny", files / name)) == best, name
    assert classes(say(models / "tiny", "-", files / "photo.jpg")) == best
    version = json.loads(say(server[0], "tiny", files / "photo.jpg", "--json"))["answers"][0]["version"]
    urgent = say(server[1], f"tiny:{version}", files / "photo.jpg", "--deadline-ms", "60000", "--priority", 1)
    assert classes(urgent) == best


def test_json_tells_all_of_it_for_each_file(say, server, models, files):
    want = expected(models, files)
    told = json.loads(say(server[0], "tiny", files / "photo.jpg", files / "one.npy", "--json"))
    photo, tensor = told["answers"]
    assert told["model"] == "tiny" and photo["file"].endswith("photo.jpg") and photo["ms"] > 0
    assert photo["outputs"][OUT] == {"datatype": "FP32", "shape": [1, 5], "data": want[OUT].ravel().tolist()}
    assert photo["outputs"]["top_labels"]["data"] == want["top_labels"].ravel().tolist()
    assert photo["classes"] == tensor["classes"] and set(tensor["outputs"]) == {OUT}
    assert [one["label"] for one in photo["classes"][0]] == want["top_labels"][0].tolist()


def test_how_many_classes_are_told(say, server, models, files):
    assert len(classes(say(server[0], "tiny", files / "photo.jpg"))) == 3, "as declared"
    for place in (server[0], models):
        for model in ("tiny", "plain"):
            assert len(classes(say(place, model, files / "one.npy", "--top", 5))) == 5
    ranked = json.loads(say(server[0], "plain", files / "one.npy", "--top", 2, "--json"))["answers"][0]["classes"][0]
    scores = expected(models, files)[OUT][0]
    assert [one["index"] for one in ranked] == np.argsort(-scores)[:2].tolist()
    assert [one["label"] for one in ranked] == [str(one["index"]) for one in ranked], "a plain model has no names"


@pytest.mark.parametrize("shape", [[3], [1, 3], [2, 3], [1, 3, 1], [1], []])
def test_the_best_of_vectors_and_of_each_sample_and_of_a_number_nothing(say, fails, tmp_path, shape):
    """The same from a server that ranks and from one that does not."""
    values = np.array([0.25, 0.75, 0.5] * 2, np.float32)[: int(np.prod(shape))].reshape(shape)
    build = Build()
    build.output(build.node("Add", build.input("x", []), build.constant(values)), shape)
    (tmp_path / "m.onnx").write_bytes(build.model().data)
    np.save(tmp_path / "x.npy", np.float32(0))
    made = Server(Settings(tmp_path / "m.onnx"), [Address(port=0)])
    thread = serving(made)
    try:
        for place in (made.addresses[0], tmp_path / "m.onnx"):
            asked = (place, "m", tmp_path / "x.npy", "--top", 2)
            if not shape:
                status, said = fails("infer", *asked)
                assert status == 2 and "and the model answers none" in said
                continue
            told = json.loads(say(*asked, "--json"))["answers"][0]["classes"]
            best = [(1, 0.75), (2, 0.5)] if values.size > 1 else [(0, 0.25)]
            assert [[(one["index"], one["score"]) for one in row] for row in told] == [best] * (
                2 if shape[0] == 2 else 1
            )
    finally:
        made.stop()
        thread.join(LONG)


def test_a_model_without_classes_shows_its_tensors_and_large_batches_are_cut(say, server, files):
    out = say(server[0], "plain", files / "one.npy")
    assert f"  {OUT}  FP32 [1, 5]  [[" in out
    out = say(server[0], "tiny", files / "batch.npy")
    assert out.count("  sample ") == 10 and "and 2 samples more" in out


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["HTTP", "nobody", "one.npy"], 2, "404 Not Found: no model is named 'nobody'; there are: plain, tiny"),
        (["HTTP", "tiny:9", "one.npy"], 2, "no version '9'"),
        (["HTTP", "-", "one.npy"], 2, "name the model; there are: plain, tiny"),
        (["HTTP", "plain", "photo.jpg"], 2, "the model takes tensors only: image FP32"),
        (["HTTP", "tiny", "empty.jpg"], 2, "is empty"),
        (["HTTP", "tiny", "text.jpg"], 2, "is no JPEG, PNG or BMP image"),
        (["HTTP", "tiny", "cut.jpg"], 2, "400 Bad Request: input 'image' is truncated"),
        (["HTTP", "tiny", "nowhere.jpg"], 2, "cannot read"),
        (["HTTP", "tiny", "."], 2, "is not a regular file"),
        (["HTTP", "tiny", "flat.npy"], 2, "must have shape"),
        (["HTTP", "tiny", "cut.npy"], 2, "no whole .npy"),
        (["HTTP", "tiny", "text.npy"], 2, "and the model takes FP32"),
        (["HTTP", "tiny", "pixels.npy"], 2, "holds pixels (uint8)"),
        (["HTTP", "tiny", "others.npz"], 2, "has no 'image'; the model takes image"),
        (["HTTP", "tiny", "cut.json"], 2, "no JSON that can be read"),
        (["HTTP", "tiny", "ragged.json"], 2, "neither inputs by name"),
        (["HTTP", "tiny", "odd.json"], 2, "neither inputs by name"),
        (["HTTP", "tiny", "one.npy", "--deadline-ms", "0"], 1, " answers 50"),
        (["HTTP", "tiny", "one.npy", "--deadline-ms", "-1"], 2, "--deadline-ms must be 0 or more"),
        (["HTTP", "tiny", "one.npy", "--deadline-ms", "nan"], 2, "--deadline-ms must be 0 or more"),
        (["HTTP", "tiny", "one.npy", "--top", "0"], 2, "--top must be 1 or more"),
        (["HTTP", "tiny", "one.npy", "--priority", "0"], 2, "--priority must be 1 or more"),
        (["HTTP", "tiny", "one.npy", "--token-file", "nowhere"], 2, "cannot read"),
        (["HTTP", "tiny", "one.npy", "--token-file", "photo.jpg"], 2, "holds no token"),
        (["http://192.0.2.1:9", "tiny", "one.npy", "--token-file", "token"], 2, "would travel readable"),
        (["FREE", "tiny", "one.npy"], 1, "is a server running there?"),
        (["unix:nowhere.sock", "tiny", "one.npy"], 1, "cannot be asked: No such file"),
        (["http://", "tiny", "one.npy"], 2, "is no server's URL"),
        (["http://h:99999999", "tiny", "one.npy"], 2, "is no URL"),
        (["http://u@h", "tiny", "one.npy"], 2, "is no server's URL"),
        (["https://127.0.0.1:1", "tiny", "one.npy", "--ca", "one.npy"], 2, "holds no certificates"),
        (["https://127.0.0.1:1", "tiny", "one.npy", "--ca", "nowhere"], 2, "holds no certificates"),
        (["127.0.0.1:8000", "tiny", "one.npy"], 2, "written as http://127.0.0.1:8000"),
        (["MODELS", "nobody", "one.npy"], 2, "no model is named 'nobody'"),
        (["MODELS", "tiny", "flat.npy"], 2, "must have shape"),
        (["MODELS", "tiny", "cut.jpg"], 2, "input 'image' is truncated"),
        (["MODELS", "tiny", "one.npy", "--deadline-ms", "0"], 1, "it has 0.001 ms"),
        (["MODELS", "tiny", "one.npy", "--token-file", "token"], 2, "is no URL"),
        (["photo.jpg", "tiny", "one.npy"], 2, "is neither a bundle nor a model"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_goes_wrong_says_so_in_one_line(fails, server, models, files, monkeypatch, words, status, says):
    monkeypatch.chdir(files)
    (files / "token").write_text("secret\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound, and nobody listens
        stands = {"HTTP": server[0], "MODELS": models, "FREE": f"http://127.0.0.1:{free.getsockname()[1]}"}
        found, said = fails("infer", *[stands.get(word, word) for word in words])
    assert found == status and says in said, said


class Other(http.server.BaseHTTPRequestHandler):
    """A server of somebody else's: no extensions, JSON alone, and answers as each test wants them."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[list] = []
    answers: ClassVar[dict] = {}

    def do_GET(self):
        self.respond(b"")

    def do_POST(self):
        self.respond(self.rfile.read(int(self.headers["Content-Length"])))

    def respond(self, body):
        self.seen.append((self.path, dict(self.headers), body))
        status, headers, answer = self.answers.get(self.path, (404, {}, b'{"error": "nothing here"}'))
        self.send_response(status)
        for name, value in {**headers, "Content-Length": len(answer)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def told(value):
    return 200, {}, json.dumps(value).encode()


META = {
    "name": "m", "inputs": [{"name": "x", "datatype": "INT64", "shape": [-1, 2]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
}  # fmt: skip
Y = {"name": "y", "datatype": "FP32", "shape": [1, 2], "data": [0.25, 0.75]}
LONG_TEXT = {"name": "y", "datatype": "BYTES", "shape": [10**9]}


@pytest.fixture
def other(monkeypatch):
    """A real server in a thread; what it answers, and where."""
    monkeypatch.setattr(Other, "seen", [])
    monkeypatch.setattr(Other, "answers", {
        "/v2": told({"name": "other", "extensions": []}), "/v2/models/m": told(META),
        "/v2/models/m/infer": told({"model_name": "m", "model_version": "3", "outputs": [Y]}),
    })  # fmt: skip
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join(LONG)
    made.server_close()


@pytest.fixture
def two(tmp_path):
    (tmp_path / "two.json").write_text("[1, 2]")
    return tmp_path / "two.json"


def test_a_server_without_extensions_gets_json(say, other, two, tmp_path):
    url = f"http://127.0.0.1:{other.server_port}/"
    (tmp_path / "token").write_text("secret\n")
    out = say(url, "m", two, "--token-file", tmp_path / "token", "--deadline-ms", 5, "--priority", 2)
    assert f"  y  FP32 [1, 2]  [[{0.25} {0.75}]]" in out
    path, headers, body = other.RequestHandlerClass.seen[-1]
    assert path == "/v2/models/m/infer" and headers["Authorization"] == "Bearer secret"
    assert json.loads(body) == {
        "inputs": [{"name": "x", "datatype": "INT64", "shape": [1, 2], "data": [1, 2]}],
        "parameters": {"timeout": 5000, "priority": 2},
    }
    assert [line.split() for line in say(url, "m", two, "--top", 1).splitlines()[1:]] == [["1", "1", "0.75"]]


def test_a_server_of_ours_without_pillow_is_told_apart(fails, other, files):
    spec = {"name": "image", "datatype": "FP32", "shape": [-1, 3, 12, 12]}
    more = {"parameters": {"preprocessing": TINY_PREPROCESSING.to_json(), "labels": []}}
    Other.answers["/v2/models/m"] = told({**META, "inputs": [spec], **more})
    status, said = fails("infer", f"http://127.0.0.1:{other.server_port}", "m", files / "photo.jpg")
    assert status == 2 and "install there what reads images: pip install 'edgewright[images]'" in said


def test_a_model_that_decodes_by_itself_gets_the_file(say, other, tmp_path):
    stream = io.BytesIO()
    Image.new("L", (4, 4)).save(stream, "PNG")
    (tmp_path / "a.png").write_bytes(stream.getvalue())
    spec = {"name": "raw", "datatype": "BYTES", "shape": [-1, 1]}
    Other.answers["/v2/models/m"] = told({**META, "inputs": [spec]})
    say(f"http://127.0.0.1:{other.server_port}", "m", tmp_path / "a.png")
    (sent,) = json.loads(Other.seen[-1][2])["inputs"]
    assert sent["shape"] == [1, 1] and sent["parameters"] == {"content_type": "base64"}
    Other.answers["/v2"] = told({"extensions": ["binary_tensor_data"]})
    say(f"http://127.0.0.1:{other.server_port}", "m", tmp_path / "a.png")
    assert Other.seen[-1][2].endswith(len(stream.getvalue()).to_bytes(4, "little") + stream.getvalue())


@pytest.mark.parametrize(
    ("answer", "status", "says"),
    [
        ((200, {}, b"nonsense"), 1, "no answer of the protocol"),
        ((200, {}, b'{"outputs": 3}'), 1, "it has no outputs"),
        ((200, {}, b'{"outputs": [{}]}'), 1, "lacks its name"),
        (told({"outputs": [{**Y, "data": [1]}]}), 1, "no answer of the protocol"),
        (told({"outputs": [{**Y, "data": 1}]}), 1, "'data' is no list"),
        (told({"outputs": [{**Y, "datatype": "FP7"}]}), 1, "is no datatype"),
        (told({"outputs": [{**Y, "shape": [-1]}]}), 1, "lacks its name"),
        (told({"outputs": [{**Y, "shape": [2**40, 2**40]}]}), 1, "no answer of the protocol"),
        (told({"outputs": [{**Y, "data": None, "parameters": {"binary_data_size": 10**9}}]}), 1, "0 are left"),
        (told({"outputs": [{**LONG_TEXT, "parameters": {"binary_data_size": 0}}]}), 1, "fewer"),
        ((200, {"Inference-Header-Content-Length": "99"}, b"{}"), 1, "announces '99' bytes"),
        ((200, {"Inference-Header-Content-Length": "x"}, b"{}"), 1, "announces 'x' bytes"),
        ((500, {}, b'{"error": "it \\u001b[31mbroke"}'), 1, "500 Internal Server Error: it ?[31mbroke"),
        ((503, {}, b"<html>"), 1, "503 Service Unavailable"),
        ((400, {}, b'{"error": 3}'), 2, "400 Bad Request"),
        ((401, {}, b'{"error": "who are you?"}'), 2, "401 Unauthorized: who are you?; pass a token"),
        ((429, {}, b""), 1, "429 Too Many Requests"),
        ((302, {"Location": "http://192.0.2.1"}, b""), 1, "302 Found"),
    ],
    ids=range(18),
)  # fmt: skip
def test_whatever_a_server_answers_becomes_one_line(fails, other, two, answer, status, says):
    Other.answers["/v2/models/m/infer"] = answer
    found, said = fails("infer", f"http://127.0.0.1:{other.server_port}", "m", two)
    assert found == status and says in said, said


def test_metadata_that_are_none_and_ways_to_end_a_connection(fails, other, two):
    url = f"http://127.0.0.1:{other.server_port}"
    for answer in (told([]), told({}), told({"inputs": [{"name": 3}], "outputs": []}), (200, {}, b"\xff")):
        Other.answers["/v2/models/m"] = answer
        assert fails("infer", url, "m", two)[0] == 1
    with socket.create_server(("127.0.0.1", 0)) as mute:
        thread = threading.Thread(target=lambda: mute.accept()[0].close())
        thread.start()
        status, said = fails("infer", f"http://127.0.0.1:{mute.getsockname()[1]}", "m", two)
        thread.join(LONG)
    assert status == 1 and "cannot be asked" in said


def test_what_a_server_sends_does_not_reach_the_terminal_as_commands(say, other, two):
    evil = {"name": "y\x1b[2J", "datatype": "BYTES", "shape": [1], "data": ["\x1b]0;title\x07"]}
    Other.answers["/v2/models/m/infer"] = told({"outputs": [evil]})
    out = say(f"http://127.0.0.1:{other.server_port}", "m", two)
    assert all(c.isprintable() or c == "\n" for c in out) and "title" in out


def certificate(folder):
    """A certificate for 127.0.0.1 that vouches for itself, with its key, in two files."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "e")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256())
    )  # fmt: skip
    plain, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, plain, none))
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return folder / "ca.pem", folder / "key.pem"


def test_tls_with_an_authority_of_one_s_own(say, fails, other, two, tmp_path):
    ca, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca, key)
    other.socket = context.wrap_socket(other.socket, server_side=True)
    other.handle_error = lambda *_: None  # a client that hangs up is meant
    url = f"https://127.0.0.1:{other.server_port}"
    assert "0.75" in say(url, "m", two, "--ca", ca)
    status, said = fails("infer", url, "m", two)
    assert status == 1 and "is not trusted" in said and "--ca" in said


def test_https_where_the_server_speaks_http(fails, server, two):
    status, said = fails("infer", server[0].replace("http", "https"), "m", two)
    assert status == 1 and "does not answer in TLS" in said and "write http://" in said


def test_a_name_that_the_certificate_does_not_hold(fails, other, two, tmp_path):
    ca, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca, key)
    other.socket = context.wrap_socket(other.socket, server_side=True)
    other.handle_error = lambda *_: None
    status, said = fails("infer", f"https://localhost:{other.server_port}", "m", two, "--ca", ca)
    assert status == 1 and "write a name that it holds" in said and "--ca" not in said


def test_fail_safe_outputs_are_told_apart(models, files, tmp_path, capsys):
    place = tmp_path / "edge.sock"
    config = Config(models={"plain": ModelTable(fail_safe={OUT: [0.0] * tiny_model().signature.outputs[0].shape[-1]})})
    made = Server(Settings(models / "plain.onnx", config=config), [Address(port=0), Address(path=place)])
    thread = serving(made)
    try:
        asked = ["infer", str(made.addresses[0]), "plain", str(files / "one.npy")]
        for more, safe in ((["--deadline-ms", "0.001"], True), ([], False)):
            assert main([*asked, *more]) == 0
            assert ("FAIL-SAFE" in capsys.readouterr().out) is safe
            assert main([*asked, *more, "--json"]) == 0
            assert json.loads(capsys.readouterr().out)["answers"][0].get("fail_safe", False) is safe
        tensor = np.load(files / "one.npy")[None]
        with Client(place) as client:
            for deadline_ms, safe in ((0.001, True), (0.0, False)) * 2:
                found = client.infer({"image": tensor}, "plain", deadline_ms=deadline_ms)
                assert isinstance(found, Safe) is safe and found[OUT].any() != safe
    finally:
        made.stop()
        thread.join(LONG)
