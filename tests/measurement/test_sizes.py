"""Sizes are exact and deterministic."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from edgewright.core.model import Model, Signature
from edgewright.measurement.sizes import compressed_bytes, measure_sizes

NOISE = np.random.default_rng(0).bytes(3_000_000)


@pytest.mark.parametrize("data", [b"", b"a", b"a" * 5_000_000, NOISE], ids=["empty", "one", "zeros", "noise"])
def test_pieces_compress_to_one_valid_stream_of_stated_length(data: bytes):
    size = compressed_bytes(data)
    assert size == compressed_bytes(data)
    assert abs(size - len(zlib.compress(data, 9))) <= 64


def test_all_files_count_on_the_disk_and_in_the_download():
    model = Model("onnx", "m.onnx", {"m.onnx": b"a" * 10_000, "w.bin": NOISE}, Signature((), ()))
    found = measure_sizes(model)
    disk, download = found["size_bytes"], found["download_bytes"]
    assert disk.value == disk.low == disk.high == 3_010_000
    assert 3_000_000 < download.value < 3_005_000
    for one in (disk, download):
        assert (one.unit, one.kind, one.n, one.subject) == ("B", "measured", 1, model.digest)
    assert "zlib" in download.conditions["compression"]
    assert "level 9" in download.conditions["compression"]


def test_the_same_files_give_the_same_figures_in_any_order():
    files = {"a": b"1" * 999, "b": NOISE[:1000]}
    one = Model("onnx", "a", files, Signature((), ()))
    two = Model("onnx", "a", dict(reversed(files.items())), Signature((), ()))
    assert {k: v.value for k, v in measure_sizes(one).items()} == {k: v.value for k, v in measure_sizes(two).items()}
