"""Models: what people bring to be compiled. Models with their versions, data sets, and the uploads that carry both.

What other slices use::

    models.find_version(session, id)                                        # Absent
    models.take_version(session, id), models.take_dataset(session, id)      # to begin something with; Conflict
    models.place_model(state, tenant, id, folder)                           # the ONNX file in ``folder``; Conflict
    models.place_dataset(state, tenant, id, folder)                         # its path, and how ``dataset`` reads it
    models.advance(session, id, "optimized")                                # a step of its life, forwards only
    models.bring(caller, model, path, filename, {"parent": id})             # the hub's own file as a version of it
    models.resume(state, now)                                               # from time to time
    models.named                                                            # which objects must stay

``tables``; ``rules`` (stages, names of files); ``uploads`` (bytes that come, a part at a time); ``checking`` (what
becomes of them, in the background), ``reading`` and ``unpacking`` (in a child that is shut off), ``placing``;
``comparing``; ``routes_models``, ``routes_versions``, ``routes_datasets``, ``routes_uploads``. Names are resolved on
first use: the child processes that read models need no database.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgewright.hub.models.bringing import bring
    from edgewright.hub.models.checking import resume
    from edgewright.hub.models.keeping import (
        advance,
        find_version,
        made_by,
        model_name,
        name_of,
        named,
        of_digests,
        of_jobs,
        take_dataset,
        take_version,
    )
    from edgewright.hub.models.placing import place_dataset, place_model

_PLACES = {
    "resume": "checking", "bring": "bringing", "made_by": "keeping", "advance": "keeping", "find_version": "keeping",
    "take_dataset": "keeping", "take_version": "keeping", "model_name": "keeping", "name_of": "keeping",
    "named": "keeping", "place_dataset": "placing", "place_model": "placing", "of_digests": "keeping",
    "of_jobs": "keeping",
}  # fmt: skip

__all__ = [
    "advance", "bring", "find_version", "made_by", "model_name", "name_of", "named", "of_digests", "of_jobs",
    "place_dataset", "place_model", "resume", "take_dataset", "take_version",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
