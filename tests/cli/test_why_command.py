"""``edgewright why``: what a server says of itself, for people and for programs."""

import http.server
import json
import threading

import numpy as np
import pytest

from edgewright.cli import main
from edgewright.runtime.addresses import Address
from edgewright.runtime.client import Client, Unanswered
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.server import Server, serving
from edgewright.testing.tiny import seal_tiny, tiny_model

LONG = 60.0
X = {"image": np.zeros((1, 3, 12, 12), np.float32)}


@pytest.fixture
def server(tmp_path):
    """A bundle, a plain file that was asked, one that is broken, and one whose new files were refused."""
    models = tmp_path / "models"
    seal_tiny(models / "tiny")
    for name in ("plain", "kept"):
        (models / f"{name}.onnx").write_bytes(tiny_model().data)
    (models / "broken.onnx").write_bytes(b"no model")
    made = Server(Settings(models, watch_s=0), [Address(port=0), Address(path=tmp_path / "sock")])
    thread = serving(made)
    with Client(tmp_path / "sock") as client:
        for _ in range(3):
            client.infer(X, "plain")
        with pytest.raises(Unanswered):
            client.infer({"image": np.zeros((2, 2), np.float32)}, "plain")
        with pytest.raises(Unanswered):
            client.infer(X, "nobody")
    (models / "kept.onnx").write_bytes(b"cut short")
    over = threading.Event()
    made.loader.load("kept", lambda error: over.set())
    assert over.wait(LONG)
    yield str(made.addresses[0]), str(made.addresses[1]), made
    made.stop()
    thread.join(LONG)


@pytest.fixture
def say(capsys):
    def run(*words):
        assert main(["why", *words]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        return said.out

    return run


def paragraphs(text):
    """By title, each one's own lines as one."""
    found, title = {}, ""
    for line in text.splitlines():
        if line and not line.startswith(" "):
            title = line
            found[title] = ""
        elif line:
            found[title] += f" {' '.join(line.split())}"
    return found


def test_every_model_has_its_paragraph_and_the_server_one(say, server):
    text = say(server[0])
    assert all(len(line) <= 100 and line == line.rstrip() for line in text.splitlines())
    found = paragraphs(text)
    names = [title.split()[0] for title in found]
    assert all(title.endswith(" since it was loaded") for title in found if "sha256" in title)
    assert names == ["kept", "plain", "tiny", "broken", "server"]
    digest = server[2].repository.find("plain").source.digest
    (plain,) = [told for title, told in found.items() if title.startswith(f"plain 1 (sha256 {digest[:12]}), ")]
    assert plain.startswith(" 1 of 4 requests was refused, failed or late (25%), because they did not fit the model")
    assert "requests 4 answered 3 75% refused, bad request 1 25%" in plain
    assert "a request on average share 99% within longest" in plain and "the model's run" in plain
    assert plain.endswith("Runs: too few for a trend; by onnxruntime's CPUExecutionProvider with 1 thread.")
    assert "Nobody has asked in the last " in found[next(title for title in found if title.startswith("tiny"))]
    kept = found[next(title for title in found if title.startswith("kept"))]
    assert "Index: new files were refused" in kept
    assert found["broken 1"].startswith(" It does not answer: ") and "ONNX" in found["broken 1"]
    assert " core" in found["server"] and "Reloads: 1 refused" in found["server"]
    assert "Requests that reached no model, since the start: 1 (not_found)." in found["server"]


def test_one_model_or_one_version_may_be_named(say, server):
    for name in ("plain", "plain:1"):
        assert [title.split()[0] for title in paragraphs(say(server[1], name))] == ["plain", "server"]
    assert [title.split()[0] for title in paragraphs(say(server[1], "broken"))] == ["broken", "server"]


def test_json_is_for_programs(say, server):
    told = json.loads(say(server[0], "--json"))
    by_name = {one["model"]: one for one in told["models"]}
    assert by_name["plain"]["requests"]["answered"] == 3 and by_name["tiny"]["requests"]["asked"] == 0
    assert [one["name"] for one in told["not_ready"]] == ["broken"] and told["server"]["strays"] == {"not_found": 1}
    assert json.loads(say(server[0], "plain", "--json"))["models"][0]["version"] == "1"


def test_who_names_what_is_not_there_is_told_what_is(server, capsys):
    assert main(["why", server[0], "other"]) == 2
    assert "no model is named 'other' there; there are: broken, kept, plain, tiny" in capsys.readouterr().err
    assert main(["why", server[0], "plain:7"]) == 2
    assert main(["why", "ftp://nowhere"]) == 2


class Another(http.server.BaseHTTPRequestHandler):
    """A server of the protocol that is not ours."""

    def do_POST(self):
        self.reply([{"name": "m", "version": "1", "state": "READY"}])

    def do_GET(self):
        self.reply({"model_stats": [{"name": "m", "version": "1"}]})

    def reply(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *told):
        pass


def test_a_server_that_does_not_say_why_is_told_from_ours(capsys):
    other = http.server.HTTPServer(("127.0.0.1", 0), Another)
    thread = threading.Thread(target=other.serve_forever, daemon=True)
    thread.start()
    try:
        assert main(["why", f"http://127.0.0.1:{other.server_port}"]) == 1
        assert "does not say why: it is no Edgewright, or an older one" in capsys.readouterr().err
    finally:
        other.shutdown()
        thread.join(LONG)
        other.server_close()
