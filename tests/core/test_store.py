"""The store: what it gives back is what was put in, whole and undamaged, or nothing."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.core.errors import StorageError
from edgewright.core.model import Model, Signature, Step, TensorSpec
from edgewright.core.store import Store

SIGNATURE = Signature((TensorSpec("x", "float32", ("batch", 3, None)),), (TensorSpec("y", "str", ()),))
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.text() | NUMBERS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def model(**files: bytes) -> Model:
    made = {name.replace("_", "."): data for name, data in files.items()}
    return Model("onnx", next(iter(made)), made, SIGNATURE, (Step("fuse", {"contrib": True}, "0" * 64),))


def objects(store: Store) -> list[Path]:
    return [p for p in (store.root / "objects").rglob("*") if p.is_file()]


@settings(max_examples=30)
@given(key=JSON, value=JSON, other=JSON)
def test_a_value_comes_back_under_its_key_alone(tmp_path_factory: pytest.TempPathFactory, key, value, other) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    assert store.get(key) is None
    store.put(key, value)
    assert store.get(key) == value
    store.put(key, other)
    assert store.get(key) == other
    if json.dumps(other, sort_keys=True) != json.dumps(key, sort_keys=True):
        assert store.get(other) is None


def test_the_order_of_a_keys_fields_does_not_matter(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put({"a": 1, "b": 2}, "kept")
    assert store.get({"b": 2, "a": 1}) == "kept"


def test_a_model_comes_back_whole(tmp_path: Path) -> None:
    store, made = Store(tmp_path), model(model_onnx=b"graph", weights_bin=b"\0" * 1000)
    found = store.get_model(store.put_model(made))
    assert found == made
    assert (found.main, found.files, found.signature, found.lineage) == (
        made.main, made.files, made.signature, made.lineage
    )  # fmt: skip


def test_equal_bytes_are_kept_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put_model(model(a_onnx=b"same"))
    store.put_model(model(b_onnx=b"same", c_bin=b"same"))
    assert len(objects(store)) == 1


@pytest.mark.parametrize("damage", ["flipped", "cut", "emptied", "gone", "another's"])
def test_a_damaged_entry_counts_as_absent(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path)
    store.put("key", {"latency": 1.25})
    store.put("other", {"latency": 2.5})
    path, other = (store._entry(key) for key in ("key", "other"))
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(
            {
                "flipped": data.replace(b"1.25", b"1.26"), "cut": data[:-3], "emptied": b"",
                "another's": other.read_bytes(),
            }[damage]
        )  # fmt: skip
    assert store.get("key") is None
    store.put("key", {"latency": 1.25})
    assert store.get("key") == {"latency": 1.25}


@pytest.mark.parametrize("damaged", [b"grapH", b"", None])
def test_a_damaged_object_is_found_out_and_mended(tmp_path: Path, damaged: bytes | None) -> None:
    store, made = Store(tmp_path), model(model_onnx=b"graph")
    kept = store.put_model(made)
    (path,) = objects(store)
    if damaged is None:
        path.unlink()
    else:
        path.write_bytes(damaged)
    assert store.get_model(kept) is None
    assert store.get_model(store.put_model(made)) == made


@pytest.mark.parametrize("junk", [b"null", b"[]", b'{"key": "key"}', b"[" * 100_000, b"\xff\xfe"])
def test_junk_counts_as_absent(tmp_path: Path, junk: bytes) -> None:
    store = Store(tmp_path)
    store.put("key", 1)
    store._entry("key").write_bytes(junk)
    assert store.get("key") is None


def test_nan_is_no_json_value(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        Store(tmp_path).put("key", float("nan"))
    assert list(tmp_path.iterdir()) == []


def test_a_writer_killed_between_object_and_entry_leaves_nothing_that_is_named(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from edgewright.core import store
from edgewright.core.model import Model, Signature, TensorSpec

spec = TensorSpec("x", "float32", (1,))
kept = store.Store(Path(sys.argv[1]))
value = kept.put_model(Model("onnx", "m", {"m": b"graph"}, Signature((spec,), (spec,))))
real = os.fsync
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
kept.put("key", value)
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    store = Store(tmp_path)
    assert store.get("key") is None and len(objects(store)) == 1
    assert [p.name for p in tmp_path.rglob(".*.part")], "the killed writer left a stray"
    store.prepare()
    assert [p.name for p in tmp_path.rglob(".*.part")] == []
    assert store.prepared and len(objects(store)) == 1


def test_a_prepared_store_says_that_it_is_a_cache(tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / ".store")
    assert not store.prepared
    store.prepare()
    store.prepare()
    assert (store.root / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    assert sorted(p.name for p in store.root.iterdir()) == [".gitignore", "CACHEDIR.TAG"]


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="a file stands where a folder is needed"):
        Store(tmp_path / "file").prepare()
    with pytest.raises(StorageError):
        Store(tmp_path / "file").put("key", 1)


def test_two_processes_may_share_a_store(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from edgewright.core.store import Store
store = Store(Path(sys.argv[1]))
for i in range(60):
    store.put(["shared", i % 3], {"value": i % 3})
    assert store.get(["shared", i % 3]) == {"value": i % 3}
"""
    running = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], env=os.environ) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert [Store(tmp_path).get(["shared", i]) for i in range(3)] == [{"value": i} for i in range(3)]
