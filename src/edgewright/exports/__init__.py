"""Exports: what is generated from a bundle. Clients, projects and deployment templates; pure, a bundle in, files out.

    export(bundle, kind, out) -> Exported       verify, make, and write a folder or a .zip, whole or not at all
    make(bundle, kind) -> Exported              of a verified Bundle, in memory
    catalogue() -> list                           what there is, what each needs, what of it is verified

A kind is one small file in ``kinds/`` and a line in ``EXPORTS``; its texts lie in ``templates/``.
"""

from __future__ import annotations

from edgewright.exports.contract import Export, Limit
from edgewright.exports.making import EXPORTS, Exported, catalogue, export, make
from edgewright.exports.subject import Subject

__all__ = ["EXPORTS", "Export", "Exported", "Limit", "Subject", "catalogue", "export", "make"]
