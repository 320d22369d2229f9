"""What tokens may do: the same over HTTP and gRPC; and the file they stand in."""

import http.client
import json
import subprocess
import sys

import numpy as np
import pytest

from edgewright.core.errors import InputError
from edgewright.formats import save
from edgewright.runtime.addresses import Address
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.safety import Safety
from edgewright.runtime.server import Server, serving
from edgewright.runtime.tokens import ROLES, Tokens, new_token
from edgewright.testing.build import Build

grpc = pytest.importorskip("grpc")
lanes = pytest.importorskip("edgewright.runtime.lanes.rpc.lane")
tritonclient = pytest.importorskip("tritonclient.grpc")
LONG = 60.0
X = np.arange(4, dtype=np.float32).reshape(1, 4)
INFER = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]})


def tensor():
    given = tritonclient.InferInput("x", [1, 4], "FP32")
    given.set_data_from_numpy(X)
    return [given]


ANY = set(ROLES)
ASKED = [
    ("GET", "/v2", None, "get_server_metadata", (), ANY),
    ("GET", "/v2/models/double", None, "get_model_metadata", ("double",), ANY),
    ("GET", "/v2/models/double/config", None, "get_model_config", ("double",), ANY),
    ("GET", "/v2/models/double/ready", None, "is_model_ready", ("double",), ANY),
    ("POST", "/v2/repository/index", "{}", "get_model_repository_index", (), ANY),
    ("GET", "/v2/trace/setting", None, "get_trace_settings", (), ANY),
    ("GET", "/v2/logging", None, "get_log_settings", (), ANY),
    ("POST", "/v2/models/double/infer", INFER, "infer", ("double", tensor()), {"infer"}),
    ("GET", "/v2/systemsharedmemory/status", None, "get_system_shared_memory_status", (), {"infer"}),
    ("GET", "/v2/models/double/stats", None, "get_inference_statistics", ("double",), {"read"}),
    ("GET", "/v2/models/stats", None, "get_inference_statistics", (), {"read"}),
    ("GET", "/metrics", None, None, (), {"read"}),
    ("POST", "/v2/repository/models/double/load", "{}", "load_model", ("double",), {"manage"}),
    ("POST", "/v2/repository/models/other/unload", "{}", "unload_model", ("other",), {"manage"}),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server with gRPC, and a token for each role."""
    folder = tmp_path_factory.mktemp("roles")
    for name in ("double", "other"):
        build = Build()
        build.output(build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(2))), ["n", 4])
        save(build.model(), folder / "made" / name)
        (folder / "models").mkdir(exist_ok=True)
        (folder / "made" / name / "model.onnx").rename(folder / "models" / f"{name}.onnx")
    tokens = {role: new_token(folder / "tokens", [role]) for role in ROLES}
    safety = Safety(tokens=Tokens(folder / "tokens"))
    where = Address(port=0, scheme="grpc")
    beside = [lambda service, budget: lanes.GrpcLane(service, where, budget, safety)]
    server = Server(Settings(folder / "models", watch_s=0.0), [Address(port=0)], safety, beside)
    thread = serving(server)
    yield server, tokens
    server.stop()
    thread.join(LONG)
    assert not thread.is_alive()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("method", "target", "body", "call", "arguments", "may"), ASKED)
def test_a_role_may_do_what_it_is_for_and_nothing_else(served, role, method, target, body, call, arguments, may):
    server, tokens = served
    told = {"Authorization": f"Bearer {tokens[role]}"}
    connection = http.client.HTTPConnection(server.addresses[0].host, server.addresses[0].port, timeout=LONG)
    for _ in range(2):  # the second time the head is known
        connection.request(method, target, body, told)
        answer = connection.getresponse()
        said = answer.read().decode()
        assert answer.status == (200 if role in may else 403), said
        if role not in may:
            (needed,) = may
            assert f'error="insufficient_scope", scope="{needed}"' in answer.headers["WWW-Authenticate"]
            assert f"--new-token FILE {needed}" in json.loads(said)["error"]
    connection.close()
    if call is None:
        return
    with tritonclient.InferenceServerClient(server.lanes[1].addresses[0].place) as client:
        ask = getattr(client, call)
        if role in may:
            try:
                assert ask(*arguments, headers={"authorization": told["Authorization"]}) is not False
            except tritonclient.InferenceServerException as error:
                assert "shared memory is not offered over gRPC" in error.message()
            return
        with pytest.raises(tritonclient.InferenceServerException) as caught:
            ask(*arguments, headers={"authorization": told["Authorization"]})
        assert caught.value.status() == "StatusCode.PERMISSION_DENIED"
        assert f"--new-token FILE {next(iter(may))}" in caught.value.message()


def test_a_token_may_have_several_roles_and_without_any_it_has_all(tmp_path):
    place = tmp_path / "tokens"
    two, every = new_token(place, ["infer", "read"]), new_token(place)
    place.write_text("# ours\n" + place.read_text() + "\n\n")
    tokens = Tokens(place)
    assert tokens.roles(two) == {"infer", "read"} and tokens.roles(every) == set(ROLES) and not tokens.roles("other")
    assert tokens.counts() == {"infer": 2, "read": 2, "manage": 1}


@pytest.mark.parametrize("text", ["everything", "infer, read", "INFER"])
def test_a_word_that_is_no_role_is_no_note_either(tmp_path, text):
    (tmp_path / "tokens").write_text(f"{'0' * 64} {text} # a note\n")
    with pytest.raises(InputError, match=r"line 1 .* is no role of a token; there are: infer, read, manage; a note be"):
        Tokens(tmp_path / "tokens")


def test_the_program_makes_them(tmp_path):
    command = [sys.executable, "-m", "edgewright", "serve", "--new-token", str(tmp_path / "tokens")]
    done = subprocess.run([*command, "infer", "read"], capture_output=True, text=True, timeout=LONG, check=True)
    assert Tokens(tmp_path / "tokens").roles(done.stdout.strip()) == {"infer", "read"}
    done = subprocess.run([*command, "all"], capture_output=True, text=True, timeout=LONG, check=False)
    assert done.returncode == 2 and "'all' is no role of a token" in done.stderr and not done.stdout
