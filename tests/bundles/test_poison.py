"""A trusted signature over nonsense: bounded, refused, and never run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright import bundles
from edgewright.bundles import Limits
from edgewright.bundles.arrays import arrays_bytes, arrays_from
from edgewright.bundles.names import KIND, MANIFEST, SIGNATURE
from edgewright.core.errors import TrustError
from edgewright.trust import SigningKey, sign

Change = Callable[[dict[str, Any], dict[str, bytes]], Any]


def _set(*path: Any, to: Any) -> Change:
    def change(manifest: dict[str, Any], files: dict[str, bytes]) -> None:
        where: Any = manifest
        for step in path[:-1]:
            where = where[step]
        where[path[-1]] = to

    return change


def _drop(*path: Any) -> Change:
    def change(manifest: dict[str, Any], files: dict[str, bytes]) -> None:
        where: Any = manifest
        for step in path[:-1]:
            where = where[step]
        del where[path[-1]]

    return change


def _file(name: str, data: bytes) -> Change:
    return lambda manifest, files: files.update({name: data})


SKETCH = "contract/inputs.json"
GOLDEN = "golden/input-0.npy"
X = np.zeros((1, 4), np.float32)
ENTRY = {"sha256": "0" * 64, "size": 1}

POISON: dict[str, tuple[Change, str]] = {
    "a newer schema": (_set("schema", to="edgewright.bundle/2"), "this release knows 'edgewright.bundle/1'"),
    "no schema": (_drop("schema"), "has no 'schema'"),
    "a number for a schema": (_set("schema", to=1), "not a str"),
    "an unknown key": (_set("hook", to="import os"), "unknown key 'hook'"),
    "an unknown inner key": (_set("contract", "hook", to=1), "unknown key 'hook'"),
    "a missing key": (_drop("labels"), "no 'labels'"),
    "a number for a name": (_set("name", to=7), "not a str"),
    "a name that is a path": (_set("name", to="../x"), "the name"),
    "a source that is no digest": (_set("source", to="x"), "not a digest"),
    "labels that are no strings": (_set("labels", to=[1]), "not a string"),
    "files that are a list": (_set("files", to=[]), "not a dict"),
    "a file with a negative size": (_set("files", "bom.cdx.json", "size", to=-1), "negative"),
    "a file with a true size": (_set("files", "bom.cdx.json", "size", to=True), "not a int"),
    "a file beyond the limit": (_set("files", "bom.cdx.json", "size", to=2**40), "more than the"),
    "an escaping file": (_set("files", "../x", to=ENTRY), "not portable"),
    "an absolute file": (_set("files", "/etc/passwd", to=ENTRY), "not portable"),
    "a hidden file": (_set("files", ".ssh/key", to=ENTRY), "not portable"),
    "a backslash": (_set("files", "a\\b", to=ENTRY), "not portable"),
    "a trailing dot": (_set("files", "a./b", to=ENTRY), "not portable"),
    "a device of Windows": (_set("files", "aux.json", to=ENTRY), "reserved"),
    "a name too long": (_set("files", "a" * 101, to=ENTRY), "too long"),
    "a case twin": (_set("files", "BOM.cdx.json", to=ENTRY), "one on some file systems"),
    "a twin folder": (_set("files", "Models/x", to=ENTRY), "one on some file systems"),
    "a file that is a folder": (_set("files", "models/onnxruntime", to=ENTRY), "both a file and a folder"),
    "the manifest itself": (_set("files", "manifest.json", to=ENTRY), "one on some file systems"),
    "the signature itself": (_set("files", "signature.json", to=ENTRY), "one on some file systems"),
    "a file nothing names": (_file("evidence/more.json", b"{}"), "nothing in it names"),
    "a file that is not there": (_set("evidence", to=["x.json", "report.json", "readiness.json"]), "among its files"),
    "a model of another digest": (_set("variants", 0, "digest", to="0" * 64), "digest stated"),
    "a main file that is not there": (_set("variants", 0, "main", to="x"), "main file 'x'"),
    "no threads": (_set("variants", 0, "options", "threads", to=0), "0 threads"),
    "a million threads": (_set("variants", 0, "options", "threads", to=10**6), "threads"),
    "half a thread": (_set("variants", 0, "options", "threads", to=0.5), "not a int"),
    "an unknown level": (_set("variants", 0, "options", "graph_level", to="max"), "none of"),
    "an unknown option": (_set("variants", 0, "options", "library", to="/tmp/x.so"), "unknown key 'library'"),
    "an engine that is a path": (_set("variants", 0, "engine", to="../x"), "among its files"),
    "no variants": (_set("variants", to=[]), "nothing in it names|no model|list index"),
    "a size that is no size": (_set("signature", "inputs", 0, "shape", to=[1.5]), "not a size"),
    "a sense that is none": (_set("contract", "limits", 0, "sense", to="about"), "not max or min"),
    "a guess for a promise": (_set("contract", "measured", "latency_p99_ms", "kind", to="predicted"), "not measured"),
    "a kind that is none": (_set("contract", "measured", "latency_p99_ms", "kind", to="felt"), "kind must be"),
    "a value outside its interval": (_set("contract", "measured", "latency_p99_ms", "value", to=9), "outside"),
    "a tolerance below zero": (_set("golden", "tolerances", "p", "absolute", to=-1), "at least 0"),
    "no tolerance": (_set("golden", "tolerances", to={}), "tolerances"),
    "a golden input of another name": (_set("golden", "inputs", to={"y": GOLDEN}), "not the model's"),
    "a golden file that is a list": (_set("golden", "inputs", to={"x": [GOLDEN]}), "among its files"),
    "golden inputs of another shape": (_file(GOLDEN, arrays_bytes([X[:, :3]] * 3)), "does not fit"),
    "golden inputs of another type": (_file(GOLDEN, arrays_bytes([X.astype("f8")] * 3)), "does not fit"),
    "fewer golden inputs than outputs": (_file(GOLDEN, arrays_bytes([X])), "zip"),
    "no golden inputs": (_file(GOLDEN, b""), "zip"),
    "a pickle": (_file(GOLDEN, b"\x80\x04K\x01."), "not a .npy"),
    "a sketch that is none": (_file(SKETCH, b'{"x": {}}'), "not a sketch"),
    "a sketch of NaN": (_file(SKETCH, b'{"x": NaN}'), "NaN"),
    "sketches twice": (_file(SKETCH, b'{"x": 1, "x": 1}'), "twice"),
    "sketches nested deeply": (_file(SKETCH, b"[" * 100_000), "nested"),
}  # fmt: skip


@pytest.mark.parametrize("what", POISON)
def test_signed_poison(poison: Callable[[Change], Path], key: SigningKey, what: str) -> None:
    change, reason = POISON[what]
    path = poison(change)
    with pytest.raises(TrustError, match=reason):
        bundles.verify(path, [key.public])


def test_signing_again_is_what_the_table_needs(poison: Callable[[Change], Path], key: SigningKey) -> None:
    assert bundles.verify(poison(_set("task", to="other")), [key.public]).content.task == "other"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"schema": "edgewright.bundle/1", "schema": "edgewright.bundle/1"}', "twice"),
        (b'{"schema": NaN}', "NaN"),
        (b"[" * 100_000, "nested"),
        (b"", "not JSON"),
        (b"null", "not an object"),
        (b"[]", "not an object"),
        (b'{"schema": "\xff"}', "UTF-8"),
    ],
)
def test_signed_text_that_is_no_manifest(sealed: Path, key: SigningKey, text: bytes, reason: str) -> None:
    (sealed / MANIFEST).write_bytes(text)
    (sealed / SIGNATURE).write_bytes(sign(text, KIND, key))
    with pytest.raises(TrustError, match=reason):
        bundles.verify(sealed, [key.public])


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(manifest_bytes=100), "manifest.json has"),
        (Limits(file_bytes=100), "would have"),
        (Limits(total_bytes=100), "its files would have"),
        (Limits(files=3), "files, more than the 3"),
    ],
)
def test_limits_hold(pristine: Path, key: SigningKey, limits: Limits, reason: str) -> None:
    with pytest.raises(TrustError, match=reason):
        bundles.verify(pristine, [key.public], limits)


GOOD = arrays_bytes([X])


def _npy(header: bytes, body: bytes = b"") -> bytes:
    text = header + b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


def test_the_helper_writes_what_numpy_writes() -> None:
    assert _npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4), }", bytes(16)) == GOOD


@pytest.mark.parametrize(
    ("descr", "shape", "body"),
    [
        (b"'<f4'", b"(1, 4)", bytes(15)),
        (b"'<f4'", b"(1, 4)", bytes(17)),
        (b"'<f4'", b"(1, 4)", bytes(16) + GOOD[:20]),
        (b"'>f4'", b"(1, 4)", bytes(16)),
        (b"'|O'", b"(2,)", bytes(16)),
        (b"'|V4'", b"(4,)", bytes(16)),
        (b"'<f9'", b"(4,)", bytes(36)),
        (b"'<U0'", b"(4,)", b""),
        (b"[('a', '<f4')]", b"(4,)", bytes(16)),
        (b"'<f4'", b"(__import__('os').abort(),)", bytes(16)),
        (b"'<f4'", b"(-4,)", bytes(16)),
        (b"'<f4'", b"(4)", bytes(16)),
        (b"'<f4'", b"(1,4)", bytes(16)),
        (b"'<f4'", b"(04,)", bytes(16)),
        (b"'<f4'", b"(4611686018427387904, 4)", b""),
        (b"'<f4'", b"(99999999999, 99999999999)", b""),
        (b"'<f4'", b"(0, 99999999999999999999)", b""),
        (b"'<f4'", b"(" + b"1, " * 20 + b"4)", bytes(16)),
        (b"'<U1'", b"(1,)", b"\xff\xff\xff\xff"),
        (b"'<U1'", b"(1,)", b"\x00\xd8\x00\x00"),
    ],
)
def test_arrays_have_one_spelling_and_are_never_evaluated(descr: bytes, shape: bytes, body: bytes) -> None:
    data = _npy(b"{'descr': " + descr + b", 'fortran_order': False, 'shape': " + shape + b", }", body)
    with pytest.raises(ValueError):  # numpy's own for some
        arrays_from(data)


@pytest.mark.parametrize(
    "data",
    [
        GOOD[:8],
        GOOD[:-1],
        b"\x94" + GOOD[1:],
        GOOD.replace(b"\x01\x00", b"\x02\x00", 1),
        GOOD.replace(b"False", b"True "),
    ],
)
def test_what_is_no_npy_file(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\.npy"):
        arrays_from(data)
