"""The contract every format is held to, whoever wrote it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from edgewright.core.errors import InputError
from edgewright.core.model import Model, Signature
from edgewright.engines.agreement import agreement, sample_inputs
from edgewright.formats import FORMATS, Format, load, save


def check_format(name: str, path: Path, folder: Path, reference: Model | None = None, floor_db: float = 80.0) -> Model:
    """Load the file at ``path`` by the format called ``name`` and hold it to the contract; the model.

    This format and no other claims the file; loading twice gives the same model, whose parts survive JSON; an option
    it does not know is refused; saved into ``folder`` and loaded again it is the same model with the same signature;
    it opens in an engine and answers like ``reference`` to ``floor_db``; damaged copies get a clear error. Raises
    AssertionError naming the broken clause.
    """
    found: Format = FORMATS[name]()
    head = path.read_bytes()[:4096]
    claims = [other for other in FORMATS if FORMATS[other]().sniff(path, head)]
    assert claims == [name], f"{path.name} is claimed by {claims}, not by {name} alone"
    assert not found.accepts(path) and not found.accepts(object()), f"{name} claims any object"
    before = path.read_bytes()
    model = load(path)
    assert path.read_bytes() == before, f"{name} changed the file it read"
    again = load(path)
    assert again == model and again.signature == model.signature, f"{name}: the same file gives another model"
    assert again.lineage == model.lineage, f"{name}: the same file gives another lineage"
    written = json.loads(json.dumps([model.signature.to_json(), [step.to_json() for step in model.lineage]]))
    assert Signature.from_json(written[0]) == model.signature, f"{name}: the signature does not survive JSON"
    one_line(lambda: load(path, no_such_option=1), "an unknown option")
    kept = load(save(model, folder / "saved"))
    assert kept == model and kept.signature == model.signature, f"{name}: the model does not survive saving"
    close = agreement(reference or model, model, sample_inputs(model.signature, 3))
    assert close.sqnr_db >= floor_db and close.mismatched == 0, f"{name} answers otherwise: {close}"
    check_damaged(path, folder / "damaged")
    return model


def check_conversion(name: str, model: Model, folder: Path, floor_db: float = 80.0) -> Model:
    """Convert ``model`` to the format called ``name``, hold that to the contract, and the file it is saved as.

    Names and dtypes stay, sizes stay or become unnamed; the lineage gains one step that names its parent; the same
    bytes come out of a second conversion; the answers stay within ``floor_db``.
    """
    found: Format = FORMATS[name]()
    made = found.convert(model)
    assert made.format == name and made == found.convert(model), f"{name}: a second conversion gives other bytes"
    for side in ("inputs", "outputs"):
        pairs = list(zip(getattr(model.signature, side), getattr(made.signature, side), strict=True))
        for old, new in pairs:
            sizes = tuple(size if isinstance(size, int) else None for size in new.shape)
            fixed = tuple(size if isinstance(size, int) else None for size in old.shape)
            assert dataclasses.replace(new, shape=sizes) == dataclasses.replace(old, shape=fixed), (
                f"{name}: {old} became {new}"
            )
    assert made.lineage[-1].parent == model.digest, f"{name}: the lineage does not name what was converted"
    loaded = check_format(name, save(made, folder / "made"), folder, model, floor_db)
    assert loaded == made and loaded.signature == made.signature, f"{name}: written and read are not the same"
    return made


def check_damaged(path: Path, folder: Path) -> None:
    """Empty, truncated, overwritten and random copies of a file, its companions beside it, get a clear InputError."""
    folder.mkdir()
    for other in path.parent.iterdir():
        if other.is_file() and other != path:
            (folder / other.name).write_bytes(other.read_bytes())
    copy = folder / path.name
    for what, data in damages(path.read_bytes()):
        copy.write_bytes(data)
        one_line(lambda: load(copy), what, str(copy))
    copy.unlink()
    one_line(lambda: load(copy), "a missing file", str(copy))
    copy.mkdir()
    one_line(lambda: load(copy), "a folder", str(copy))


def damages(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Ways a file breaks that no reader may take for whole."""
    noise = np.random.default_rng(0)
    yield "an empty file", b""
    yield "one byte", data[:1]
    yield "half a file", data[: len(data) // 2]
    yield "another format's bytes", b"<html><body>404 Not Found</body></html>"
    yield "a file of zeros", bytes(len(data))
    yield "a file of noise", noise.bytes(len(data))


def one_line(call: Callable[[], object], what: str, mention: str = "") -> str:
    """The message of the InputError that ``call`` raises: one readable line, short, that mentions the file."""
    try:
        call()
    except InputError as error:
        text = str(error)
    else:
        raise AssertionError(f"{what} was taken for a model")
    assert text and "\n" not in text and text.isprintable(), f"{what}: not one readable line: {text!r}"
    assert len(text.replace(mention, "")) <= 400, f"{what}: too long: {text}"
    assert mention in text, f"{what}: the message does not name the file: {text}"
    return text
