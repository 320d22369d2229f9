"""The Python client: made, typed, run against a real server of the bundle."""

import ast
import importlib
import sys

import numpy as np
import pytest

from edgewright.exports import export, make
from edgewright.testing.exports import check_hostile


@pytest.fixture
def client_of(tmp_path, monkeypatch):
    """The package that an export holds, imported from where it was written."""

    def load(bundle):
        made = export(bundle, "python", tmp_path / bundle.content.name)
        monkeypatch.syspath_prepend(made.path / "src")
        (package,) = [path.name for path in (made.path / "src").iterdir()]
        yield_from = importlib.import_module(package)
        for name in [name for name in sys.modules if name.split(".")[0] == package]:
            monkeypatch.delitem(sys.modules, name)
        return yield_from

    return load


@pytest.mark.parametrize("which", ["tiny", "mixed", "openvino"])
def test_its_own_tests_pass_against_a_server(which, request, served, tmp_path, run_in):
    bundle = request.getfixturevalue(which)
    made = export(bundle, "python", tmp_path / "made")
    one = served(bundle)
    for url in (one.url, one.unix):
        said = run_in(
            [sys.executable, "-W", "error", "-m", "unittest", "discover", "-s", "tests"], made.path,
            PYTHONPATH=str(made.path / "src"), EDGEWRIGHT_URL=url,
        )  # fmt: skip
        assert "OK" in said and "skipped" not in said


def test_it_is_clean_and_typed(tiny, mixed, tmp_path, run_in):
    for bundle in (tiny, mixed):
        made = export(bundle, "python", tmp_path / bundle.content.name)
        (package,) = (made.path / "src").iterdir()
        run_in(
            [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "c"), str(package)],
            made.path / "src",
        )
        run_in(["ruff", "check", "--isolated", "--select", "E4,E7,E9,F,B,S", str(package)], made.path)


def test_a_typed_call(tiny, served, client_of):
    there = client_of(tiny)
    call = tiny.content.golden.calls[0]
    with there.Client(served(tiny).url) as client:
        assert client.ready()
        outputs = client.infer(call.inputs["image"], deadline_ms=10_000, priority=1, request_id="r-1")
        (want,) = call.outputs.values()
        np.testing.assert_allclose(next(iter(vars(outputs).values())), want, 1e-4, 1e-4)
        assert not outputs.fail_safe


def test_images(tiny, served, client_of):
    from io import BytesIO

    from PIL import Image

    file = BytesIO()
    Image.new("RGB", (20, 20), (200, 30, 90)).save(file, "PNG")
    there = client_of(tiny)
    with there.Client(served(tiny).url) as client:
        found = client.infer_images([file.getvalue(), file.getvalue()])
    assert len(found.labels) == 2 and found.labels[0] == found.labels[1] and set(found.labels[0]) <= set(there.LABELS)
    assert found.scores.shape == found.indices.shape == (2, 3)


def test_errors_say_what_to_do(tiny, mixed, served, client_of):
    there = client_of(tiny)
    image = np.zeros((1, 3, 12, 12), np.float32)
    url = served(tiny).url
    with there.Client(url) as client:
        for bad in (image.astype(np.float64), image[0], np.zeros((1, 3, 12, 11), np.float32), [[1.0]]):
            with pytest.raises(there.UnfitInputError):
                client.infer(bad)
        for deadline in (0.0, -1.0, float("nan")):
            with pytest.raises(there.UnfitInputError, match="deadline"):
                client.infer(image, deadline_ms=deadline)
        with pytest.raises(there.RefusedError) as refused:
            client.infer(image, deadline_ms=0.001)
        assert refused.value.status in (503, 504)
    with pytest.raises(there.RefusedError, match="404"), there.Client(url, model="another") as client:
        client.infer(image)
    with pytest.raises(there.WrongModelError, match=tiny.digest), there.Client(served(mixed, "tiny").url) as client:
        client.infer(image)
    with pytest.raises(there.RefusedError), there.Client(served(mixed, "tiny").url, check=False) as client:
        client.infer(image)
    with pytest.raises(there.UnreachableError), there.Client("http://127.0.0.1:9") as client:
        client.ready()
    with pytest.raises(there.UnfitInputError, match="no address"):
        there.Client("ftp://x")


def test_bf16_and_strings_survive_the_wire(tiny, client_of):
    client_of(tiny)
    protocol = sys.modules.get("tiny_client.protocol") or importlib.import_module("tiny_client.protocol")
    values = np.array([[1.0, -2.5, np.inf, np.nan, 3.3895314e38, 1.00390625]], np.float32)
    back = protocol.unpack(protocol.pack(values, "BF16"), "BF16", values.shape)
    np.testing.assert_allclose(back, values, 2**-8)
    words = np.array(["", "é", "x" * 300], object)
    assert [w.decode() for w in protocol.unpack(protocol.pack(words, "BYTES"), "BYTES", (3,))] == list(words)
    for damaged in (b"\1\0\0\0", b"\0\0\0\0x"):
        with pytest.raises(protocol.UnreachableError):
            protocol.unpack(damaged, "BYTES", (1,))


def test_hostile_names_are_only_names(tmp_path):
    made = check_hostile("python", tmp_path)
    parsed = {name: ast.parse(data) for name, data in made.files.items() if name.endswith(".py")}
    (client,) = [tree for name, tree in parsed.items() if name.endswith("/client.py")]
    names = {node.id for node in ast.walk(client) if isinstance(node, ast.Name)}
    assert not [name for name in names if "zqx" in name and not name.startswith("zqx")]
    assert {"os", "eval", "exec", "USER"}.isdisjoint(names)
    import tomllib

    assert tomllib.loads(made.files["pyproject.toml"].decode())["project"]["dependencies"] == ["numpy>=1.24"]


def test_only_the_signature_makes_it(tiny):
    files = make(tiny, "python").files
    assert not [name for name in files if name.endswith(".onnx")]
