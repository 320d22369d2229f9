"""Arrays from files, mappings and the user's own code; and what is refused of them."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.core.errors import InputError
from edgewright.core.model import Signature
from edgewright.datasets import dataset, npz
from edgewright.datasets import spool as spooling
from edgewright.testing.datasets import check_dataset

Make = Callable[..., Signature]
X = np.random.default_rng(0).normal(size=(90, 4)).astype(np.float32)
Y = np.arange(90) % 3


def _npz(path: Path, compressed: bool = False, **arrays: Any) -> Path:
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return path


def _member(header: bytes, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def _zip(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("in_memory", [0, 2**20])
def test_the_contract_holds_for_npz_files_in_memory_and_mapped(
    tmp_path: Path, signature: Make, monkeypatch: pytest.MonkeyPatch, compressed: bool, in_memory: int
) -> None:
    monkeypatch.setattr(npz, "_IN_MEMORY", in_memory)
    path = _npz(tmp_path / "d.npz", compressed, x=X, labels=Y)
    check_dataset(lambda: dataset(path), signature(x=("float32", (None, 4))))


def test_every_way_to_give_the_same_samples_has_the_same_digest(
    tmp_path: Path, signature: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "given_samples.py").write_text(
        "import numpy as np\n"
        "def whole():\n"
        "    x = np.random.default_rng(0).normal(size=(90, 4)).astype(np.float32)\n"
        "    return {'x': x, 'labels': np.arange(90) % 3}\n"
        "def pieces():\n"
        "    d = whole()\n"
        "    for i in range(0, 90, 25):\n"
        "        yield {k: v[i:i + 25] for k, v in d.items()}\n"
    )
    monkeypatch.chdir(tmp_path)
    fortran = np.asfortranarray(X)
    sources = [
        {"x": X, "labels": Y},
        {"x": fortran, "labels": Y.tolist()},
        _npz(tmp_path / "a.npz", x=X, labels=Y),
        str(_npz(tmp_path / "b.npz", True, x=fortran, labels=Y)),
        "given_samples:whole",
        "given_samples:pieces",
    ]
    assert len({dataset(source).bind(signature(x=("float32", ("N", 4)))).digest for source in sources}) == 1
    assert str(tmp_path) not in sys.path


def test_text_one_hot_and_column_labels_become_class_indices() -> None:
    words = np.array(["cat", "ant", "bee"])[Y]
    for labels, classes, expected in [
        (words, (), np.array([2, 0, 1])[Y]),
        (words.astype(object), ("cat", "bee", "ant"), np.array([0, 2, 1])[Y]),
        (np.eye(3)[Y], (), Y),
        (Y[:, None], (), Y),
        (Y.astype(np.float32), (), Y),
        (Y.astype(bool), (), Y.astype(bool).astype(int)),
    ]:
        made = dataset({"x": X, "labels": labels}, classes=classes)
        assert made.labels is not None and made.labels.tolist() == expected.tolist()
    assert dataset({"x": X, "labels": words}).classes == ("ant", "bee", "cat")
    assert dataset({"x": X, "labels": Y, "classes": np.array(["p", "q", "r"])}).classes == ("p", "q", "r")


def test_labels_may_be_given_named_or_left_out() -> None:
    source = {"x": X, "labels": Y, "quality": Y / 2}
    assert dataset(source, labels=False).labels is None
    given, named = dataset(source, labels=Y + 1).labels, dataset(source, labels="quality").labels
    assert given is not None and given.max() == 3
    assert named is not None and named.dtype == np.float64
    assert dataset({"x": X}).labels is None
    assert dataset(dataset(source)).labels is not None


@pytest.mark.parametrize("spare", [Y, Y[:, None], Y.astype(str), np.eye(3)[Y]], ids=["whole", "column", "text", "rows"])
def test_labels_under_another_name_are_not_passed_over(signature: Make, spare: Any) -> None:
    takes = signature(x=("float32", (None, 4)))
    source = {"x": X, "target": spare}
    with pytest.raises(InputError, match=r"no array named 'labels', but 'target'.*--labels target.*--labels none"):
        dataset(source).bind(takes)
    assert dataset(source, labels="target").bind(takes).labels is not None
    assert dataset(source, labels=False).bind(takes).labels is None
    assert dataset({"x": X, "scale": np.ones(3)}).bind(takes).labels is None
    with pytest.raises(InputError, match=r"'target' and 'id' with one entry a sample.*agreement with the original"):
        dataset(source | {"id": np.arange(90)}).bind(takes)
    with pytest.raises(InputError, match="no array named 'y' to take labels from; it holds target, x"):
        dataset(source, labels="y")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"other": X}, "no array named 'x'.*the model takes x"),
        ({}, "holds nothing"),
        ({"x": X[:, :3]}, r"samples of shape \(3\), the model takes \(4\)"),
        ({"x": X.reshape(90, 2, 2)}, r"reshape it to \(n, 4\)"),
        ({"x": X.astype(np.float16) * np.nan}, "NaN"),
        ({"x": np.where(np.arange(90)[:, None] == 7, np.inf, X)}, "1 samples .first: row 7."),
        ({"x": X.astype(np.float64) * 1e39}, "too large"),
        ({"x": (X * 9).astype(np.int32)}, "is int32, the model takes float32; convert it"),
        ({"x": (X * 9).astype(np.uint8)}, "declare a preprocessing"),
        ({"x": X.astype(str)}, "is str, the model takes float32"),
        ({"x": X, "labels": Y[:50]}, "90 samples and 50 labels"),
        ({"x": X, "labels": np.where(Y == 0, np.nan, Y)}, "labels .* NaN or infinity, first in row 0"),
        ({"x": X, "labels": Y.astype(complex)}, "only numbers, booleans and text"),
        ({"x": np.float32(3)}, "single value"),
        ({"x": X[:0], "labels": Y[:0]}, "no samples"),
        ({"x": X[:15], "labels": Y[:15]}, "15 samples; give at least 16"),
        ({"x": np.repeat(X[:3], 30, axis=0), "labels": Y}, "3 distinct samples"),
    ],
)
def test_data_that_do_not_fit_are_refused_in_one_line(
    tmp_path: Path, signature: Make, arrays: dict[str, Any], message: str
) -> None:
    for source in (arrays, _npz(tmp_path / "d.npz", **arrays)):
        with pytest.raises(InputError, match=message) as caught:
            dataset(source).bind(signature(x=("float32", (None, 4)))).splits()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": "truth"}, "no array named 'truth'"),
        ({"labels": [object()] * 90}, "must be numbers or text"),
        ({"labels": np.array(["a", "b"] * 45), "classes": ("a",)}, "'b' .* not among the class names"),
        ({"classes": ("a", "b")}, "go to 2, but there are 2 class names"),
        ({"missing": "perhaps"}, "missing must be"),
        ({"preprocessing": {"size": [4, 4], "colour": 1}}, "unknown key 'colour'"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataset({"x": X, "labels": Y}, **options)


def test_missing_values_pass_when_they_are_meant(signature: Make) -> None:
    holes = np.where(X > 1, np.nan, X)
    bound = dataset({"x": holes, "labels": Y}, missing="keep").bind(signature(x=("float32", (None, 4))))
    assert np.isnan(next(iter(bound.splits().test.batches(36)))["x"]).any()


@pytest.mark.parametrize(
    ("found", "wanted", "note"),
    [
        ("float64", "float32", "'x' was cast from float64 to float32"),
        ("float16", "float32", "'x' was cast from float16 to float32"),
        ("int32", "int64", "'x' was cast from int32 to int64"),
        ("float32", "float32", None),
    ],
)
def test_casts_that_lose_nothing_are_made_and_noted(signature: Make, found: str, wanted: str, note: str | None) -> None:
    source = {"x": (X * 5).astype(found), "labels": Y, "spare": Y}
    bound = dataset(source).bind(signature(x=(wanted, (None, 4))))
    assert [n for n in bound.notes if "cast" in n] == ([note] if note else [])
    assert "arrays the model does not take were left out: spare" in bound.notes
    assert next(iter(bound.splits().search.batches(5)))["x"].dtype == wanted


def test_several_inputs_are_read_together_and_must_be_as_many(signature: Make) -> None:
    two = signature(x=("float32", (None, 4)), t=("int64", ("N", "T")))
    tokens = np.arange(90 * 6).reshape(90, 6)
    check_dataset(lambda: dataset({"t": tokens, "x": X}), two)
    with pytest.raises(InputError, match="differ in their number of samples: x 90, t 80"):
        dataset({"t": tokens[:80], "x": X}).bind(two)
    batch = next(iter(dataset({"t": tokens, "x": X}).bind(two).splits().test.batches(9)))
    assert all((X[row // 6] == x).all() for row, x in zip(batch["t"][:, 0], batch["x"], strict=True))


@pytest.mark.parametrize(
    ("shape", "hint"),
    [((90, 6, 6, 3), r"transpose it to \(0, 3, 1, 2\)"), ((90, 108), r"reshape it to \(n, 3, 6, 6\)")],
)
def test_images_of_another_layout_are_told_how_to_become_right(
    signature: Make, shape: tuple[int, ...], hint: str
) -> None:
    with pytest.raises(InputError, match=hint):
        dataset({"x": np.zeros(shape, np.float32)}).bind(signature(x=("float32", (1, 3, 6, 6))))


def test_a_model_without_a_batch_axis_is_named(signature: Make) -> None:
    with pytest.raises(InputError, match="no batch axis"):
        dataset({"x": np.zeros((90, 3, 6), np.float32)}).bind(signature(x=("float32", (3, 6))))
    with pytest.raises(InputError, match="no inputs"):
        dataset({"x": X}).bind(Signature((), ()))


def test_hostile_files_are_refused_by_name(tmp_path: Path) -> None:
    whole = _npz(tmp_path / "whole.npz", x=X).read_bytes()
    pickled = io.BytesIO()
    np.savez(pickled, x=np.array([{"a": 1}], object), allow_pickle=True)
    flipped = bytearray(whole)
    flipped[400] ^= 1
    files = {
        "empty": (b"", "is empty"),
        "text": (b"hello, world", "is no .npz"),
        "cut": (whole[: len(whole) // 2], "not a whole .npz"),
        "flipped": (bytes(flipped), "not a whole .npz.*CRC"),
        "pickled": (pickled.getvalue(), "Python objects"),
    }
    for name, (data, message) in files.items():
        path = tmp_path / f"{name}.npz"
        path.write_bytes(data)
        with pytest.raises(InputError, match=message) as caught:
            dataset(path)
        assert path.name in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"not an array", "not an array as np.savez"),
        (_member(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }"), "says .* bytes of data"),
        (_member(b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"), "impossible shape"),
        (_member(b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", b"\0" * 8), "says 12 bytes"),
        (_member(b"__import__('os')"), "not an array as np.savez"),
        (_member(b"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", b"\0" * 4), "only numbers"),
        (b"\x93NUMPY\x09\x00", "not an array as np.savez"),
    ],
)
def test_headers_that_lie_are_refused_before_memory_is_reserved(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataset(_zip(tmp_path / "d.npz", x=data))


@settings(max_examples=80, deadline=None)
@given(st.booleans(), st.data())
def test_damaged_archives_give_arrays_or_one_clear_error(compressed: bool, draw: st.DataObject) -> None:
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, x=X[:20], labels=Y[:20])
    data = bytearray(stream.getvalue())
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.npz"
        path.write_bytes(data[: draw.draw(st.integers(0, len(data)))] if draw.draw(st.booleans()) else data)
        try:
            dataset(path)
        except InputError as error:
            assert "d.npz" in str(error) and "\n" not in str(error)


def test_an_archive_of_other_files_and_one_that_unpacks_too_far_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "z.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(InputError, match=r"'readme\.txt', which np\.savez does not write"):
        dataset(tmp_path / "z.npz")
    bomb = _npz(tmp_path / "bomb.npz", True, x=np.zeros(10**6, np.float32))
    monkeypatch.setattr(npz, "SPOOL_LIMIT", 10**6)
    with pytest.raises(InputError, match="bytes of data"):
        dataset(bomb)
    spool = contextlib.closing(spooling.Spool("'x'", limit=10))
    with spool as opened, pytest.raises(InputError, match="more than 10 bytes"):
        opened.write(b"0" * 11)


@pytest.mark.parametrize("source", ["nowhere.npz", "no_such_module_here:f", 42, None])
def test_sources_that_are_none_are_told_what_would_be_one(source: Any) -> None:
    with pytest.raises(InputError, match=r"npz|cannot import"):
        dataset(source)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def f(): return 3", "returned a int"),
        ("def f(): return {'x': [[1], [2, 3]]}", "is not one array"),
        ("def f(): return {1: [1.0]}", "the key 1"),
        ("def f(): raise KeyError('lost')", "f failed: KeyError"),
        ("def f(): return [3]", "gave a int as a batch"),
        ("def f():\n    yield {'x': [[1.0]]}\n    yield {'y': [[1.0]]}", "after one with"),
        ("def f():\n    yield {'x': [[1.0]]}\n    yield {'x': [[1]]}", "changes from float64"),
        ("f = 3", "no function 'f'"),
        ("raise OSError('gone')", "cannot import.*gone"),
    ],
)
def test_the_users_code_may_fail_in_its_own_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, message: str, request: pytest.FixtureRequest
) -> None:
    module = f"given_{abs(hash(request.node.name))}"
    (tmp_path / f"{module}.py").write_text(body)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        dataset(f"{module}:f")
