"""PyTorch: exported programs (``.pt2``) in files, and live modules, turned into ONNX.

Reading a ``.pt2`` unpickles parts of it, which can run code, so it happens in a child process that is shut in.
Pickled ``.pt`` and ``.pth`` files and TorchScript are refused, with what to do instead.
"""

from __future__ import annotations

import functools
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewright.core.digests import digest_bytes
from edgewright.core.errors import InputError
from edgewright.core.files import read_file
from edgewright.core.model import Model, Step
from edgewright.formats.beside import MAIN, read_beside
from edgewright.formats.hostile import ask, collect, folder_of
from edgewright.formats.libraries import require

_LIMIT = 16 * 2**30
_MAX_ENTRIES = 200_000
_EXPORT_S = 900
_HOW = (
    "torch.export.save(torch.export.export(model.eval(), (example,)), 'model.pt2'), or pass the live module in Python"
)


class ExportedProgram:
    """The format."""

    name = "exported"

    def sniff(self, path: Path, head: bytes) -> bool:
        """By suffix. Pickled files are claimed too, for ``load`` to say why not."""
        return path.suffix.lower() in (".pt2", ".pt", ".pth", ".ckpt")

    def accepts(self, live: Any) -> bool:
        """A ``torch.nn.Module`` or a ``torch.export.ExportedProgram``, known without importing PyTorch."""
        kinds = {(kind.__module__, kind.__name__) for kind in type(live).__mro__}
        return bool(
            kinds & {("torch.nn.modules.module", "Module"), ("torch.export.exported_program", "ExportedProgram")}
        )

    def load(self, source: Any, **options: Any) -> Model:
        """The ONNX Model of a ``.pt2`` file, a live module or a live exported program.

        A live module needs ``example``: a tensor, a tuple of them (positional) or a dict (by name), each with the
        batch first. ``dynamic_batch=False`` keeps the example's batch size for good; by default any batch size
        will do where the module allows it. The answers of the result are compared with the module's own.
        """
        require("torch", "onnxscript")
        if not isinstance(source, str | Path):
            return self._load_live(source, **options)
        if options:
            raise InputError(f"a .pt2 file carries its own example; it takes no option {next(iter(options))!r}")
        path = Path(source)
        data = read_file(path, _LIMIT)
        check_archive(path)
        with folder_of({"program.pt2": data}) as folder:
            function = "edgewright.formats.torchexport:write_in_child"
            facts = ask(function, "program.pt2", folder, str(path), _EXPORT_S)
            step = Step("export", {"from": "pt2", **_known(facts)}, digest_bytes(data))
            return _result(folder, str(path), step)

    def _load_live(self, live: Any, example: Any = None, dynamic_batch: bool = True, **unknown: Any) -> Model:
        if unknown:
            raise InputError(f"a live module takes example and dynamic_batch, not {next(iter(unknown))!r}")
        from edgewright.formats import torchexport

        kind = type(live).__name__
        if not hasattr(live, "parameters"):
            raise InputError(f"a {kind} is no PyTorch module; pass the module itself")
        with folder_of({}) as folder:
            if hasattr(live, "graph_signature"):
                facts = torchexport.write_program(live, folder)
            elif example is None:
                raise InputError(f"a live {kind} needs an example: load(module, example=(tensor,))")
            else:
                facts = torchexport.write_module(live, example, dynamic_batch, folder)
            step = Step("export", {"from": kind, **_known(facts)}, torchexport.digest_weights(live))
            return _result(folder, kind, step)

    def convert(self, model: Model) -> Model:
        """There is no way back to PyTorch."""
        raise InputError(f"there is no route from {model.format} to a PyTorch program; start from the module itself")


def check_archive(path: Path) -> None:
    """InputError unless the file is a whole ``.pt2`` archive of bounded size; says what else it is."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        if path.suffix.lower() == ".pt2":
            raise InputError(f"{path} is not a whole exported program; save it again: {_HOW}") from error
        raise InputError(f"{path} is a pickle, which can run code when it is read; instead: {_HOW}") from error
    names = {entry.filename.partition("/")[2] for entry in entries}
    if len(entries) > _MAX_ENTRIES or sum(entry.file_size for entry in entries) > _LIMIT:
        raise InputError(f"{path} unpacks to more than {_LIMIT:,} bytes; export a smaller model")
    if any(name.startswith("data/aotinductor/") for name in names):
        raise InputError(f"{path} holds compiled code, which Edgewright does not run; instead: {_HOW}")
    if any(name.startswith("code/") for name in names):
        raise InputError(f"{path} is TorchScript, which is no longer read; export the module: {_HOW}")
    if "data.pkl" in names:
        raise InputError(
            f"{path} is a pickled module or state_dict, which can run code when it is read; instead: {_HOW}"
        )
    if not any(name.startswith(("models/", "archive_format")) for name in names) and path.suffix.lower() != ".pt2":
        raise InputError(f"{path} is no exported program; instead: {_HOW}")


def _known(facts: Any) -> dict[str, Any]:
    """What a child tells about its export, cut to what it may tell."""
    facts = facts if isinstance(facts, Mapping) else {}
    return {name: bool(facts.get(name)) for name in ("dynamic_batch", "compared")}


def _result(folder: Path, name: str, step: Step) -> Model:
    from edgewright.formats.onnx import from_bytes
    from edgewright.formats.torchexport import WRITTEN

    path = folder / WRITTEN
    found = from_bytes(collect(folder, WRITTEN, 2**31 - 1), name, functools.partial(read_beside, path, reserved=MAIN))
    return Model(found.format, found.main, found.files, found.signature, (step, *found.lineage))
