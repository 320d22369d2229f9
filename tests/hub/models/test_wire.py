"""Against a hub as a process, with the client of the protocol's own authors (tuspy): cut, killed, gone on with."""

import io
import signal
import threading

import httpx2
import numpy as np
import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

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
