"""Who may ask: TLS, tokens, names, pages in browsers; and what clients may take."""

import gzip
import http.client
import json
import os
import select
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest

from edgewright.core.errors import InputError
from edgewright.formats import save
from edgewright.runtime import logs
from edgewright.runtime.access import Access
from edgewright.runtime.addresses import Address
from edgewright.runtime.config import Config
from edgewright.runtime.lanes.http import BadHead, Head
from edgewright.runtime.lanes.limits import Limits
from edgewright.runtime.lanes.tls import Certificate
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.safety import Safety
from edgewright.runtime.server import Server, serving
from edgewright.runtime.tokens import Tokens, new_token
from edgewright.testing.build import Build
from edgewright.testing.certificates import make_certificate

LONG = 60.0
OPEN = []  # clients' connections, closed after each test
X = np.arange(8, dtype=np.float32).reshape(2, 4)


@pytest.fixture
def model(tmp_path):
    build = Build()
    build.output(build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(2))), ["n", 4])
    save(build.model(), tmp_path / "made")
    (tmp_path / "made" / "model.onnx").rename(tmp_path / "double.onnx")
    return tmp_path / "double.onnx"


@pytest.fixture
def started(model):
    running = []

    def start(safety=None, limits=None, tls=False):
        server = Server(Settings(model, config=Config(limits=limits or Limits())), [Address(port=0, tls=tls)], safety)
        running.append((server, serving(server)))
        return server

    yield start
    while OPEN:
        OPEN.pop().close()
    for server, thread in running:
        server.stop()
        thread.join(LONG)
        assert not thread.is_alive()


def connect(server, chain=None):
    address = server.addresses[0]
    if chain is None:
        OPEN.append(http.client.HTTPConnection(address.host, address.port, timeout=LONG))
    else:
        context = ssl.create_default_context(cafile=chain)
        OPEN.append(http.client.HTTPSConnection(address.host, address.port, timeout=LONG, context=context))
    return OPEN[-1]


def ask(connection, method, target, body=None, headers=None):
    connection.request(method, target, body, headers or {})
    answer = connection.getresponse()
    return answer.status, answer.read(), answer


def infer(rows=2):
    data = [1.5] * (4 * rows)
    return json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [rows, 4], "data": data}]})


TARGET = "/v2/models/double/infer"


def test_requests_small_and_large_over_tls(started, tmp_path):
    chain, key = make_certificate(tmp_path)
    server = started(Safety(Certificate(chain, key)), tls=True)
    connection = connect(server, chain)
    for rows in (1, 3, 40000, 2):
        status, raw, _ = ask(connection, "POST", TARGET, infer(rows))
        assert status == 200 and json.loads(raw)["outputs"][0]["data"] == [3.0] * (4 * rows)
    assert connection.sock.version() in ("TLSv1.2", "TLSv1.3")
    connection.close()


