"""The pages' examples with curl, as they stand but for the port."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgewright.runtime.addresses import Address
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.server import Server, serving
from edgewright.testing.tiny import seal_tiny

ROOT = Path(__file__).parents[2]
LONG = 60.0
pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def examples(page):
    """``sh`` blocks that ask the server at the usual port with curl."""
    blocks = (ROOT / "docs" / "how-to" / page).read_text("utf-8").split("```sh\n")[1:]
    found = [block.split("\n```")[0] for block in blocks]
    return [text for text in found if "curl" in text and "http://127.0.0.1:8000" in text]


@pytest.fixture
def url(tmp_path, monkeypatch):
    """A server of the two models that the pages name, and in the working folder the files."""
    monkeypatch.chdir(tmp_path)
    seal_tiny(tmp_path / "models" / "bundle")
    shutil.copy(ROOT / "examples" / "digits" / "digits.onnx", tmp_path / "models" / "digits.onnx")
    Image.fromarray(np.random.default_rng(5).integers(0, 256, (20, 30, 3), np.uint8)).save("photo.jpg")
    with np.load(ROOT / "examples" / "digits" / "digits.npz") as data:
        data["image"][:1].tofile("digit.raw")
    server = Server(Settings(tmp_path / "models"), [Address(port=0)])
    thread = serving(server)
    yield str(server.addresses[0])
    server.stop()
    thread.join(LONG)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("serve.md", [b'"name": "digits"', b'"shape":[1,10],"data":[', b'{"binary_data_size":40}']),
        ("serve-images.md", [b'"top_labels"'] * 2),
    ],
)
def test_they_are_answered(url, page, says):
    script = "\n".join(examples(page)).replace("http://127.0.0.1:8000", url)
    done = subprocess.run(["sh", "-ec", script], capture_output=True, timeout=LONG, check=False)
    assert done.returncode == 0, done.stderr
    for told in set(says):
        assert done.stdout.count(told) == says.count(told), done.stdout[:2000]
    assert b'"error"' not in done.stdout
