"""``module:function``: samples from the user's own code. Naming one runs it, with all the rights of this process."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.digests import digest_bytes
from edgewright.core.errors import EdgewrightError, InputError
from edgewright.datasets.source import ArraySource, as_arrays, check_kind
from edgewright.datasets.spool import Spool

_NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def names_code(text: str) -> bool:
    """Whether ``text`` has the form ``module:function``."""
    return _NAME.fullmatch(text) is not None


def import_code(name: str) -> Callable[..., Any]:
    """The function ``module:function`` names, the module taken from the current directory first.

    Importing executes the module. Raises InputError when there is no such function or when the import fails.
    """
    module, _, attribute = name.partition(":")
    here = os.getcwd()  # noqa: PTH109 - sys.path wants a string
    sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except (Exception, SystemExit) as error:  # the user's module may raise anything
        raise InputError(f"cannot import {module!r}: {type(error).__name__}: {error}"[:300]) from error
    finally:
        sys.path.remove(here)
    if not callable(found):
        raise InputError(f"{module!r} has no function {attribute!r}; name it as module:function")
    function: Callable[..., Any] = found
    return function


def source_digest(name: str) -> str:
    """SHA-256 of the file that ``module:function`` was imported from; "" for what has none."""
    import_code(name)
    place = getattr(sys.modules[name.partition(":")[0]], "__file__", None)
    return "" if place is None else digest_bytes(Path(place).read_bytes())


def read_code(name: str) -> ArraySource:
    """What ``function()`` returns: a mapping of arrays by name, or an iterable of such mappings (batches).

    Batches are written to a temporary file as they come, so that they need not fit into memory together.
    """
    function = import_code(name)
    try:
        made = function()
        return as_arrays(name, made) if isinstance(made, Mapping) else _joined(name, made)
    except EdgewrightError:
        raise
    except (Exception, SystemExit) as error:  # the user's function may raise anything
        raise InputError(f"{name} failed: {type(error).__name__}: {error}"[:300]) from error


def _joined(name: str, batches: Any) -> ArraySource:
    if not isinstance(batches, Iterable):
        raise InputError(f"{name} returned a {type(batches).__name__}; return a mapping of arrays, or batches of them")
    spools: dict[str, Spool] = {}
    likes: dict[str, NDArray[Any]] = {}
    counts: dict[str, int] = {}
    with contextlib.ExitStack() as stack:
        for batch in batches:
            if not isinstance(batch, Mapping):
                raise InputError(f"{name} gave a {type(batch).__name__} as a batch; give mappings of arrays by name")
            if spools and batch.keys() != spools.keys():
                raise InputError(f"{name} gave a batch with {sorted(batch)} after one with {sorted(spools)}")
            for key, value in batch.items():
                if not isinstance(key, str):
                    raise InputError(f"{name} gave a batch with the key {key!r}; keys are the names of arrays")
                array = check_kind(np.ascontiguousarray(value), key, name)
                like = likes.setdefault(key, array[:0])
                if array.dtype != like.dtype or array.shape[1:] != like.shape[1:]:
                    before, now = (f"{a.dtype}{list(a.shape[1:])}" for a in (like, array))
                    raise InputError(f"{key!r} of {name} changes from {before} to {now} between batches")
                if key not in spools:
                    spools[key] = stack.enter_context(contextlib.closing(Spool(f"{key!r} of {name}")))
                spools[key].write(array.tobytes())
                counts[key] = counts.get(key, 0) + len(array)
        arrays = {
            key: spool.array(likes[key].dtype, (counts[key], *likes[key].shape[1:])) if counts[key] else likes[key]
            for key, spool in spools.items()
        }
    return ArraySource(name, arrays)
