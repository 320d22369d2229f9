"""Image files through a served bundle: the tensors of ``optimize``, bit for bit, and the classes it judged."""

import base64
import http.client
import io
import json
import struct
import sys
import time
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from edgewright.cli import main
from edgewright.core.errors import InputError
from edgewright.datasets import dataset
from edgewright.datasets.postprocessing import Postprocessing
from edgewright.datasets.preprocessing import Preprocessing
from edgewright.engines import open_session
from edgewright.runtime import Runtime, pipeline
from edgewright.runtime.addresses import Address
from edgewright.runtime.config import ModelTable
from edgewright.runtime.experiments.shadow import Shadow, Shadows
from edgewright.runtime.faults import BadRequest, Fault
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.loading.places import find_places
from edgewright.runtime.loading.sources import read_source
from edgewright.runtime.pipeline import MOST_IMAGES, _pixels
from edgewright.runtime.remote import Remote, Tensor
from edgewright.runtime.scheduling.scheduler import Job, Scheduler
from edgewright.runtime.served import Served
from edgewright.runtime.server import Server, serving
from edgewright.testing.tiny import TINY_PREPROCESSING, seal_tiny, tiny_model

tritonclient = pytest.importorskip("tritonclient.http")
LONG, HOST = 60.0, "127.0.0.1"
OUT = tiny_model().signature.outputs[0].name
LABELS = ("ant", "bee", "cat", "dog", "elk")


def photo(seed=0, kind="JPEG", mode="RGB", size=(23, 31)):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, kind)
    return stream.getvalue()


