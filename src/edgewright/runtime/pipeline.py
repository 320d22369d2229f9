"""Pipeline: image files in, named classes out, around a model's session, as its bundle declares it.

Requests of tensors pass through untouched. What decoding and deciding take is part of the run: the statistics tell it,
and the scheduler expects it of each request by the size of its images. Decoding is that of ``datasets``, which gave the
tensors that ``optimize`` measured.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import EdgewrightError, EngineError, InputError, MissingExtra
from edgewright.core.model import Signature, TensorSpec
from edgewright.core.session import Arrays, Session
from edgewright.datasets.conform import check_shape
from edgewright.datasets.decode import FILE_LIMIT, PIXEL_LIMIT, decode, header_pixels
from edgewright.datasets.postprocessing import INDICES, LABELS, SCORES, Postprocessing
from edgewright.datasets.preprocessing import Preprocessing
from edgewright.runtime.cache import Cache, image_key

MOST_IMAGES = 256
"""In one request; all of them together decode to ``PIXEL_LIMIT`` pixels at most."""
_WORTH = 16_384
"""Pixels that take as long as a file's header, a call of the decoder, and ranking."""
_BASE64 = 2**18
"""Characters that are unpacked at a time."""
_RATE, _WINDOW = 1e-8, 64
"""Seconds a pixel until one was seen, and requests that are remembered."""
_now = time.perf_counter


