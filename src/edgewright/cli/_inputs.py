"""What a file holds, as the inputs of a model whose metadata are known: images, ``.npy``, ``.npz``, JSON."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.core.files import read_file
from edgewright.core.strict import parse_json
from edgewright.datasets.npz import read_npz
from edgewright.runtime.oip.types import NUMPY
from edgewright.runtime.remote import Tensor

_MOST_BYTES = 2**30
_MOST_JSON = 64 * 2**20
_IMAGES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM")


def inputs_of(path: Path, told: Mapping[str, Any]) -> dict[str, Tensor]:
    """The inputs in the file at ``path`` for the model of which ``told`` are the metadata. What it is, its first bytes
    say. Raises InputError for what cannot be read, or does not fit by name or dtype; shapes are the server's matter.
    """
    data = read_file(path, _MOST_BYTES)
    specs = {spec["name"]: spec for spec in told["inputs"]}
    if data.startswith(_IMAGES):
        return _image(data, path, told, specs)
    if data.startswith(b"\x93NUMPY"):
        return _named({_only(specs, path): _npy(data, path)}, specs, path)
    if data.startswith(b"PK"):
        held = read_npz(path).arrays
        return _named({name: array for name, array in held.items() if name in specs}, specs, path)
    if data.lstrip()[:1] in (b"{", b"["):
        return _named(_json(data, specs, path), specs, path)
    found = "is empty" if not data else "is no JPEG, PNG or BMP image, .npy, .npz or JSON file"
    raise InputError(f"{path} {found}; give one of these")


def _image(data: bytes, path: Path, told: Mapping[str, Any], specs: Mapping[str, Any]) -> dict[str, Tensor]:
    file = np.empty(1, object)
    file[0] = data
    parameters = told.get("parameters")
    images = parameters.get("images") if isinstance(parameters, dict) else None
    if isinstance(images, dict) and images.get("input") in specs:
        return {images["input"]: Tensor("BYTES", file)}
    if len(specs) == 1:
        ((name, spec),) = specs.items()
        if spec["datatype"] == "BYTES":  # a model that decodes by itself
            return {name: Tensor("BYTES", file.reshape([1] * max(len(spec.get("shape", [])), 1)))}
    takes = ", ".join(f"{name} {spec['datatype']} {spec.get('shape', [])}" for name, spec in specs.items())
    way = "serve a bundle that declares a preprocessing"
    if isinstance(parameters, dict) and "preprocessing" in parameters:  # ours, and it says what it cannot do
        way = "install there what reads images: pip install 'edgewright[images]'"
    raise InputError(
        f"{path} is an image, and the model takes tensors only: {takes}; {way}, or give a .npy of what the model takes"
    )


def _npy(data: bytes, path: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{path} is no whole .npy file ({str(error)[:100]}); write it again with np.save") from error
    return array


def _json(data: bytes, specs: Mapping[str, Any], path: Path) -> dict[str, NDArray[Any]]:
    """Inputs by name, a request of the protocol, or the only input's value."""
    try:
        value = parse_json(data, _MOST_JSON)
    except ValueError as error:
        raise InputError(f"{path} is no JSON that can be read: {error}") from error
    try:
        if not isinstance(value, dict):
            return {_only(specs, path): _array(value)}
        if "inputs" in value and "inputs" not in specs:
            return {one["name"]: _array(one["data"]).reshape(one["shape"]) for one in value["inputs"]}
        return {name: _array(one) for name, one in value.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is neither inputs by name, nor a request of the protocol, nor one input's value: {error}"
        ) from error


def _array(value: Any) -> NDArray[Any]:
    array = np.asarray(value)
    return array.astype(object) if array.dtype.kind == "U" else array


def _only(specs: Mapping[str, Any], path: Path) -> str:
    if len(specs) != 1:
        raise InputError(f"the model takes {', '.join(specs)}, {path} holds one array; give an .npz with these names")
    return next(iter(specs))


def _named(arrays: Mapping[str, NDArray[Any]], specs: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    absent = [name for name in specs if name not in arrays]
    extra = [name for name in arrays if name not in specs]
    if absent or extra:
        what = f"has no {absent[0]!r}" if absent else f"has {extra[0]!r}"
        raise InputError(f"{path} {what}; the model takes {', '.join(specs)}")
    return {name: Tensor(spec["datatype"], _fitted(arrays[name], spec, path)) for name, spec in specs.items()}


def _fitted(array: NDArray[Any], spec: Mapping[str, Any], path: Path) -> NDArray[Any]:
    """With the dtype the model takes, when no value changes but by rounding of floats, and with a batch axis."""
    name, kind, shape = spec["name"], spec["datatype"], spec.get("shape", [])
    if shape and array.ndim == len(shape) - 1:
        array = array[None]
    if kind == "BYTES":
        if array.dtype.kind not in "OSU":
            raise InputError(f"{name!r} of {path} is {array.dtype}, and the model takes text")
        return array.astype(object)
    wanted = np.dtype("f4") if kind == "BF16" else NUMPY.get(kind)
    if wanted is None or array.dtype.kind not in "biuf":
        raise InputError(f"{name!r} of {path} is {array.dtype}, and the model takes {kind}")
    if array.dtype == wanted:
        return array
    if array.dtype == np.uint8 and wanted.kind == "f" and len(shape) == 4:
        raise InputError(
            f"{name!r} of {path} holds pixels (uint8), and the model takes {kind}; give the image file itself, or "
            "scale and convert as in training"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        made = array.astype(wanted)
        rounded = array.dtype.kind == "f" and wanted.kind == "f"
        same = (wanted.kind == "b") == (array.dtype.kind == "b") and bool((made == array).all())
    if not rounded and not same:
        raise InputError(f"{name!r} of {path} is {array.dtype} and does not fit into {kind}; convert it")
    return made
