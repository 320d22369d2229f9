"""``edgewright hub`` as a process: first start, restart after a kill, two at one port, what it refuses."""

import os
import signal
import subprocess
import sys

import httpx2
import pytest

from edgewright.hub.serving import Address


def test_it_starts_is_killed_and_goes_on(start, tmp_path):
    first = start()
    password = first.lines[0].split()[-1]
    assert "one-time password" in first.lines[0]
    with httpx2.Client(base_url=first.url) as client:
        session = client.post("/api/edge/login", json={"name": "owner", "password": password}).json()["session"]
        client.headers["Authorization"] = f"Bearer {session}"
        body = {"now": password, "new": "four unrelated words here"}
        assert client.put("/api/edge/account/password", json=body).status_code == 204
        token = client.post("/api/edge/tokens", json={"name": "t"}).json()["token"]
    first.end(signal.SIGKILL)
    second = start()
    assert len(second.lines) == 1
    users = httpx2.get(f"{second.url}/api/edge/users", headers={"Authorization": f"Bearer {token}"}).json()["items"]
    assert [user["name"] for user in users] == ["owner"]
    status, told = second.end()
    assert status == 0 and told == "stopped\n"
    assert len(list((tmp_path / "hub" / "audit").rglob("*.head"))) >= 1
    for name in ("own.key", "safe.key"):
        assert (tmp_path / "hub" / "keys" / name).stat().st_mode & 0o077 == 0


def run(*words, folder, **environment):
    return subprocess.run(
        [sys.executable, "-m", "edgewright", "hub", "--data", str(folder / "hub"), *words],
        capture_output=True, text=True, timeout=120, check=False, env=os.environ | environment,
    )  # fmt: skip


@pytest.mark.parametrize(
    "words, told",
    [
        (("--listen", "nowhere"), "no address"), (("--certificate-key", "k.pem"), "give --certificate"),
        (("--database", "mysql://a/b"), "no database of kind"), (("--development",), "--new-tenant"),
        (("--new-password", "main/nobody"), "no tenant"),
        (("--new-tenant", ""), "a tenant's name"), (("--new-tenant", "a\nb"), "a tenant's name"),
        (("--new-tenant", "x" * 100_000), "a tenant's name"), (("--objects", "s3://"), "--objects s3://BUCKET"),
        (("--objects", "ftp://a/b"), "--objects s3://BUCKET"), (("--data", "/proc/nothing"), "cannot write"),
        (("--database", "postgresql://u@127.0.0.1:1/x"), "cannot be reached"),
    ],
)  # fmt: skip
def test_what_it_cannot_do_is_one_line(words, told, tmp_path):
    done = run(*words, folder=tmp_path)
    assert done.returncode in (1, 2) and told in done.stderr.splitlines()[-1] and done.stderr.count("\n") == 1


def test_tenants_and_lost_passwords(tmp_path):
    done = run("--new-tenant", "north", "--development", folder=tmp_path)
    assert done.returncode == 0 and "one-time password" in done.stdout
    assert run("--new-tenant", "north", folder=tmp_path).returncode == 1
    assert run("--new-password", "north/owner", folder=tmp_path).stdout.startswith("one-time password ")


def test_it_runs_on_postgresql(start, postgres):
    process = start("--database", postgres.make())
    assert httpx2.get(f"{process.url}/openapi.json").status_code == 200
    assert process.end()[0] == 0


@pytest.mark.parametrize(
    "text, host, port, loopback",
    [("127.0.0.1:8443", "127.0.0.1", 8443, True), ("[::1]:0", "::1", 0, True), ("0.0.0.0:1", "0.0.0.0", 1, False)],
)
def test_addresses(text, host, port, loopback):
    address = Address.parse(text)
    assert (address.host, address.port, address.loopback) == (host, port, loopback)


def test_it_loads_none_of_the_compiler():
    """Uploads are read and jobs done in processes of their own; the one that answers everybody stays small."""
    absent = ("onnx", "onnx_ir", "scipy", "jinja2", "PIL", "openvino", "torch", "sklearn", "grpc", "google")
    program = f"import sys; sys.modules.update(dict.fromkeys({absent})); import edgewright.hub.app"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
