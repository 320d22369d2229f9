"""``serve --check``: what would be served, and all that is wrong, without serving anything."""

import hashlib
import json
import shutil
import socket
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from edgewright import bundles
from edgewright.bundles import BundleContent, Contract, Variant
from edgewright.core.session import EngineOptions
from edgewright.formats import save
from edgewright.runtime.addresses import Address
from edgewright.runtime.client import Client
from edgewright.runtime.handles import handles
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.server import Server, serving
from edgewright.runtime.serving import main
from edgewright.runtime.tokens import new_token
from edgewright.testing.build import Build
from edgewright.testing.certificates import make_certificate
from edgewright.trust import SigningKey

LONG = 60.0
X = {"x": np.ones((1, 4), np.float32)}


def times(factor):
    build = Build()
    build.output(build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(factor))), ["n", 4])
    return build.model()


@pytest.fixture
def folder(tmp_path):
    save(times(2), tmp_path / "made")
    (tmp_path / "models").mkdir()
    (tmp_path / "made" / "model.onnx").rename(tmp_path / "models" / "double.onnx")
    return tmp_path / "models"


@pytest.fixture
def seal(tmp_path, folder):
    """Seals a bundle that answers its golden calls, or does not; ``signer.pub`` is who sealed it."""
    key = SigningKey.generate()
    (tmp_path / "signer.pub").write_text(key.public.text())

    def make(name, factor=2):
        right = Variant("onnxruntime", EngineOptions(), times(2))
        variants = (replace(right, model=times(factor)),)
        golden = bundles.record_golden([right], [X], count=1)
        content = BundleContent(name, "1", right.model.digest, variants, golden=golden, contract=Contract("host"))
        bundles.seal(content, folder / name, key)

    return make


@pytest.fixture
def check(folder, capsys):
    """Runs it: the exit status, and what was found."""

    def run(*arguments, path=folder):
        status = main(["--models-dir", str(path), "--check", "--json", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert not err
        found = json.loads(out)
        assert found["ok"] is (status == 0) is (not found["problems"])
        return status, found

    return run


def test_all_is_well(check, seal, folder, tmp_path):
    pytest.importorskip("grpc")
    seal("sealed")
    make_certificate(tmp_path)
    new_token(tmp_path / "tokens", ["infer"])
    new_token(tmp_path / "tokens")
    (tmp_path / "runtime.toml").write_text(
        "[server]\nhttp = '0.0.0.0:0'\ngrpc = '0.0.0.0:0'\nuds = 's'\ncertificate = 'chain.pem'\nkey = 'key.pem'\n"
        "tokens = 'tokens'\n[models.double]\nmax_batch = 4\nsplit = {1 = 1, 2 = 1}\n"
    )
    status, found = check("--config", tmp_path / "runtime.toml", "--key", tmp_path / "signer.pub")
    assert status == 0, found
    assert found["listening"] == ["https://0.0.0.0:0", f"unix:{tmp_path / 's'}", "grpc://0.0.0.0:0"]
    assert found["certificate"] and found["tokens"] == {"infer": 2, "read": 1, "manage": 1}
    told = {model["name"]: model for model in found["models"]}
    assert told["double"]["max_batch"] == 4 and told["double"]["version"] == "1"
    assert told["sealed"]["engine"] == "onnxruntime" and told["sealed"]["provider"] == "CPUExecutionProvider"
    (warning,) = found["warnings"]
    assert warning == "[models.'double'] split names version 2, which is not there: the others answer its share"
    assert not (tmp_path / "s").exists(), "nothing is left"


def test_every_problem_is_told(check, seal, folder, tmp_path):
    seal("worse", factor=3)
    (folder / "cut.onnx").write_bytes((folder / "double.onnx").read_bytes()[:50])
    (folder / "odd").mkdir()
    (folder / "odd" / "manifest.json").write_text("{}")
    chain, key = make_certificate(tmp_path, minutes=-1)
    (tmp_path / "tokens").write_text("no hash\n")
    status, found = check(
        "--http", "192.0.2.1:0", "--insecure", "--uds", tmp_path / "none" / "s", "--tokens", tmp_path / "tokens",
        "--tls-certificate", chain, "--tls-key", key, "--key", tmp_path / "signer.pub", "--key", tmp_path / "none.pub",
    )  # fmt: skip
    assert status == 1
    for says in (
        "and so not now; renew it", "does not begin with a SHA-256", "cannot listen on 192.0.2.1:0",
        "No such file or directory", "none.pub", "cut: cut.onnx is not a whole ONNX file", "odd: ",
        "worse: it does not answer its golden calls on this machine",
    ):  # fmt: skip
        assert any(says in told for told in found["problems"]), (says, found)
    assert [model["name"] for model in found["models"]] == ["double"], "what is good is told, too"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--http", "0.0.0.0:0"], "needs TLS (--tls-certificate, --tls-key) and tokens (--tokens)"),
        (["--http", "nowhere"], "'nowhere' is no address"),
        (["--tls-key", "key.pem"], "belong together"),
        (["--config", "none.toml"], "cannot read none.toml"),
    ],
)
def test_one_problem_at_a_time(check, arguments, says):
    status, found = check(*arguments)
    assert status == 1 and says in found["problems"][0] and len(found["problems"]) == 1


