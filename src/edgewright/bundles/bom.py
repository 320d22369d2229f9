"""The bill of materials: what ships, what it was made of and what it stands on (CycloneDX 1.6, ECMA-424).

Written as plain JSON: cyclonedx-python-lib (11) has no model card, and stamps a clock and a random serial number. The
tests hold the result against the schema that library ships.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from typing import Any

from edgewright import __version__
from edgewright.bundles.content import BundleContent, DatasetFact
from edgewright.core.digests import canonical_json, digest_bytes, digest_json
from edgewright.core.measurement import Measurement

_SPACE = uuid.UUID("5f0c6ad2-3b0e-5d0b-9f5e-6d2f5a1d7c11")
_SPDX = {
    "MIT": "MIT", "MIT License": "MIT", "Apache 2.0": "Apache-2.0", "Apache-2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0", "3-Clause BSD License": "BSD-3-Clause", "BSD-3-Clause": "BSD-3-Clause",
}  # fmt: skip


def bill_of_materials(content: BundleContent, model_files: Mapping[str, bytes]) -> dict[str, Any]:
    """The document for ``content``, whose model files lie under the names in ``model_files``.

    Deterministic: no clock, and a serial number derived from all the rest.
    """
    libraries = runtime_libraries([variant.engine for variant in content.variants])
    # The release that was measured, should another one be installed by now.
    measured = {variant.engine: variant.engine_version for variant in content.variants}
    versions = {name: measured.get(name, found.version) for name, found in libraries.items()}
    references = {name: f"pkg:pypi/{name}@{version}" for name, version in versions.items()}
    top = _model(content, model_files)
    data = [_dataset(i, fact) for i, fact in enumerate(content.datasets)]
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "lifecycles": [{"phase": "build"}],
            "tools": {"components": [{"type": "application", "name": "edgewright", "version": __version__}]},
            "component": top,
        },
        "components": [
            *(_library(name, versions[name], references[name], libraries[name]) for name in sorted(libraries)),
            *data,
        ],
        "dependencies": [
            {"ref": top["bom-ref"], "dependsOn": sorted([*references.values(), *(d["bom-ref"] for d in data)])},
            *(
                {"ref": references[name], "dependsOn": sorted(references[n] for n in _needs(name) if n in references)}
                for name in sorted(libraries)
            ),
        ],
    }
    return {**document, "serialNumber": f"urn:uuid:{uuid.uuid5(_SPACE, digest_json(document))}"}


def runtime_libraries(engines: Iterable[str]) -> dict[str, metadata.Distribution]:
    """The installed distributions that opening and running a bundle on ``engines`` needs, by normalised name.

    Engines that are no distribution here (a third party's, a device's own) bring nothing.
    """
    found: dict[str, metadata.Distribution] = {}
    makers = _makers()  # onnxruntime may come as onnxruntime-gpu
    waiting = ["edgewright", "numpy", "cryptography"]
    waiting += [_normal(maker) for name in engines for maker in makers.get(name, [name])[:1]]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        waiting += _needs(name)
    return found


def licences(distribution: metadata.Distribution) -> list[dict[str, Any]]:
    """A distribution's licence as it declares it, in CycloneDX's spelling; empty when it declares none."""
    facts = distribution.metadata
    for expression in facts.get_all("License-Expression") or []:
        return [{"expression": expression, "acknowledgement": "declared"}]
    stated = " ".join(" ".join(facts.get_all("License") or []).split())
    if not stated or len(stated) > 100:  # some put the whole text there
        stated = next((c.split(" :: ")[-1] for c in facts.get_all("Classifier") or [] if c.startswith("License")), "")
    if not stated:
        return []
    named = {"id": _SPDX[stated]} if stated in _SPDX else {"name": stated}
    return [{"license": {**named, "acknowledgement": "declared"}}]


@cache
def _makers() -> Mapping[str, list[str]]:
    """By module, the distributions that bring it. Reads a list of files of each that is installed."""
    return metadata.packages_distributions()


def _needs(name: str) -> list[str]:
    from packaging.requirements import Requirement  # onnxruntime brings it

    wanted = (Requirement(text) for text in metadata.distribution(name).requires or [])
    return [_normal(r.name) for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _sha256(digest: str) -> dict[str, Any]:
    known = re.fullmatch(r"[0-9a-f]{64}", digest)
    return {"hashes": [{"alg": "SHA-256", "content": digest}]} if known else {}


def _library(name: str, version: str, reference: str, found: metadata.Distribution) -> dict[str, Any]:
    component = {"type": "library", "bom-ref": reference, "name": name, "version": version, "purl": reference}
    declared = licences(found)
    return {**component, "scope": "required", **({"licenses": declared} if declared else {})}


def _dataset(index: int, fact: DatasetFact) -> dict[str, Any]:
    component = {
        "type": "data",
        "bom-ref": f"data:{index}:{fact.role}",
        "name": fact.name,
        "data": [{"type": "dataset", "name": fact.name, "description": f"{fact.role}, {fact.samples} samples"}],
        "properties": [
            {"name": "edgewright:role", "value": fact.role},
            {"name": "edgewright:digest", "value": fact.digest},
            {"name": "edgewright:samples", "value": str(fact.samples)},
        ],
        **_sha256(fact.digest),
    }
    return {**component, **({"licenses": [{"expression": fact.licence}]} if fact.licence else {})}


def _model(content: BundleContent, files: Mapping[str, bytes]) -> dict[str, Any]:
    signature = content.signature
    parameters: dict[str, Any] = {
        "datasets": [{"ref": f"data:{i}:{fact.role}"} for i, fact in enumerate(content.datasets)],
        "inputs": [{"format": str(spec)} for spec in signature.inputs],
        "outputs": [{"format": str(spec)} for spec in signature.outputs],
    }
    if content.task:
        parameters["task"] = content.task
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{content.name}@{content.version}",
        "name": content.name,
        "version": content.version,
        **({"licenses": [{"expression": content.licence}]} if content.licence else {}),
        "pedigree": {
            "ancestors": [
                {"type": "machine-learning-model", "name": f"{content.name} (source)", **_sha256(content.source)}
            ],
            "notes": f"recipe: {canonical_json([dict(step) for step in content.recipe]).decode()}",
        },
        "components": [
            {"type": "file", "bom-ref": f"file:{name}", "name": name, **_sha256(digest_bytes(data))}
            for name, data in sorted(files.items())
        ],
        "modelCard": {
            "modelParameters": parameters,
            "quantitativeAnalysis": {
                "performanceMetrics": [_metric(name, seen) for name, seen in sorted(content.contract.measured.items())]
            },
        },
    }


def _metric(name: str, seen: Measurement) -> dict[str, Any]:
    # The schema has no field for a unit or for how a figure came about; neither may get lost.
    metric: dict[str, Any] = {"type": f"{name} [{seen.unit}], {seen.kind}", "value": repr(seen.value)}
    if seen.low is not None and seen.high is not None:
        metric["confidenceInterval"] = {"lowerBound": repr(seen.low), "upperBound": repr(seen.high)}
    return {**metric, "slice": seen.target}
