"""scikit-learn: fitted estimators, live or in ``.skops`` files, turned into ONNX.

A ``.skops`` file names the types it is made of; only scikit-learn's own (and the numpy and scipy types skops trusts)
are built, in a child process that is shut in. Pickles (``.pkl``, ``.joblib``) are refused, with what to do instead.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewright.core.digests import digest_bytes
from edgewright.core.errors import InputError
from edgewright.core.files import read_file
from edgewright.core.model import Model, Step
from edgewright.formats.hostile import ask, collect, folder_of
from edgewright.formats.libraries import require

_LIMIT = 4 * 2**30
_PICKLES = (".pkl", ".pickle", ".joblib", ".sav")
_WRITTEN = "estimator.onnx"


class SklearnModel:
    """The format."""

    name = "sklearn"

    def sniff(self, path: Path, head: bytes) -> bool:
        """By suffix, or a pickle's first two bytes. Pickles are claimed for ``load`` to say why not."""
        pickled = head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
        return path.suffix.lower() in (".skops", *_PICKLES) or pickled

    def accepts(self, live: Any) -> bool:
        """An estimator, known without importing scikit-learn."""
        return any(
            kind.__module__ == "sklearn.base" and kind.__name__ == "BaseEstimator" for kind in type(live).__mro__
        )

    def load(self, source: Any, **options: Any) -> Model:
        """The ONNX Model of a ``.skops`` file or a live estimator, fitted.

        One input ``X`` (batch, features) in float32. A classifier gives ``label`` and ``probabilities`` (``scores``
        where it has none), a regressor ``prediction``, a transformer ``transformed``. For a live estimator
        ``example`` (rows, features) names rows on which its answers are compared with the result's; noise by default.
        """
        if not isinstance(source, str | Path):
            require("skl2onnx")
            return self._load_live(source, **options)
        if options:
            raise InputError(f"a .skops file takes no option {next(iter(options))!r}")
        path = Path(source)
        if path.suffix.lower() != ".skops":
            raise InputError(
                f"{path} is a pickle, which can run code when it is read; save the estimator with "
                "skops.io.dump(model, 'model.skops'), or pass the live estimator in Python"
            )
        require("sklearn", "skl2onnx", "skops")
        data = read_file(path, _LIMIT)
        _check_archive(path)
        with folder_of({"estimator.skops": data}) as folder:
            facts = ask("edgewright.formats.sklearnexport:write_in_child", _WRITTEN, folder, str(path))
            written = collect(folder, _WRITTEN, 2**31 - 1)
        kind = str(facts.get("estimator", "")) if isinstance(facts, Mapping) else ""
        step = Step("export", {"from": "skops", "estimator": kind[:80]}, digest_bytes(data))
        return _with_step(written, str(path), step)

    def _load_live(self, live: Any, example: Any = None, **unknown: Any) -> Model:
        if unknown:
            raise InputError(f"a live estimator takes example, not {next(iter(unknown))!r}")
        from edgewright.formats.sklearnexport import to_onnx

        data, kind = to_onnx(live, example), type(live).__name__
        return _with_step(data, kind, Step("export", {"from": "estimator", "estimator": kind}, digest_bytes(data)))

    def convert(self, model: Model) -> Model:
        """There is no way back to an estimator."""
        raise InputError(f"there is no route from {model.format} to scikit-learn; start from the estimator itself")


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise InputError(f"{path} is not a whole .skops file; save the estimator again") from error
    if sum(entry.file_size for entry in entries) > _LIMIT:
        raise InputError(f"{path} unpacks to more than {_LIMIT:,} bytes; save a smaller estimator")
    if not any(entry.filename == "schema.json" for entry in entries):
        raise InputError(f"{path} holds no schema.json, so it is no .skops file; save it with skops.io.dump")


def _with_step(data: bytes, name: str, step: Step) -> Model:
    from edgewright.formats.onnx import from_bytes

    found = from_bytes(data, name)
    return Model(found.format, found.main, found.files, found.signature, (step, *found.lineage))