class Pipeline:
    """``preprocessing`` belongs to the model's only input, ``postprocessing`` to an output; either may be None.

    Raises InputError when what is declared does not fit the signature.
    """

    def __init__(
        self, signature: Signature, preprocessing: Preprocessing | None, postprocessing: Postprocessing | None = None,
        labels: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.preprocessing, self.postprocessing, self.labels = preprocessing, postprocessing, labels
        self.input: TensorSpec | None = None
        if preprocessing is not None:
            if len(signature.inputs) != 1:
                raise InputError(f"a preprocessing is declared, and the model has {len(signature.inputs)} inputs")
            self.input = signature.inputs[0]
            check_shape(self.input, preprocessing.shape, preprocessing.dtype, "the declared preprocessing")
        if postprocessing is not None:
            postprocessing.fits(signature)
        self.lacking = _lacking() if preprocessing is not None else ""
        """Why image files cannot be read here, "" when they can."""
        self._rates: deque[float] = deque(maxlen=_WINDOW)
        self._rate = _RATE
        self._cache: Cache | None = None
        self._owner: object = None

    def remember(self, cache: Cache, owner: object) -> None:
        """Keep images that were decoded and fitted in ``cache``, until ``owner`` is forgotten there."""
        self._cache, self._owner = cache, owner

    @classmethod
    def declared(
        cls, signature: Signature, preprocessing: Mapping[str, Any] | None, postprocessing: Mapping[str, Any] | None,
        labels: tuple[str, ...] = (),
    ) -> Pipeline:  # fmt: skip
        """What a bundle's JSON values declare. Raises InputError."""
        return cls(
            signature,
            None if preprocessing is None else Preprocessing.from_json(preprocessing),
            None if postprocessing is None else Postprocessing.from_json(postprocessing),
            labels,
        )

    def takes(self, inputs: Mapping[str, Any]) -> bool:
        """Whether these inputs are image files, not tensors."""
        if self.input is None:
            return False
        value = inputs.get(self.input.name)
        if isinstance(value, np.ndarray):
            return value.dtype.kind in "OSU"
        return isinstance(value, bytes | bytearray | memoryview | list | tuple)

    def arrays(self, inputs: Mapping[str, Any]) -> Arrays:
        """The inputs of a program in this process: a file's bytes, or a list of such, become an array (n,)."""
        if self.input is None or not self.takes(inputs) or isinstance(inputs[self.input.name], np.ndarray):
            return inputs
        value = inputs[self.input.name]
        files = list(value) if isinstance(value, list | tuple) else [value]
        made = np.empty(len(files), object)
        for place, file in enumerate(files):  # one by one: numpy would look into a list of lists
            made[place] = file
        return {**inputs, self.input.name: made}

    def tensors(self, inputs: Mapping[str, Any]) -> tuple[Arrays, int]:
        """What the model takes, of image files (n,) or (n, 1): JPEG, PNG or BMP, text being base64. And their pixels,
        each file's own costs counted as ``_WORTH`` of them.

        Raises InputError, naming the image by its place, for what is no image or too much; EngineError without Pillow.
        """
        if self.lacking:
            raise EngineError(f"this server cannot read image files, send the tensor: {self.lacking}")
        assert self.preprocessing is not None and self.input is not None  # noqa: S101 - ``takes`` said so
        if len(inputs) != 1:
            raise InputError(f"the model takes {self.input.name!r} alone, got {sorted(inputs)}")
        files: NDArray[Any] = self.arrays(inputs)[self.input.name]
        wanted = self.input.shape[0] if self.input.shape else None
        if files.ndim not in (1, 2) or files.size != files.shape[0] or not files.size:
            raise InputError(f"images come as one element each, shape [n]; got {list(files.shape)}")
        if files.size > MOST_IMAGES:
            raise InputError(f"a request holds {MOST_IMAGES} images at most, got {files.size}; send several")
        if isinstance(wanted, int) and wanted != files.size:
            raise InputError(f"the model takes {wanted} image{'' if wanted == 1 else 's'} at a time, got {files.size}")
        made, fitted, left = self.preprocessing, [], PIXEL_LIMIT
        for place, file in enumerate(files.ravel().tolist()):
            name = f"image {place} of input {self.input.name!r}" if files.size > 1 else f"input {self.input.name!r}"
            image, seen = self._fitted(_raw(file, name), name, left)
            left -= seen
            fitted.append(image)
        batch = fitted[0][None] if len(fitted) == 1 else np.stack(fitted)
        return {self.input.name: made.finish(batch)}, PIXEL_LIMIT - left + _WORTH * len(fitted)

    def _fitted(self, file: bytes, name: str, most: int) -> tuple[NDArray[Any], int]:
        """An image of the declared size, still in pixels, and how many pixels were decoded for it."""
        made = self.preprocessing
        assert made is not None  # noqa: S101 - ``takes`` said so
        key = b"" if self._cache is None else image_key(file, made.to_json())
        known = None if self._cache is None else self._cache.find(key)
        if known is not None:
            return known["image"], 0
        pixels = _pixels(file, made.channels, name, most)
        image = made.fitted(pixels, name)
        if self._cache is not None:
            image = self._cache.keep(self._owner, key, {"image": image})["image"]
        return image, pixels.shape[0] * pixels.shape[1]

    def infer(self, session: Session, inputs: Arrays) -> tuple[Arrays, float]:
        """The session's outputs, for image files with the declared decision among them, and how many s went by besides
        the session's own run. Raises as ``tensors`` and the session do."""
        if not self.takes(inputs):
            return session.infer(inputs), 0.0
        begin = _now()
        tensors, pixels = self.tensors(inputs)
        ready = _now()
        outputs = session.infer(tensors)
        done = _now()
        if self.postprocessing is not None:
            try:
                outputs.update(self.postprocessing.apply(outputs, self.labels))
            except InputError as error:  # the model's fault, or the bundle's, and not the caller's
                raise EngineError(str(error)) from error
        beside = ready - begin + _now() - done
        self._rates.append(beside / pixels)
        self._rate = sorted(self._rates.copy())[len(self._rates) // 2]
        return outputs, beside

    def expected_s(self, inputs: Mapping[str, Any]) -> float:
        """What decoding and deciding will take, in s, by the sizes in the files' headers; 0.0 for tensors.

        A request of its own kind: a giant's time must not be expected of the next one, nor a file's of a tensor.
        """
        if self.input is None or not self.takes(inputs):
            return 0.0
        files = self.arrays(inputs)[self.input.name].ravel().tolist()
        return self._rate * sum([_WORTH + min(_pixels_told(file), PIXEL_LIMIT) for file in files[:MOST_IMAGES]])

    def told(self) -> dict[str, Any]:
        """What the model's metadata say of it, under ``parameters``."""
        value: dict[str, Any] = {"labels": list(self.labels)}
        if self.preprocessing is not None and self.input is not None and not self.lacking:
            value["images"] = {
                "input": self.input.name, "datatype": "BYTES", "shape": [-1], "formats": ["JPEG", "PNG", "BMP"],
                "most_images": MOST_IMAGES, "most_bytes": FILE_LIMIT, "most_pixels": PIXEL_LIMIT,
            }  # fmt: skip
        if self.preprocessing is not None:
            value["preprocessing"] = self.preprocessing.to_json()
        if self.postprocessing is not None:
            value["postprocessing"] = self.postprocessing.to_json()
            if "images" in value:
                kinds = {SCORES: "FP32", INDICES: "INT64", LABELS: "BYTES"}
                value["image_outputs"] = [{"name": n, "datatype": kinds[n], "shape": [-1, -1]} for n in kinds]
        return value


def _lacking() -> str:
    """Why no file can be decoded here. What decoding imports is then imported, and no request waits for it."""
    try:
        decode(_SPECK, 1)
    except MissingExtra as error:
        return str(error)
    return ""


_SPECK = b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x18" + bytes(29)
"""A bitmap of one black pixel."""


def _pixels(data: bytes, channels: int, name: str, most: int) -> NDArray[np.uint8]:
    try:
        return decode(data, channels, name, most)
    except EdgewrightError:
        raise
    except Exception as error:  # whatever a reader of hostile files raises is this request's fault
        raise InputError(f"{name} is damaged ({type(error).__name__}); send it again") from error


def _part(text: str, start: int) -> bytes:
    """A part of what base64 holds: all at once, the interpreter would be held for 100 ms."""
    part = text[start : start + _BASE64]
    if "=" in part and start + _BASE64 < len(text):
        raise ValueError
    return base64.b64decode(part, validate=True)


def _pixels_told(file: Any) -> int:
    if isinstance(file, bytes):
        return header_pixels(file)
    return len(file) if isinstance(file, str) else 0  # base64: not unpacked for a guess


def _raw(file: Any, name: str) -> bytes:
    """One element's bytes; text, which is all that JSON has, holds them as base64."""
    if isinstance(file, bytes | bytearray | memoryview):
        return bytes(file)
    if not isinstance(file, str):
        raise InputError(f"{name} is a {type(file).__name__}; give an image file's bytes")
    if len(file) > FILE_LIMIT * 4 // 3 + 4:
        raise InputError(f"{name} is larger than the {FILE_LIMIT:,} bytes an image may have")
    try:
        return b"".join([_part(file, start) for start in range(0, len(file), _BASE64)])
    except (binascii.Error, ValueError) as error:
        raise InputError(f"{name} is text that is no base64; send the file's bytes, or those in base64") from error