def test_many_at_once_over_tls(started, tmp_path):
    chain, key = make_certificate(tmp_path)
    server, wrong = started(Safety(Certificate(chain, key)), tls=True), []

    def client(rows):
        connection = connect(server, chain)
        for _ in range(10):
            status, raw, _ = ask(connection, "POST", TARGET, infer(rows))
            if status != 200 or len(json.loads(raw)["outputs"][0]["data"]) != 4 * rows:
                wrong.append(raw)
        connection.close()

    threads = [threading.Thread(target=client, args=(1 + 500 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert not wrong


def test_plain_words_old_versions_and_silence_do_not_get_through_tls(started, tmp_path):
    chain, key = make_certificate(tmp_path)
    server = started(Safety(Certificate(chain, key)), Limits(handshake_s=0.01), tls=True)
    place = (server.addresses[0].host, server.addresses[0].port)
    with socket.create_connection(place, LONG) as sock:
        sock.sendall(b"GET /v2 HTTP/1.1\r\n\r\n")
        told = ends(sock)
        assert told.startswith(b"HTTP/1.1 400 ") and b"this port speaks https" in told and b"edgewright" not in told
    plain = http.client.HTTPConnection(*place, timeout=LONG)
    OPEN.append(plain)
    status, raw, answer = ask(plain, "POST", "/v2/models/double/infer", b"0" * 1_000_000)
    assert status == 400 and "https://" in json.loads(raw)["error"] and answer.headers["Connection"] == "close"
    with socket.create_connection(place, LONG) as sock:
        sock.sendall(b"\x00\x01 no word")
        assert not ends(sock).startswith(b"HTTP")
    with socket.create_connection(place, LONG) as sock:
        assert ends(sock) == b"", "whoever does not shake hands is sent away"
    old = ssl.create_default_context(cafile=chain)
    old.set_ciphers("AES128-SHA")  # no forward secrecy
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(place, LONG) as sock, pytest.raises(ssl.SSLError):
        old.wrap_socket(sock, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLError):  # of another: the client does not trust it
        (tmp_path / "other").mkdir()
        ask(connect(server, make_certificate(tmp_path / "other")[0]), "GET", "/v2")


def test_a_key_of_another_certificate_is_told_so(tmp_path):
    chain, _ = make_certificate(tmp_path)
    (tmp_path / "other").mkdir()
    _, key = make_certificate(tmp_path / "other")
    with pytest.raises(InputError, match=r"other/key.pem is not the key of the certificate in .*chain.pem"):
        Certificate(chain, key)


@pytest.mark.parametrize(("mode", "said"), [(0o600, ""), (0o400, ""), (0o640, "(mode 640)"), (0o604, "(mode 604)")])
def test_a_key_that_others_may_read_is_warned_of(tmp_path, caplog, mode, said):
    chain, key = make_certificate(tmp_path)
    key.chmod(mode)
    Certificate(chain, key)
    assert said in caplog.text and bool(said) is bool(caplog.records)
    assert not said or "run: chmod 600" in caplog.text


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_why_a_handshake_failed_is_counted(started, tmp_path, version):
    server = started(Safety(Certificate(*make_certificate(tmp_path))), tls=True)
    place = (server.addresses[0].host, server.addresses[0].port)
    strict = ssl.create_default_context()  # it does not know who vouches for the certificate
    strict.minimum_version = strict.maximum_version = version
    with socket.create_connection(place, LONG) as sock, pytest.raises(ssl.SSLCertVerificationError):
        strict.wrap_socket(sock, server_hostname="127.0.0.1")
    with socket.create_connection(place, LONG) as sock:
        sock.sendall(b"\x16\x03")
        sock.shutdown(socket.SHUT_WR)
        ends(sock)
    with socket.create_connection(place, LONG) as sock:
        sock.sendall(b"\x00\x01 no word")
        ends(sock)
    wanted = {"certificate refused by the client": 1, "gone before TLS began": 1, "no TLS in common": 1}
    assert ask(connect(server, tmp_path / "chain.pem"), "GET", "/v2")[0] == 200  # by now it has seen the others
    assert dict(server._watch.rejected()) == wanted


def test_sighup_says_what_is_read_again_and_what_is_not(started, tmp_path, caplog):
    server, seen = started(), threading.Event()
    caplog.set_level("INFO", logs.LOG.name)
    server.refresh()
    server._loop.call(seen.set)
    assert seen.wait(LONG)
    assert "options and runtime.toml are not: they need a restart" in caplog.text


def test_a_token_file_that_is_gone_or_empty_is_an_error_in_the_log(tmp_path, caplog):
    caplog.set_level("INFO", logs.LOG.name)
    place = tmp_path / "tokens"
    new_token(place)
    safety = Safety(tokens=Tokens(place))
    place.unlink()
    assert safety.refresh()
    assert caplog.records[-1].levelname == "ERROR" and "is gone: nobody is let in" in caplog.text
    place.touch(0o600)
    assert safety.refresh() and "holds no token: nobody" in caplog.text
    new_token(place)
    assert safety.refresh() and caplog.records[-1].levelname == "INFO"


def test_a_certificate_is_replaced_without_closing_anything(started, tmp_path):
    chain, key = make_certificate(tmp_path)
    certificate = Certificate(chain, key)
    server = started(Safety(certificate), tls=True)
    before = connect(server, chain)
    assert ask(before, "GET", "/v2")[0] == 200
    make_certificate(tmp_path, "two")
    certificate.reload()
    assert ask(connect(server, chain), "GET", "/v2")[0] == 200 and ask(before, "GET", "/v2")[0] == 200
    chain.write_text("no certificate")
    with pytest.raises(InputError, match="PEM"):
        certificate.reload()
    assert ask(before, "GET", "/v2")[0] == 200


def test_a_token_is_needed_and_a_revoked_one_stops_working(started, tmp_path):
    place = tmp_path / "tokens"
    first, second = new_token(place), new_token(place)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600 and first not in place.read_text()
    tokens = Tokens(place)
    server = started(Safety(tokens=tokens))
    for target in ("/v2/health/live", "/v2/health/ready"):
        assert ask(connect(server), "GET", target)[0] == 200
    for target in ("/v2", "/metrics", "/v2/health/live/../x", "/v2/models/double"):
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {first}"},
            {"Authorization": first},
        ):
            status, raw, answer = ask(connect(server), "GET", target, headers=headers)
            assert status == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer")
            told = json.loads(raw)["error"]
            if headers.get("Authorization") == "Bearer wrong":
                assert "this token is not known here" in told and "invalid_token" in answer.headers["WWW-Authenticate"]
            else:
                assert "a token is needed" in told and "invalid_token" not in answer.headers["WWW-Authenticate"]
    held = connect(server)
    told = {"Authorization": f"Bearer {first}"}
    for _ in range(3):
        assert ask(held, "POST", TARGET, infer(), told)[0] == 200
    place.write_text("".join(place.read_text().splitlines(True)[1:]))  # first is revoked
    server.refresh()
    done = threading.Event()
    server._loop.call(done.set)
    assert done.wait(LONG)
    assert ask(held, "POST", TARGET, infer(), told)[0] == 401, "also on a connection that was let in before"
    assert ask(connect(server), "POST", TARGET, infer(), {"Authorization": f"bearer {second}"})[0] == 200


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        ("", 0o600, "no token"),
        ("abc", 0o600, "line 1"),
        ("0" * 64 + "\n", 0o622, "others may write"),
        (None, 0, "cannot read"),
    ],
)
def test_token_files_that_cannot_be_used(tmp_path, text, mode, says):
    place = tmp_path / "tokens"
    if text is not None:
        place.write_text(text)
        place.chmod(mode)
    with pytest.raises(InputError, match=says):
        Tokens(place)


