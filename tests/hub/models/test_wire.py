"""Against a hub as a process, with the client of the protocol's own authors (tuspy): cut, killed, gone on with."""

import io
import re
import shlex
import signal
import threading
from pathlib import Path

import httpx2
import numpy as np
import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

from edgewright.cli import main

ROOT = Path(__file__).parents[3]

PASSWORD = "four unrelated words here"
_CHUNK = 256 * 2**10


def log_in(process):
    """An API token of a new hub's owner."""
    one_time = process.lines[0].split()[-1]
    with httpx2.Client(base_url=process.url) as client:
        session = client.post("/api/edge/login", json={"name": "owner", "password": one_time}).json()["session"]
        client.headers["Authorization"] = f"Bearer {session}"
        client.put("/api/edge/account/password", json={"now": one_time, "new": PASSWORD}).raise_for_status()
        return client.post("/api/edge/tokens", json={"name": "uploads"}).json()["token"]


@pytest.fixture
def file():
    made = io.BytesIO()
    draw = np.random.default_rng(0)
    np.savez(made, x=draw.standard_normal((4000, 128)).astype(np.float32), labels=draw.integers(0, 10, 4000))
    made.seek(0)
    return made


def test_a_hub_that_is_killed_in_the_middle_goes_on_with_the_upload(start, file):
    first = start()
    token = log_in(first)
    headers = {"Authorization": f"Bearer {token}"}
    metadata = {"filename": "d.npz", "dataset": "digits"}
    client = TusClient(f"{first.url}/api/edge/uploads", headers=headers)
    sending = client.uploader(file_stream=file, metadata=metadata, chunk_size=_CHUNK)
    for _ in range(3):
        sending.upload_chunk()
    first.end(signal.SIGKILL)
    with pytest.raises(TusCommunicationError):
        sending.upload_chunk()
    second = start()
    place = f"{second.url}/api/edge/uploads/{sending.url.rpartition('/')[2]}"
    rest = TusClient(place.rpartition("/")[0], headers=headers).uploader(
        file_stream=file, url=place, metadata=metadata, chunk_size=_CHUNK
    )
    assert rest.offset == 3 * _CHUNK
    rest.upload()
    pause = threading.Event()
    with httpx2.Client(base_url=second.url, headers=headers) as api:
        result = api.get(place).json()["result"]
        for _ in range(600):
            found = api.get(f"/api/edge/datasets/{result}").json()
            if found["state"] != "checking":
                break
            pause.wait(0.1)
        assert found["state"] == "ready" and found["facts"]["samples"] == 4000
        assert api.get(f"/api/edge/datasets/{result}/download").content == file.getvalue()
    assert second.end()[0] == 0


def test_the_page_about_it_runs(start, tmp_path, monkeypatch, capsys):
    """docs/how-to/upload-models.md, against a hub that listens."""
    page = (ROOT / "docs" / "how-to" / "upload-models.md").read_text("utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (commands,) = re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    process = start()
    monkeypatch.setenv("EDGEWRIGHT_HUB", process.url)
    monkeypatch.setenv("EDGEWRIGHT_TOKEN", log_in(process))
    monkeypatch.chdir(ROOT)
    exec(compile(example, "upload-models.md", "exec"), {})
    assert capsys.readouterr().out == "58250 899\n"
    assert process.end()[0] == 0
    monkeypatch.chdir(tmp_path)
    for line in commands.splitlines():
        assert main(shlex.split(line)[1:]) == 0, line
    assert "plan own: 50 models" in capsys.readouterr().out
