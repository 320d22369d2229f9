"""The contract every kind of export is held to, whoever wrote it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from edgewright.bundles import Bundle, BundleContent, Call, Contract, Golden, Tolerance, Variant, seal
from edgewright.core.errors import EdgewrightError, InputError
from edgewright.core.files import safe_name
from edgewright.core.model import Signature, TensorSpec
from edgewright.core.session import EngineOptions
from edgewright.exports import EXPORTS, Exported, export, make
from edgewright.exports.making import CARD, README
from edgewright.testing.tiny import TINY_PREPROCESSING, tiny_data, tiny_model

HOSTILE = (
    '"""\'\'\'\\', "*/ //", "${USER} $(id) `id`", "</string><x>", "{{ x }} @@name|raw@@ %s {0}", "import", "9\n\t\r# a",
    "\u202e\u2028é\U0001f600", "-->]]>", "|| true; #",
)  # fmt: skip
"""Names that end strings, comments and lines somewhere."""
CANARY = "zqx"
"""In every hostile name: where it shows up, it must be quoted."""


def check_export(kind: str, bundle: Bundle, folder: Path) -> Exported:
    """Make the export called ``kind`` of ``bundle`` and hold it to the contract; what was made.

    The same bundle gives the same bytes, as a folder and as a .zip; every name is safe; no place of a template is
    left; README and card tell the bundle's digest, its signer, and whether the kind is verified; a folder that holds
    something else is left as it was, and so is all where the bundle does not verify. Raises AssertionError naming the
    broken clause.
    """
    made = make(bundle, kind)
    assert make(bundle, kind).files == made.files, f"{kind}: the same bundle gives other bytes"
    for name, data in made.files.items():
        assert safe_name(name) == name and name.isascii() and name.isprintable(), f"{kind}: {name!r} is not safe"
        assert not (b"@@" in data and _text(data)), f"{kind}: {name} has a place of its template left"
        assert not name.endswith(".in") and "__" not in name.replace("__init__", ""), f"{kind}: {name} is a template"
    _check_told(kind, made, bundle)
    written = export(bundle, kind, folder / "made")
    assert written.path is not None and written.size_bytes == made.size_bytes
    there = {path.relative_to(written.path).as_posix(): path for path in written.path.rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in there.items()} == dict(made.files), (
        f"{kind}: other files lie there"
    )
    assert not any(path.stat().st_mode & 0o022 for path in there.values()), f"{kind}: others may write its files"
    export(bundle, kind, folder / "made")  # its own is replaced
    archives = [export(bundle, kind, folder / f"{number}.zip").path for number in (1, 2)]
    assert len({path.read_bytes() for path in archives if path is not None}) == 1, f"{kind}: two zips differ"
    _check_refusals(kind, bundle, folder)
    return made


def check_hostile(kind: str, folder: Path) -> Exported | None:
    """The export of a bundle whose names are hostile; None where the kind refuses such a bundle with a clear error.

    What comes of it is for the kind's own test to parse. Raises AssertionError.
    """
    try:
        made = make(hostile_bundle(folder / "bundle"), kind)
    except InputError as error:
        assert "\n" not in str(error), f"{kind}: the refusal is no line"
        return None
    for name in made.files:
        assert safe_name(name) == name and name.isascii() and CANARY not in name, f"{kind}: {name!r} is not safe"
    return made


def _text(data: bytes) -> bool:
    return b"\0" not in data[:1024]


def _check_told(kind: str, made: Exported, bundle: Bundle) -> None:
    readme, card = made.files[README].decode(), json.loads(made.files[CARD])
    chosen = EXPORTS[kind]()
    for sentence in (chosen.title, chosen.needs, chosen.untested):
        assert sentence and "\n" not in sentence, f"{kind} does not tell what it is, needs, or what nobody tried"
    assert bundle.digest in readme and bundle.signer.id in readme, f"{kind}: its README does not name the bundle"
    assert ("**Unverified.**" in readme) == (not chosen.tested), f"{kind}: its README does not say what is verified"
    assert card["bundle"]["digest"] == bundle.digest and card["verified"] == bool(chosen.tested) == made.verified
    assert json.loads(json.dumps(made.to_json()))["size_bytes"] == made.size_bytes
    elsewhere = [
        name for name, data in made.files.items() if bundle.digest.encode() in data and name not in (README, CARD)
    ]
    assert elsewhere, f"{kind}: nothing but its README knows which bundle it is of"


def _check_refusals(kind: str, bundle: Bundle, folder: Path) -> None:
    kept = folder / "kept"
    kept.mkdir()
    (kept / "mine.txt").write_text("mine")
    refused(lambda: export(bundle, kind, kept))
    assert [path.name for path in kept.iterdir()] == ["mine.txt"], f"{kind} wrote into somebody's folder"
    bundle.write(folder / "spoilt")
    with (folder / "spoilt" / "manifest.json").open("ab") as stream:
        stream.write(b" ")
    for out in (folder / "nothing", folder / "nothing.zip"):
        refused(partial(export, folder / "spoilt", kind, out, [bundle.signer]))
        assert not out.exists(), f"{kind} wrote something of a bundle that does not verify"
    left = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    assert not left, f"{kind} left {left}"


def refused(call: Callable[[], Any]) -> None:
    """Assert that ``call`` raises an error of ours, of one line."""
    try:
        call()
    except EdgewrightError as error:
        assert "\n" not in str(error)
    else:
        raise AssertionError("it was not refused")


def hostile_bundle(folder: Path) -> Bundle:
    """A sealed bundle of the tiny model, whose tensors, sizes, labels and texts have the names of ``HOSTILE``.

    It verifies; nothing runs it, as its model's own names are others.
    """
    image = tiny_data(1)["image"][:1]
    names = [f"{CANARY}{text}" for text in HOSTILE]
    model = tiny_model()
    (given,), (answered,) = model.signature.inputs, model.signature.outputs
    signature = Signature(
        (TensorSpec(names[0], given.dtype, (names[1], 3, 12, 12)),),
        tuple(TensorSpec(name, answered.dtype, (names[2], 5)) for name in names),
    )
    outputs = {name: image.reshape(1, -1)[:, :5].copy() for name in names}
    golden = Golden((Call({names[0]: image}, outputs),), dict.fromkeys(names, Tolerance(1e-4, 1e-4)))
    variant = Variant("onnxruntime", EngineOptions(), replace(model, signature=signature))
    content = BundleContent(
        "9-Hostile.name+x", "1", model.digest, (variant,), golden, Contract("host"),
        preprocessing={**TINY_PREPROCESSING.to_json(), names[3]: names[4]},
        postprocessing={"output": names[0], names[5]: [names[6]]}, labels=tuple(names), task=names[7], licence=names[8],
    )  # fmt: skip
    return seal(content, folder)