def test_a_token_file_that_breaks_keeps_the_last_tokens_and_one_that_is_gone_lets_nobody_in(tmp_path):
    place = tmp_path / "tokens"
    token = new_token(place)
    tokens = Tokens(place)
    assert tokens.roles(token) and not tokens.refresh()
    place.write_text("half a li")
    with pytest.raises(InputError):
        tokens.refresh()
    assert tokens.roles(token) and not tokens.refresh(), "said once"
    place.unlink()
    assert tokens.refresh() and not tokens.roles(token)


HERE, ANY = "127.0.0.1", ""


@pytest.mark.parametrize(
    ("here", "headers", "status"),
    [
        (HERE, {"host": "127.0.0.1:8000"}, 200),
        (HERE, {"host": "localhost:8000"}, 200),
        (HERE, {"host": "[::1]:8000"}, 200),
        (HERE, {}, 200),
        (HERE, {"host": "edge.example"}, 200),
        (HERE, {"host": "evil.example:8000"}, 421),
        (HERE, {"host": "127.0.0.1.evil.example"}, 421),
        (HERE, {"host": "192.168.0.1"}, 421),
        (HERE, {"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:8000"}, 200),
        (HERE, {"host": "127.0.0.1:8000", "origin": "https://app.example"}, 200),
        (HERE, {"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:9"}, 403),
        (HERE, {"host": "127.0.0.1:8000", "origin": "http://evil.example"}, 403),
        (HERE, {"host": "127.0.0.1:8000", "origin": "null"}, 403),
        (HERE, {"host": "127.0.0.1:8000", "origin": "http://["}, 403),
        (HERE, {"origin": "null"}, 403),
        (ANY, {"host": "anything"}, 421),
        (ANY, {"host": "edge.example:80"}, 200),
    ],
)
def test_names_and_pages(here, headers, status):
    access = Access(None, here, ["edge.example"], ["https://app.example"])
    head = Head("POST", "/v2", headers, 0, True)
    if status == 200:
        access.check(head)
    else:
        with pytest.raises(BadHead) as caught:
            access.check(head)
        assert caught.value.status == status


