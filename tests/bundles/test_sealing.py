"""A sealed bundle gives back what went in, in the same bytes each time, or nothing is written."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright import bundles
from edgewright.bundles import BundleContent, Golden, Tolerance, Variant
from edgewright.bundles.sealing import seal_files
from edgewright.core.errors import InputError, StorageError
from edgewright.core.measurement import Measurement
from edgewright.core.model import Model, Signature, TensorSpec
from edgewright.core.session import EngineOptions
from edgewright.trust import SigningKey


def test_what_went_in_comes_out(content: BundleContent, pristine: Path, key: SigningKey) -> None:
    bundle = bundles.open(pristine, [key.public])
    found = bundle.content
    for field in dataclasses.fields(BundleContent):
        if field.name not in ("golden", "variants"):
            assert getattr(found, field.name) == getattr(content, field.name), field.name
    assert found.golden.tolerances == content.golden.tolerances
    for mine, theirs in zip(found.golden.calls, content.golden.calls, strict=True):
        for a, b in ((mine.inputs, theirs.inputs), (mine.outputs, theirs.outputs)):
            assert a.keys() == b.keys()
            for name in a:
                np.testing.assert_array_equal(a[name], b[name], strict=True)
    variant, original = bundle.variant("onnxruntime"), content.variants[0]
    assert (variant.model, variant.options, variant.engine) == (original.model, original.options, original.engine)
    assert variant.model.signature == original.model.signature
    assert variant.model.lineage == original.model.lineage
    assert variant.engine_version
    assert bundle.signer == key.public
    with bundle.session() as session:
        assert set(session.infer(found.golden.calls[0].inputs)) == {"p", "k"}
    with pytest.raises(InputError, match="it holds: onnxruntime"):
        bundle.variant("openvino")


def test_the_same_bytes_each_time(content: BundleContent, key: SigningKey, pristine: Path, tmp_path: Path) -> None:
    again = bundles.seal(content, tmp_path / "again", key)
    there = {str(p.relative_to(pristine)): p.read_bytes() for p in pristine.rglob("*") if p.is_file()}
    assert dict(again.files) == there
    shuffled = dataclasses.replace(
        content,
        evidence=dict(reversed(content.evidence.items())),
        preprocessing=dict(reversed((content.preprocessing or {}).items())),
    )
    assert seal_files(shuffled, key) == there


def test_the_single_file_has_the_same_bytes_from_either_form(packed: Path, key: SigningKey, tmp_path: Path) -> None:
    bundle = bundles.verify(packed, [key.public])
    bundle.write(tmp_path / "unpacked")
    bundles.verify(tmp_path / "unpacked", [key.public]).pack(tmp_path / "again.ewb")
    assert (tmp_path / "again.ewb").read_bytes() == packed.read_bytes()


def test_the_single_file_is_a_plain_tar(packed: Path, pristine: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xf", packed, "-C", tmp_path / "out"], check=True, capture_output=True)
    mine = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*")}
    assert mine == {str(p.relative_to(pristine)) for p in pristine.rglob("*")}


def test_neither_a_path_nor_the_clock_leaks_in(pristine: Path) -> None:
    text = (pristine / "manifest.json").read_text() + (pristine / "bom.cdx.json").read_text()
    assert str(pristine.parent) not in text
    assert "timestamp" not in text


def test_a_long_name_survives_the_archive(content: BundleContent, key: SigningKey, tmp_path: Path) -> None:
    long = "weights/" + "w" * 90
    model = Model("onnx", "main.onnx", {"main.onnx": b"a", long: b"b" * 600}, content.signature)
    bundle = bundles.seal(
        dataclasses.replace(content, variants=(Variant("onnxruntime", EngineOptions(), model),)), tmp_path / "b", key
    )
    assert bundle.variant().model == model
    bundle.pack(tmp_path / "b.ewb")
    assert bundles.verify(tmp_path / "b.ewb", [key.public]).files == bundle.files


def test_strings_and_other_types_survive(key: SigningKey, content: BundleContent, tmp_path: Path) -> None:
    kinds: dict[str, Any] = {
        "s": np.array(["a", "µé\U0001f600"], dtype=object), "b": np.array([True, False]), "u": np.array(7, np.uint8),
        "h": np.array([[1.5]], np.float16), "e": np.zeros((0, 3), np.float64), "big": np.array([1, 2], ">i4"),
    }  # fmt: skip
    specs = tuple(
        TensorSpec(n, "str" if a.dtype == object else a.dtype.name, tuple(a.shape))
        for n, a in kinds.items()
        if n != "u"
    )
    signature = Signature(specs[:1], specs[1:])
    model = Model("onnx", "m", {"m": b"x"}, signature)
    outputs = {n: a for n, a in kinds.items() if n not in ("s", "u")}
    golden = Golden(
        (bundles.Call({"s": kinds["s"]}, outputs),), {n: Tolerance(0.0, 0.0) for n in ("h", "e")}
    )  # fmt: skip
    made = dataclasses.replace(content, variants=(Variant("onnxruntime", EngineOptions(), model),), golden=golden)
    call = bundles.seal(made, tmp_path / "b", key).content.golden.calls[0]
    assert call.inputs["s"].tolist() == kinds["s"].tolist()
    assert call.inputs["s"].dtype == object
    for name, array in outputs.items():
        np.testing.assert_array_equal(call.outputs[name], array)
        assert call.outputs[name].shape == array.shape


def _model(**change: Any) -> Any:
    def apply(c: BundleContent) -> BundleContent:
        model = c.variants[0].model
        files = {"format": model.format, "main": model.main, "files": model.files, "signature": model.signature}
        return dataclasses.replace(c, variants=(Variant("onnxruntime", EngineOptions(), Model(**{**files, **change})),))

    return apply


def _golden(**change: Any) -> Any:
    return lambda c: dataclasses.replace(c, golden=dataclasses.replace(c.golden, **change))


def _calls(side: str, **change: Any) -> Any:
    def apply(c: BundleContent) -> BundleContent:
        call = c.golden.calls[0]
        return _golden(calls=(dataclasses.replace(call, **{side: {**getattr(call, side), **change}}),))(c)  # type: ignore[no-any-return]

    return apply


def _with(**change: Any) -> Any:
    return lambda c: dataclasses.replace(c, **change)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_with(name="a b"), "the name 'a b' must be"),
        (_with(name=""), "the name '' must be"),
        (_with(version="../1"), "the version"),
        (_with(source="me"), "not a digest"),
        (_with(variants=()), "no model"),
        (lambda c: dataclasses.replace(c, variants=(*c.variants, *c.variants)), "same engine"),
        (_with(evidence={"../report.json": b""}), "not portable"),
        (_with(evidence={"a/b.json": b""}), "plain file name"),
        (_with(evidence={"A": b"", "a": b""}), "one on some file systems"),
        (_with(evidence={"nul.json": b""}), "reserved"),
        (_with(preprocessing={"mean": float("nan")}), "JSON"),
        (_with(preprocessing={"code": print}), "JSON"),
        (_with(recipe=({"pass": {1, 2}},)), "JSON"),
        (_model(files={"model.onnx": b"", "modèle": b""}, main="modèle"), "not portable"),
        (_model(files={"model.onnx": b"", "Model.onnx": b""}, main="model.onnx"), "one on some file systems"),
        (_model(files={"m": b"", "w" * 120: b""}, main="m"), "too long"),
        (_model(signature=Signature((TensorSpec("y", "float32", (1,)),), ())), "which are not the model's"),
        (_golden(calls=()), "0 golden calls"),
        (_golden(tolerances={}), "its tolerances are for"),
        (_golden(tolerances={"p": Tolerance(float("nan"), 0.0)}), "not a finite number"),
        (_golden(tolerances={"p": Tolerance(-1.0, 0.0)}), "not a finite number"),
        (_calls("inputs", y=np.zeros(1)), "which are not the model's"),
        (_calls("inputs", x=np.zeros((1, 5), np.float32)), "does not fit the model"),
        (_calls("inputs", x=np.zeros((1, 4))), "does not fit the model"),
        (_calls("inputs", x=np.zeros((3_000_000, 4), np.float32)), "hold more than"),
        (_calls("outputs", k=np.zeros(1, np.complex64)), "cannot be kept"),
        (_calls("outputs", k=[1]), "no arrays"),
    ],
)  # fmt: skip
def test_content_that_cannot_be_kept_is_refused(
    content: BundleContent, key: SigningKey, tmp_path: Path, change: Any, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        bundles.seal(change(content), tmp_path / "bundle", key)
    assert list(tmp_path.iterdir()) == []


def test_a_prediction_is_not_promised(content: BundleContent, key: SigningKey, tmp_path: Path) -> None:
    guessed = {"latency_p99_ms": Measurement(1.0, "ms", "predicted")}
    assert bundles.promises(guessed, accuracy_floor=90) == ()
    contract = dataclasses.replace(content.contract, measured={**content.contract.measured, **guessed})
    with pytest.raises(InputError, match="was predicted, not measured"):
        bundles.seal(dataclasses.replace(content, contract=contract), tmp_path / "bundle", key)


def test_an_unknown_engine_is_refused(content: BundleContent, key: SigningKey, tmp_path: Path) -> None:
    variant = dataclasses.replace(content.variants[0], engine="steam")
    with pytest.raises(InputError, match="no engine is named 'steam'"):
        bundles.seal(dataclasses.replace(content, variants=(variant,)), tmp_path / "bundle", key)


def test_an_older_bundle_is_replaced_and_nothing_else_is(
    content: BundleContent, sealed: Path, key: SigningKey, tmp_path: Path
) -> None:
    newer = bundles.seal(dataclasses.replace(content, version="2.0.0"), sealed, key)
    assert bundles.verify(sealed, [key.public]).digest == newer.digest
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.tex").write_text("years of work")
    with pytest.raises(StorageError, match="not a bundle"):
        bundles.seal(content, home, key)
    assert (home / "thesis.tex").read_text() == "years of work"
    (tmp_path / "link").symlink_to(sealed)
    with pytest.raises(StorageError, match="it is a link"):
        bundles.seal(content, tmp_path / "link", key)
    with pytest.raises(StorageError, match="name a file"):
        newer.pack(home)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(content: BundleContent, key: SigningKey, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="choose"):
        bundles.seal(content, tmp_path / "bundle", key)


KILLED = """
import os, pickle, signal, sys
from pathlib import Path
from edgewright.bundles.bundle import write_bundle

