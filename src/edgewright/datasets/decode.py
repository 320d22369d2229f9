"""Image files to pixels: JPEG, PNG and BMP through Pillow, bounded, with one clear error for whatever is wrong."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError, MissingExtra

FILE_LIMIT = 64 * 2**20
"""Bytes one image file may have."""
PIXEL_LIMIT = 64 * 10**6
"""Pixels one image may decode to: a bomb of a few kilobytes is refused before a pixel is made."""
_BAND = 2**22
"""Pixels that are handed over at a time."""
_SCANS = 100
"""Scans of a progressive JPEG: encoders write about ten, and each is one more pass over all pixels."""
_BROKEN = (OSError, SyntaxError, ValueError, TypeError, IndexError, EOFError, OverflowError, struct.error, zlib.error)
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}


def decode(data: bytes, channels: int, name: str = "the image", most_pixels: int | None = None) -> NDArray[np.uint8]:
    """Pixels (H, W, ``channels``) in RGB order. The file's own orientation tag is not applied, as in training.

    Raises InputError, naming the file, when it is truncated, too large, deeper than 8 bits or no image at all.
    """
    image = _open(data, name, most_pixels)
    try:
        wanted = "L" if channels == 1 else "RGB"
        pixels = _pixels(image if image.mode == wanted else image.convert(wanted))
    except _BROKEN as error:
        raise InputError(_says(name, error)) from error
    return pixels[:, :, None] if channels == 1 else pixels


def _pixels(image: Any) -> NDArray[np.uint8]:
    """All pixels, some rows at a time: Pillow hands them over with the interpreter held."""
    width, height = image.size
    rows = max(_BAND // width, 1)
    if rows >= height:
        return np.asarray(image)
    made = np.empty((height, width, len(image.getbands()))[: 3 if len(image.getbands()) > 1 else 2], np.uint8)
    for top in range(0, height, rows):
        made[top : top + rows] = np.asarray(image.crop((0, top, width, min(top + rows, height))))
    return made


def screen(data: bytes, name: str) -> None:
    """What can be told of a file without decoding it: its header, its size, and whether its end is there.

    Cheap enough to run over a whole folder before hours are spent on it; ``decode`` stays the judge.
    """
    image = _open(data, name)
    end = _ENDS.get(image.format or "")
    if end is not None and end not in data[-65536:]:
        raise InputError(f"{name} is truncated: its end is missing; copy it again or remove it")


def header_pixels(data: bytes) -> int:
    """Width times height as an image's header says, without a decoder and unchecked; 0 where it does not say."""
    if data.startswith(b"\x89PNG") and len(data) >= 24:
        width, height = struct.unpack_from(">II", data, 16)
        return int(width * height)
    if data.startswith(b"BM") and len(data) >= 26:
        width, height = struct.unpack_from("<ii", data, 18)
        return int(abs(width * height))
    place = 2
    for _ in range(64 if data.startswith(b"\xff\xd8") else 0):  # segments of a JPEG, up to the frame's (T.81, B.1)
        if place + 9 > len(data) or data[place] != 0xFF:
            break
        marker = data[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, place + 5)
            return int(width * height)
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return 0


def _open(data: bytes, name: str, most_pixels: int | None = None) -> Any:
    """The image with its header read and its size checked, not decoded."""
    try:
        from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin
    except ImportError as error:
        raise MissingExtra("pillow, which reads image files,", "images") from error
    # The plugins themselves, not Image.open: nothing but these three can be reached, and the size check is ours.
    plugins = {
        b"\xff\xd8\xff": JpegImagePlugin.JpegImageFile,
        b"\x89PNG\r\n\x1a\n": PngImagePlugin.PngImageFile,
        b"BM": BmpImagePlugin.BmpImageFile,
    }
    if len(data) > FILE_LIMIT:
        raise InputError(f"{name} has {len(data):,} bytes, more than the {FILE_LIMIT:,} an image may have")
    plugin = next((made for magic, made in plugins.items() if data.startswith(magic)), None)
    if plugin is None:
        found = "empty" if not data else "not a JPEG, PNG or BMP file"
        raise InputError(f"{name} is {found}; replace or remove it")
    try:
        # Within a scan's data a byte FF is followed by 00, so that these two begin a scan (ITU-T T.81, B.1.1.5).
        if plugin is JpegImagePlugin.JpegImageFile and data.count(b"\xff\xda") > _SCANS:
            raise ValueError(f"it has more than {_SCANS} scans")
        image = plugin(io.BytesIO(data))
    except _BROKEN as error:
        raise InputError(_says(name, error)) from error
    width, height = image.size
    most_pixels = PIXEL_LIMIT if most_pixels is None else most_pixels
    if width * height > most_pixels or not width or not height:
        raise InputError(f"{name} has {width:,} x {height:,} pixels; at most {most_pixels:,} are read: make it smaller")
    if image.mode.startswith(("I", "F")):
        raise InputError(f"{name} has more than 8 bits a channel ({image.mode}); convert it to 8 bits")
    return image


def _says(name: str, error: BaseException) -> str:
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    kind = "truncated" if "truncated" in reason.lower() else "damaged"
    return f"{name} is {kind} ({reason}); copy it again or remove it"