def test_a_page_in_a_browser_cannot_ask(started):
    server = started()
    headers = {"Content-Type": "text/plain", "Origin": "http://evil.example"}
    assert ask(connect(server), "POST", TARGET, infer(), headers)[0] == 403
    assert ask(connect(server), "POST", TARGET, infer(), {"Host": "evil.example"})[0] == 421
    assert ask(connect(server), "POST", TARGET, infer())[0] == 200


def talk(server, data):
    """A socket on which ``data`` was sent."""
    sock = socket.create_connection((server.addresses[0].host, server.addresses[0].port), LONG)
    sock.sendall(data)
    return sock


def ends(sock):
    """All that comes until the server closes."""
    found = b""
    try:
        while piece := sock.recv(65536):
            found += piece
    except ConnectionResetError:
        found += b"(reset)"
    return found


UNFINISHED = [
    (b"GET /v2 HT", "its head has no end"),
    (b"POST /v2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nab", "9 bytes of body were announced, 2 came"),
    (b"POST /v2 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "its last chunk is missing"),
]


@pytest.mark.parametrize(("begun", "says"), UNFINISHED)
def test_a_request_that_does_not_come_whole_is_told_so(started, begun, says):
    server = started(limits=Limits(request_s=0.01, idle_s=0.01))
    with talk(server, begun) as sock:
        said = ends(sock)
        assert said.startswith(b"HTTP/1.1 408 ") and says.encode() in said
    with talk(server, b"") as sock:
        assert ends(sock) == b"", "there is nothing to say to who said nothing"
    with talk(started(), begun) as sock:
        sock.shutdown(socket.SHUT_WR)
        said = ends(sock)
        assert said.startswith(b"HTTP/1.1 400 ") and says.encode() in said


def test_a_client_that_never_reads_holds_little_and_not_for_long(started):
    server = started(limits=Limits(reply_s=0.01, buffered_bytes=8 << 20))
    body = infer(20000).encode()
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (TARGET.encode(), len(body))
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(LONG)
        sock.connect((server.addresses[0].host, server.addresses[0].port))
        with pytest.raises(OSError):  # closed while it still sends: reset, or a broken pipe
            for _ in range(1000):
                sock.sendall(head + body)
    assert ask(connect(server), "GET", "/v2/health/live")[0] == 200


def test_all_connections_together_hold_no_more_than_allowed(started):
    server = started(limits=Limits(buffered_bytes=1 << 20))
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n" % TARGET.encode()
    one = talk(server, head + b"1" * 800000)
    with one, talk(server, head + b"1" * 800000) as two:
        (refused,) = select.select([one, two], [], [], LONG)[0]
        assert b" 503 " in (said := ends(refused)) and b"all connections together" in said
        assert ask(connect(server), "GET", "/v2/health/live")[0] == 200


def test_what_was_compressed_is_given_back_however_it_ends(started):
    server = started()
    for body, status in ((infer(3000), 200), (infer(3000)[:-1], 400), (infer().replace("[2, 4]", "[4, 2]"), 400)):
        packed = gzip.compress(body.encode())
        assert ask(connect(server), "POST", TARGET, packed, {"Content-Encoding": "gzip"})[0] == status
    assert server._routes.inference._packed.held == 0


def test_a_refused_request_that_is_still_being_sent_gets_its_answer(started):
    server = started(limits=Limits(body_bytes=1000))
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n" % TARGET.encode()
    with talk(server, head) as sock:
        sock.sendall(b"1" * 5_000_000)
        sock.shutdown(socket.SHUT_WR)
        assert b" 413 " in ends(sock)


def test_handles_run_out_and_the_server_lives(model):
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "from edgewright.runtime.serving import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", code, "--models-dir", str(model), "--http", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        line = ""
        while " listening " not in line:
            line = child.stderr.readline()
            assert line
        port = int(line.rpartition(":")[2])
        held = [socket.create_connection(("127.0.0.1", port), LONG) for _ in range(80)]
        away = [sock for sock in held[-8:] if ends(sock) in (b"", b"(reset)")]
        assert len(away) == 8, "those for whom there is no handle are sent away"
        for sock in held:
            sock.close()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)
        while True:  # until it has seen that the others are gone
            try:
                assert ask(connection, "GET", "/v2/health/live")[0] == 200
                break
            except OSError:
                connection.close()
        connection.close()
        child.send_signal(signal.SIGTERM)
        assert child.wait(LONG) == 0


