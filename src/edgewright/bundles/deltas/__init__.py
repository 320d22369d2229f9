"""Deltas: a new bundle's files, byte for byte, from the files a device has and a few chunks.

    make_delta(old, new) -> Delta                       hub: ``recipe`` (bytes) and ``chunks`` (digest -> bytes)
    read_recipe(data, sizes) -> Recipe                  device: bounded, and held against signed digests and sizes
    bundle_files(folder) -> have                        device: digest -> path of the files in a bundle's folder
    needed(recipe, have, folder) -> chunks              device: what is still to be fetched, each by digest and size
    accept(part, chunk, folder)                         device: a fetched file becomes a chunk, or is refused
    reconstruct(recipe, have, folder, into, sizes)      device: makes the files; names of those it could not make

``old`` and ``new`` are files by name (``Bundle.files``); ``sizes`` is name -> (SHA-256, bytes) as a signed manifest's
table has it. A chunk is a file named by its digest in a folder of chunks. Both device steps may be stopped anywhere and
run again: what is there is used.

ONNX files, external data included, are split at their tensors. A part that the device has, wherever it lies in the old
files, is copied; a part with a base (the old tensor of the same name, type and shape, or the old bytes between the same
tensors) is coded against it; every other one is zstd or stored. Where bases save little a file is coded without them.

Neither recipe nor chunks need be trusted. What they make is bounded by ``sizes`` before memory or disk is taken, and
is a file only once its SHA-256 is the signed one. A file whose base is damaged or missing is asked for whole, under its
own digest: ``needed(..., whole=names)`` with the names that ``reconstruct`` could not make.
"""

from __future__ import annotations

from edgewright.bundles.deltas.device import accept, bundle_files, needed, reconstruct
from edgewright.bundles.deltas.making import Delta, make_delta
from edgewright.bundles.deltas.recipe import Chunk, Recipe, read_recipe

__all__ = [
    "Chunk",
    "Delta",
    "Recipe",
    "accept",
    "bundle_files",
    "make_delta",
    "needed",
    "read_recipe",
    "reconstruct",
]
