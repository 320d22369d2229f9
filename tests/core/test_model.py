"""Model, Signature and TensorSpec: immutable, equal by content, the same through JSON."""

import json

import pytest

from edgewright.core.digests import canonical_json, digest_array, digest_bytes, digest_files, digest_json
from edgewright.core.model import Model, Signature, Step, TensorSpec

SPEC = TensorSpec("x", "float32", ("batch", 3, None))
SIGNATURE = Signature((SPEC,), (TensorSpec("y", "int64", ()),))


def test_a_signature_is_the_same_through_json() -> None:
    assert Signature.from_json(json.loads(json.dumps(SIGNATURE.to_json()))) == SIGNATURE
    assert str(SPEC) == "x: float32[batch, 3, ?]"


def test_one_file_is_named_by_its_bytes_whatever_it_is_called() -> None:
    one = Model("onnx", "a", {"a": b"graph"}, SIGNATURE)
    two = Model("onnx", "b", {"b": b"graph"}, SIGNATURE, (Step("fuse", {}, "0"),))
    assert one == two and hash(one) == hash(two)
    assert one.digest == digest_bytes(b"graph") == digest_files({"whatever": b"graph"})
    assert Model("ort", "a", {"a": b"graph"}, SIGNATURE) != one
    assert one != "graph"


def test_several_files_are_named_by_names_and_bytes() -> None:
    pair = Model("openvino", "m.xml", {"m.xml": b"1", "m.bin": b"2"}, SIGNATURE)
    assert pair.digest == Model("openvino", "m.xml", {"m.bin": b"2", "m.xml": b"1"}, SIGNATURE).digest
    swapped = Model("openvino", "m.xml", {"m.xml": b"2", "m.bin": b"1"}, SIGNATURE)
    assert pair != swapped
    assert (pair.data, pair.size_bytes) == (b"1", 2)


def test_a_model_does_not_change() -> None:
    files = {"a": b"1"}
    model = Model("onnx", "a", files, SIGNATURE)
    files["a"] = b"2"
    assert model.files == {"a": b"1"}
    with pytest.raises(TypeError):
        model.files["a"] = b"2"  # type: ignore[index]
    with pytest.raises(AttributeError):
        model.main = "b"  # type: ignore[misc]


def test_the_main_file_is_one_of_the_files() -> None:
    with pytest.raises(ValueError, match="main file 'b'"):
        Model("onnx", "b", {"a": b""}, SIGNATURE)


def test_digests_tell_apart_what_is_not_the_same() -> None:
    import numpy as np

    zeros = np.zeros((2, 3), np.float32)
    others = [zeros.reshape(3, 2), zeros.astype(np.int32), zeros[:0], np.zeros((2, 3), ">f4"), -zeros]
    assert len({digest_array(a) for a in (zeros, *others)}) == 6
    assert digest_array(zeros) == digest_array(np.asfortranarray(zeros)) == digest_array(zeros[:, ::1])
    assert digest_json({"a": 1, "b": [1.5]}) == digest_json({"b": [1.5], "a": 1})
    assert digest_json([1]) != digest_json([1.0]) != digest_json(["1"])
    assert canonical_json({"b": "ü", "a": None}) == '{"a":null,"b":"ü"}'.encode()
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json(float("inf"))