def run(*arguments):
    command = [sys.executable, "-m", "edgewright.runtime", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LONG, check=False)


def test_beyond_this_machine_both_are_needed(model, tmp_path):
    chain, key = make_certificate(tmp_path)
    done = run("--new-token", tmp_path / "tokens")
    assert done.returncode == 0 and done.stdout.startswith("ew_") and not done.stderr
    far = ("--models-dir", model, "--http", "0.0.0.0:0")
    tls, tokens = ("--tls-certificate", chain, "--tls-key", key), ("--tokens", tmp_path / "tokens")
    for given, says in ((tls, "needs tokens"), (tokens, "needs TLS"), ((*tls[:2], *tokens), "belong together")):
        done = run(*far, *given)
        assert done.returncode == 2 and says in done.stderr
    command = [sys.executable, "-m", "edgewright.runtime", *map(str, (*far, *tls, *tokens)), "--log-format", "json"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        told = {}
        while told.get("event") != "listening":
            told = json.loads(child.stderr.readline())
        assert told["level"] == "info" and told["time"].endswith("Z") and told["address"].startswith("https://0.0.0.0:")
        os.kill(child.pid, signal.SIGHUP)
        while told["event"] != "tls":
            told = json.loads(child.stderr.readline())
        child.send_signal(signal.SIGTERM)
        assert [json.loads(line)["event"] for line in child.stderr] == ["shutdown"] and child.wait(LONG) == 0


def test_grpc_speaks_tls_and_asks_for_the_same_tokens(model, tmp_path):
    rpc = pytest.importorskip("tritonclient.grpc")
    chain, _ = make_certificate(tmp_path)
    token = new_token(tmp_path / "tokens")
    (tmp_path / "runtime.toml").write_text(
        "[server]\nhttp = '127.0.0.1:0'\ngrpc = '127.0.0.1:0'\ncertificate = 'chain.pem'\nkey = 'key.pem'\n"
        "tokens = 'tokens'\n"
    )
    command = [sys.executable, "-m", "edgewright.runtime", "--models-dir", model, "--config", tmp_path / "runtime.toml"]
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True) as child:
        line = ""
        while "grpc://" not in line:
            line = child.stderr.readline()
            assert line
        place = line.split("grpc://")[1].strip()
        client = rpc.InferenceServerClient(place, ssl=True, root_certificates=str(chain))
        told = {"authorization": f"Bearer {token}"}
        assert client.is_server_live() and client.is_model_ready("double", headers=told)
        with pytest.raises(Exception, match="asks for a token"):
            client.get_model_metadata("double")
        with pytest.raises(Exception, match="this token is not known here"):
            client.get_model_metadata("double", headers={"authorization": "Bearer wrong"})
        client.close()
        child.send_signal(signal.SIGTERM)
        child.stderr.read()
        assert child.wait(LONG) == 0