def test_a_configuration_that_cannot_be_used_says_so_alone(check, tmp_path):
    for text, says in (("[models.m]\nsplit = {1 = -1}\n", "weight of 'm'"), ("[models.m]\nmax_bath = 1\n", "max_bath")):
        (tmp_path / "runtime.toml").write_text(text)
        status, found = check("--config", tmp_path / "runtime.toml")
        assert status == 1 and says in found["problems"][0] and not found["models"]
        assert "nothing else was looked at" in found["warnings"][0]


def test_a_model_that_nobody_would_answer_for_is_a_problem_and_told_once(check, folder, tmp_path):
    (tmp_path / "runtime.toml").write_text("[models.'*']\npriority = 1\n[models.duoble]\nmax_batch = 4\n[models.cut]\n")
    (folder / "cut.onnx").write_bytes(b"no model")
    status, found = check("--config", tmp_path / "runtime.toml")
    broken, unknown = found["problems"]
    assert status == 1 and broken.startswith("cut: ") and not found["warnings"]
    assert unknown == "[models.'duoble'] is about a model that is not there: requests for it are told so (404)"


def test_each_problem_of_a_configuration_is_one(check, tmp_path):
    (tmp_path / "runtime.toml").write_text("[server]\nhtp = 1\n[models.m]\nthreads = 0\n")
    status, found = check("--config", tmp_path / "runtime.toml")
    assert status == 1 and len(found["problems"]) == 2
    assert "'htp'" in found["problems"][0] and "threads must be more than 0" in found["problems"][1]


def test_models_that_stand_in_each_others_way(check, folder, tmp_path):
    (folder / "m").mkdir()
    for place in ("m/1.onnx", "m.onnx"):
        shutil.copy(folder / "double.onnx", folder / place)
    (tmp_path / "runtime.toml").write_text("[models.double]\nfail_safe = {nothing = [[1]]}\n")
    status, found = check("--config", tmp_path / "runtime.toml")
    assert status == 1 and len(found["problems"]) == 2
    assert "is served as m 1 already" in "".join(found["problems"]) and "double: " in "".join(found["problems"])
    (tmp_path / "runtime.toml").write_text("[server]\nmemory_mb = 0.000001\n")
    status, found = check("--config", tmp_path / "runtime.toml", path=folder / "double.onnx")
    assert status == 1 and "raise memory_mb or serve a smaller model" in found["problems"][0]
    status, found = check(path=tmp_path / "made")
    assert status == 1 and "holds no bundle and no model" in found["problems"][0]


def test_beside_the_server_that_is_to_be_replaced(check, folder, tmp_path):
    server = Server(Settings(folder), [Address(port=0), Address(path=tmp_path / "s")])
    thread = serving(server)
    try:
        status, found = check("--http", server.addresses[0].place, "--uds", tmp_path / "s")
        assert status == 0 and len(found["warnings"]) == 2
        assert all("where this server is to take the other's place" in told for told in found["warnings"])
        with Client(tmp_path / "s") as client:
            assert client.infer(X, "double") is not None, "it goes on"
    finally:
        server.stop()
        thread.join(LONG)


def test_in_words(folder, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main(["--models-dir", str(folder), "--check", "--http", address]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"listening http://{address}" and lines[-1] == "check     no problems, 1 warning"
    digest = hashlib.sha256((folder / "double.onnx").read_bytes()).hexdigest()[:12]
    assert lines[1] == f"model     double 1 (sha256 {digest}) on onnxruntime, CPUExecutionProvider"
    assert lines[2].startswith("warning   ")
    (folder / "double.onnx").write_bytes(b"no model")
    assert main(["--models-dir", str(folder), "--check", "--http", "127.0.0.1:0"]) == 1
    assert capsys.readouterr().out.endswith("check     1 problem\n")
    assert main(["--models-dir", str(folder), "--json"]) == 2
    assert "--json is about what --check finds" in capsys.readouterr().err


def test_as_a_command(folder):
    command = [sys.executable, "-m", "edgewright", "serve", str(folder), "--check", "--http", "127.0.0.1:0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG, check=False)
    assert done.returncode == 0 and done.stdout.endswith("check     no problems\n") and not done.stderr


def test_handles_are_raised_as_far_as_they_may():
    code = (
        "import resource\n"
        "from edgewright.runtime.handles import handles\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 1000))\n"
        "print(handles(500), resource.getrlimit(resource.RLIMIT_NOFILE))\n"
        "print(handles(5000), resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LONG, check=True)
    assert done.stdout.splitlines() == [
        " (756, 1000)",
        "5,000 connections need 5,256 open files, and 1,000 are allowed; raise that (LimitNOFILE, ulimit -n) "
        "(1000, 1000)",
    ]
    assert handles(1) == ""
