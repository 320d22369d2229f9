"""The demo's model and data are what their page says, and need nothing that trains."""

from pathlib import Path

import numpy as np

from edgewright.datasets import dataset
from edgewright.formats import load
from edgewright.measurement import Subject

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"


def test_it_is_small_and_holds_no_local_path():
    files = {name: (DIGITS / name).read_bytes() for name in ("digits.onnx", "digits.npz")}
    assert len(files["digits.onnx"]) <= 300_000
    assert len(files["digits.npz"]) <= 100_000
    assert not any(word in files["digits.onnx"] for word in (b"/home", b"/root", b"/work", b"/tmp", b".py"))


def test_it_reads_digits_it_was_not_trained_on():
    model = load(DIGITS / "digits.onnx")
    assert str(model.signature.inputs[0]) == "image: float32[batch, 1, 32, 32]"
    with np.load(DIGITS / "digits.npz") as arrays, Subject(model).open() as session:
        images, labels = arrays["image"], arrays["labels"]
        assert (images.shape, images.dtype, labels.shape) == ((899, 1, 32, 32), np.float32, (899,))
        right = session.infer({"image": images})["logits"].argmax(1) == labels
    assert right.mean() >= 0.98


def test_its_data_can_be_cut_into_three():
    splits = dataset(str(DIGITS / "digits.npz")).bind(load(DIGITS / "digits.onnx").signature).splits()
    assert min(len(splits.calibration), len(splits.search), len(splits.test)) >= 100