def bomb(side):
    """A PNG of some kilobytes that would decode to ``side`` x ``side`` pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side + 1) * 8))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def source_of(path):
    (place,) = find_places(path)
    return read_source(place)


def array(*files):
    made = np.empty(len(files), object)
    made[:] = files
    return made


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return seal_tiny(tmp_path_factory.mktemp("sealed") / "tiny")


@pytest.fixture(scope="module")
def server(bundle):
    made = Server(Settings(bundle), [Address(port=0)])
    thread = serving(made)
    yield made
    made.stop()
    thread.join(LONG)
    assert not thread.is_alive()


@pytest.fixture
def client(server):
    made = Remote(str(server.addresses[0]))
    yield made
    made.close()


def post(server, body, target="/v2/models/tiny/infer"):
    connection = http.client.HTTPConnection("127.0.0.1", server.addresses[0].port, timeout=LONG)
    connection.request("POST", target, body)
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


@pytest.mark.parametrize("what", ["JPEG RGB", "JPEG L", "PNG RGBA", "PNG P", "BMP RGB"])
def test_a_file_is_answered_as_its_tensor_is(client, bundle, what):
    kind, mode = what.split()
    file = photo(1, kind, mode)
    tensor = TINY_PREPROCESSING.apply(file)[None]
    with Runtime(bundle) as runtime:
        plain = runtime.infer({"image": tensor})
        here = runtime.infer({"image": file})
    there = client.infer("tiny", {"image": Tensor("BYTES", array(file))}).outputs
    assert set(plain) == {OUT}, "who sends tensors gets what he always got"
    for found in (here, there):
        assert found[OUT].tobytes() == plain[OUT].tobytes()
        assert found["top_indices"][0, 0] == plain[OUT].argmax() and found["top_scores"].shape == (1, 3)
    assert [name.decode() for name in there["top_labels"][0]] == here["top_labels"].tolist()[0]
    assert here["top_labels"][0, 0] == LABELS[plain[OUT].argmax()]


def test_many_at_once_and_lists_in_the_same_process(client, bundle):
    files = [photo(seed, size=(10 + seed, 20)) for seed in range(5)]
    tensors = np.stack([TINY_PREPROCESSING.apply(file) for file in files])
    with Runtime(bundle) as runtime:
        plain = runtime.infer({"image": tensors})[OUT]
        assert runtime.infer({"image": files})[OUT].tobytes() == plain.tobytes()
    there = client.infer("tiny", {"image": Tensor("BYTES", array(*files))}).outputs
    assert there[OUT].tobytes() == plain.tobytes() and there["top_labels"].shape == (5, 3)
    column = client.infer("tiny", {"image": Tensor("BYTES", array(*files)[:, None])}).outputs
    assert column[OUT].tobytes() == plain.tobytes()


def test_what_optimize_sealed_of_a_folder_of_images_is_what_it_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.onnx").write_bytes(tiny_model().data)
    (tmp_path / "prepare.json").write_text(json.dumps(TINY_PREPROCESSING.to_json()))
    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(20):
            (tmp_path / "images" / name / f"{i:02}.jpg").write_bytes(photo(i + 100 * (name == "dog")))
    words = "optimize model.onnx --data images --preprocessing prepare.json --target raspberry-pi-5 --keep-structure"
    more = "--engine onnxruntime --budget 30s --max-accuracy-drop 60 -o out"
    assert main([*words.split(), *more.split()]) == 0
    capsys.readouterr()
    source = source_of(tmp_path / "out" / "bundle")
    assert source.preprocessing == TINY_PREPROCESSING.to_json() and source.labels == ("cat", "dog")
    assert source.postprocessing == Postprocessing(OUT, shares="softmax").to_json()
    bound = dataset("images", preprocessing=TINY_PREPROCESSING).bind(source.model.signature)
    with Runtime(tmp_path / "out" / "bundle") as runtime, open_session(source.model) as session:
        for row, path in enumerate(sorted((tmp_path / "images").glob("*/*"))):
            measured = session.infer(bound.reader.read(np.array([row])))[OUT]
            assert runtime.infer({"image": path.read_bytes()})[OUT].tobytes() == measured.tobytes()


def test_metadata_keep_the_tensor_and_announce_the_files(client):
    told = client.metadata("tiny")
    assert told["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 3, 12, 12]}]
    assert [one["name"] for one in told["outputs"]] == [OUT]
    more = told["parameters"]
    assert more["images"]["input"] == "image" and more["images"]["datatype"] == "BYTES"
    assert more["labels"] == list(LABELS) and more["preprocessing"] == TINY_PREPROCESSING.to_json()
    assert [one["name"] for one in more["image_outputs"]] == ["top_scores", "top_indices", "top_labels"]
    assert "classification" in client.extensions


def test_json_holds_files_as_base64_and_may_name_the_outputs(server):
    file = photo(2)
    told = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [base64.b64encode(file).decode()]}]}
    status, found = post(server, json.dumps({**told, "outputs": [{"name": "top_labels"}]}))
    assert status == 200, found
    (output,) = found["outputs"]
    assert output["datatype"] == "BYTES" and output["shape"] == [1, 3] and set(output["data"]) <= set(LABELS)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ((b"no image",), "input 'image' is not a JPEG, PNG or BMP"),
        ((b"",), "input 'image' is empty"),
        ((photo()[:200],), "input 'image' is (damaged|truncated)"),
        ((photo(), b"GIF89a"), "image 1 of input 'image' is not a JPEG"),
        ((bomb(20_000),), "20,000 x 20,000 pixels; at most 64,000,000"),
        ((bomb(6_000), bomb(6_000)), "image 1 .* at most 28,000,000"),
        ((photo() + b"\xff\xda" * 200,), "more than 100 scans"),
        ((), r"shape \[n\]; got \[0\]"),
        ((photo(),) * (MOST_IMAGES + 1), f"holds {MOST_IMAGES} images at most"),
    ],
    ids=range(9),
)
def test_what_is_no_image_or_too_much_is_refused_before_it_is_decoded(client, files, says):
    with pytest.raises(InputError, match=says) as caught:
        client.infer("tiny", {"image": Tensor("BYTES", array(*files))})
    assert "400" in str(caught.value)


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"image": "bm8gYmFzZTY0!"}, "text that is no base64"),
        ({"image": [[0.5, 1], [2, 3]]}, "image 0 .* is a list; give an image file's bytes"),
        ({"image": [3]}, "is a int; give an image file's bytes"),
        ({"image": np.empty((2, 2), object)}, r"got \[2, 2\]"),
        ({"image": b"", "more": b""}, "takes 'image' alone"),
        ({"z": b""}, "the model takes"),
    ],
)
def test_what_a_program_may_get_wrong(bundle, inputs, says):
    value = inputs.get("image")
    asked = {**inputs, "image": [value]} if isinstance(value, str) else inputs
    with Runtime(bundle) as runtime, pytest.raises(BadRequest, match=says):
        runtime.infer(asked)


def test_one_bad_image_of_a_batch_harms_nobody_else(bundle):
    source = source_of(bundle)
    served = Served(source, open_session(source.model), ModelTable(8, 0.0))
    answers = {}

    def job(name, file):
        return Job(served, {"image": array(file)}, lambda found, fault: answers.update({name: (found, fault)}), rows=1)

    files = {"a": photo(1), "b": b"no image", "c": photo(3, "PNG")}
    served.run([job(name, file) for name, file in files.items()])
    assert isinstance(answers["b"][1], BadRequest)
    for name in "ac":
        tensor = TINY_PREPROCESSING.apply(files[name])[None]
        assert answers[name][0][OUT].tobytes() == served.infer({"image": tensor})[OUT].tobytes()
    served.run([job(name, files[name]) for name in "ac"])
    assert answers["a"][0]["top_labels"].shape == (1, 3) and answers["c"][1] is None
    assert served.stats.batches[2] == 1
    served.session.close()


def test_the_reported_time_holds_decoding_and_deciding(bundle, monkeypatch):
    source, spent = source_of(bundle), []

    def watched(function):
        def run(*arguments):
            begin = time.perf_counter()
            try:
                return function(*arguments)
            finally:
                spent.append(time.perf_counter() - begin)

        return run

    monkeypatch.setattr(Preprocessing, "fitted", watched(Preprocessing.fitted))
    monkeypatch.setattr(Postprocessing, "apply", watched(Postprocessing.apply))
    with open_session(source.model) as session:
        served = Served(source, session)
        served.infer({"image": array(photo())})
        assert len(spent) == 2 and served.stats.compute.count == 1
        assert served.stats.compute.total - served.times.mean() >= sum(spent)
        expected = served.pipeline.expected_s({"image": array(photo())})
        assert expected == pytest.approx(served.stats.compute.total - served.times.mean())


def test_what_is_expected_of_a_request_goes_by_its_pixels(bundle):
    (source,) = [source_of(bundle)]
    with open_session(source.model) as session:
        pipeline = Served(source, session).pipeline

        def expected(*files):
            return pipeline.expected_s({"image": array(*files)})

        small, large = photo(size=(20, 20)), photo(size=(400, 400))
        assert expected(large) > 5 * expected(small) > 0 and expected(small, large) > expected(large)
        assert expected(bomb(60_000)) == expected(bomb(8_000)), "more than is decoded is not expected"
        assert expected(b"no image") == expected(b"") == expected(b"\xff\xd8\xff") > 0
        assert pipeline.expected_s({"image": TINY_PREPROCESSING.apply(small)[None]}) == 0
        before = expected(small)
        for _ in range(3):
            pipeline.infer(session, {"image": array(large)})
        after = expected(small)
        assert after != before and expected(large) / after == pytest.approx((160_000 + 16_384) / (400 + 16_384))


def test_a_shadow_sees_the_same_files(bundle):
    source, scheduler = source_of(bundle), Scheduler()
    with open_session(source.model) as session:
        first, second = Served(source, session), Served(replace(source, version="2"), session)
        shadows = Shadows(lambda name, version: second, scheduler, [Shadow(source.name, "2")])
        inputs = {"image": array(photo())}
        second.warm([{"image": TINY_PREPROCESSING.apply(photo())[None]}])
        shadows.slack.fits = lambda expected, now: True
        assert shadows.offer(first, inputs, first.infer(inputs))
        shadows.step()
    (told,) = shadows.report()[0]["comparisons"]
    assert told["compared"] == 1 and told["failed"] == 0
    assert set(told["outputs"]) == {OUT, "top_scores", "top_indices", "top_labels"}
    assert all(output["unlike"] == 0 for output in told["outputs"].values())
    scheduler.close()


def test_without_pillow_tensors_are_served_and_files_get_the_reason(bundle, monkeypatch):
    file = photo()
    tensor = TINY_PREPROCESSING.apply(file)[None]
    for name in [n for n in sys.modules if n.partition(".")[0] == "PIL"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with Runtime(bundle) as runtime:
        assert runtime.infer({"image": tensor})[OUT].shape == (1, 5)
        with pytest.raises(Fault, match=r"pip install 'edgewright\[images\]'"):
            runtime.infer({"image": file})
        (served,) = runtime.repository.ready()
        assert "images" not in served.pipeline.told() and "image_outputs" not in served.pipeline.told()


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ({"preprocessing": {"scale": 0.5}}, "lacks 'size'"),
        ({"preprocessing": {"size": [8, 8]}}, "the declared preprocessing"),
        ({"postprocessing": {"kind": "argmax"}}, "unknown key 'kind'"),
        ({"postprocessing": {"output": "nowhere"}}, "reads output 'nowhere'"),
    ],
)
def test_a_bundle_that_declares_what_does_not_fit_is_not_served(tmp_path, declared, says):
    with pytest.raises(InputError, match=says):
        Runtime(seal_tiny(tmp_path / "odd", **declared))


def test_a_declared_form_that_the_output_has_not_is_the_server_s_fault(tmp_path):
    odd = seal_tiny(tmp_path / "odd", postprocessing=Postprocessing(OUT, "single").to_json())
    with Runtime(odd) as runtime:
        assert set(runtime.infer({"image": TINY_PREPROCESSING.apply(photo())[None]})) == {OUT}
        with pytest.raises(Fault, match="does not read that") as caught:
            runtime.infer({"image": photo()})
        assert caught.value.status == 500


def test_a_bundle_that_declares_nothing_has_no_pipeline(tmp_path):
    plain = seal_tiny(tmp_path / "plain", preprocessing=None, postprocessing=None)
    with Runtime(plain) as runtime:
        (served,) = runtime.repository.ready()
        assert served.pipeline is None
        with pytest.raises(BadRequest):
            runtime.infer({"image": array(photo())})


def test_tritons_classification(server):
    client = tritonclient.InferenceServerClient(f"127.0.0.1:{server.addresses[0].port}")
    tensor = np.stack([TINY_PREPROCESSING.apply(photo(seed)) for seed in (1, 2)])
    given = tritonclient.InferInput("image", list(tensor.shape), "FP32")
    given.set_data_from_numpy(tensor)
    scores = client.infer("tiny", [given]).as_numpy(OUT)
    for binary in (True, False):
        for count in (2, 9):
            wanted = tritonclient.InferRequestedOutput(OUT, binary, class_count=count)
            found = client.infer("tiny", [given], outputs=[wanted]).as_numpy(OUT)
            assert found.shape == (2, min(count, 5))
            for row, line in zip(scores, found, strict=True):
                order = np.argsort(-row, kind="stable")[:count]
                texts = [one.decode() if isinstance(one, bytes) else one for one in line]
                assert texts == [f"{row[i]:f}:{i}:{LABELS[i]}" for i in order]
    client.close()
    told = {"inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 3, 12, 12], "data": [0.0] * 432}]}
    status, found = post(server, json.dumps({**told, "outputs": [{"name": OUT, "parameters": {"classification": -1}}]}))
    assert status == 400 and "classification" in found["error"]


def test_an_image_that_was_decoded_before_is_not_decoded_again(bundle, monkeypatch, tmp_path):
    decoded = []
    (tmp_path / "runtime.toml").write_text("[server]\ncache_mb = 4\n")
    first, second = photo(1), photo(2)
    with Runtime(bundle, config=tmp_path / "runtime.toml") as cached, Runtime(bundle) as plain:
        monkeypatch.setattr(pipeline, "_pixels", lambda file, *rest: decoded.append(file) or _pixels(file, *rest))
        for files in ([first], [first, second], [second, first, first]):
            asked = cached.infer({"image": files}), plain.infer({"image": files})
            for name in asked[0]:
                np.testing.assert_array_equal(asked[0][name], asked[1][name])
    assert decoded.count(first) == 1 + 4 and decoded.count(second) == 1 + 2, "once, and each time without a cache"