folder = Path(sys.argv[1])
files = {str(p.relative_to(sys.argv[2])): p.read_bytes() for p in Path(sys.argv[2]).rglob("*") if p.is_file()}
step = 0
while True:
    child = os.fork()
    if child == 0:
        seen = 0
        def die(event, arguments):
            global seen
            if event in ("open", "os.rename", "os.mkdir", "tempfile.mkstemp", "tempfile.mkdtemp", "os.chmod"):
                seen += 1
                if seen > step:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(die)
        write_bundle(folder, files)
        os._exit(0)
    done = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(step, done, sorted(p.name for p in folder.iterdir()) if folder.exists() else None, flush=True)
    if done == 0:
        break
    step += 1
"""


def test_killed_at_any_point_leaves_the_whole_bundle_or_none(pristine: Path, key: SigningKey, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "bundle"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), str(pristine)], capture_output=True, text=True, check=True
    )
    states = [line.split(" ", 2) for line in done.stdout.splitlines()]
    assert len(states) > 20
    assert states[-1][1] == "0"
    whole = str(sorted(p.name for p in pristine.iterdir()))
    assert {state[2] for state in states} == {"None", whole}
    bundles.verify(folder, [key.public])
    # What lies about beside it is hidden, and says by its name that it is a part.
    for stray in folder.parent.iterdir():
        assert stray == folder or (stray.name.startswith(".bundle.") and stray.suffix in (".part", ".old"))
        shutil.rmtree(stray)


def test_the_manifest_reads_well(pristine: Path) -> None:
    text = (pristine / "manifest.json").read_text(encoding="utf-8")
    value = json.loads(text)
    assert value["schema"] == "edgewright.bundle/1"
    assert "three µ" in text
    assert text == json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
