"""The manifest: a bundle's content as one JSON value and a set of files, and back again.

``lay_out`` writes what ``restore`` reads. Reading trusts nothing but the files' digests: every key is required and
typed, an unknown one is an error, and no file may lie there that no key names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, get_args

from edgewright.bundles.arrays import arrays_bytes, arrays_from
from edgewright.bundles.content import BundleContent, Call, Contract, DatasetFact, Golden, Tolerance, Variant
from edgewright.bundles.names import BOM, MANIFEST, SIGNATURE, SKETCHES, Limits, check_names
from edgewright.core.candidate import Constraint
from edgewright.core.digests import canonical_json, digest_bytes
from edgewright.core.fields import Fields, each
from edgewright.core.measurement import Measurement
from edgewright.core.model import Model, Signature, Step, TensorSpec
from edgewright.core.session import Arrays, EngineOptions, GraphLevel, Policy, Precision
from edgewright.core.sketches import Sketch
from edgewright.core.strict import parse_json

SCHEMA = "edgewright.bundle/1"
_OWN = {MANIFEST, SIGNATURE}


def lay_out(content: BundleContent) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest without its ``files`` table, and the files it names. Raises ValueError for what cannot be kept."""
    files: dict[str, bytes] = {}

    def keep(name: str, data: bytes) -> str:
        files[name] = data
        return name

    def arrays(side: str, calls: Sequence[Arrays]) -> dict[str, str]:
        # One file for each tensor, numbered, because a tensor's name may hold anything.
        numbered = enumerate(sorted(calls[0]))
        return {name: keep(f"golden/{side}-{i}.npy", arrays_bytes([c[name] for c in calls])) for i, name in numbered}

    def variant(v: Variant) -> dict[str, Any]:
        single = len(v.model.files) == 1
        names = {v.model.main: f"model.{v.model.format}"} if single else {name: name for name in v.model.files}
        for name, data in v.model.files.items():
            keep(f"models/{v.engine}/{names[name]}", data)
        return {
            "engine": v.engine,
            "engine_version": v.engine_version,
            "options": v.options.to_json(),
            "format": v.model.format,
            "main": names[v.model.main],
            "files": sorted(names.values()),
            "digest": v.model.digest,
            "lineage": [step.to_json() for step in v.model.lineage],
        }

    contract = content.contract
    sketches = canonical_json({name: sketch.to_json() for name, sketch in contract.inputs.items()})
    manifest = {
        "schema": SCHEMA,
        "name": content.name,
        "version": content.version,
        "source": content.source,
        "task": content.task,
        "licence": content.licence,
        "recipe": [dict(step) for step in content.recipe],
        "signature": content.signature.to_json(),
        "variants": [variant(v) for v in content.variants],
        "preprocessing": None if content.preprocessing is None else dict(content.preprocessing),
        "postprocessing": None if content.postprocessing is None else dict(content.postprocessing),
        "labels": list(content.labels),
        "datasets": [vars(fact) for fact in content.datasets],
        "golden": {
            "inputs": arrays("input", [call.inputs for call in content.golden.calls]),
            "outputs": arrays("output", [call.outputs for call in content.golden.calls]),
            "tolerances": {name: vars(tolerance) for name, tolerance in content.golden.tolerances.items()},
        },
        "contract": {
            "target": contract.target,
            "limits": [vars(limit) for limit in contract.limits],
            "measured": {name: m.to_json() for name, m in contract.measured.items()},
            "inputs": keep(SKETCHES, sketches),
        },
        "evidence": sorted(content.evidence),
        "bom": BOM,
    }
    for name, data in content.evidence.items():
        keep(f"evidence/{name}", data)
    return manifest, files


def render(manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    """The manifest file: sorted keys, two spaces, one spelling. Raises ValueError for NaN and what is not JSON."""
    table = {name: {"sha256": digest_bytes(data), "size": len(data)} for name, data in files.items()}
    value = {**manifest, "files": table}
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def parse(data: bytes, limits: Limits) -> tuple[Fields, dict[str, tuple[str, int]]]:
    """The manifest's fields and its ``files`` table: name -> (SHA-256, size). Raises ValueError."""
    fields = Fields(parse_json(data, limits.manifest_bytes), "the manifest")
    schema = fields.text("schema")
    if schema != SCHEMA:
        raise ValueError(f"its schema is {schema[:60]!r}; this release knows {SCHEMA!r}")
    table: dict[str, tuple[str, int]] = {}
    for name, entry in fields.named("files").items():
        facts = Fields(entry, f"the entry of {name!r}")
        table[name] = (facts.text("sha256"), facts.whole("size"))
        facts.end()
        if table[name][1] > limits.file_bytes:
            raise ValueError(
                f"{name[:80]!r} would have {table[name][1]:,} bytes, more than the {limits.file_bytes:,} allowed"
            )
    if len(table) > limits.files:
        raise ValueError(f"it names {len(table):,} files, more than the {limits.files:,} allowed")
    total = sum(size for _, size in table.values())
    if total > limits.total_bytes:
        raise ValueError(f"its files would have {total:,} bytes, more than the {limits.total_bytes:,} allowed")
    check_names([*table, *_OWN])
    return fields, table


def restore(fields: Fields, files: Mapping[str, bytes]) -> BundleContent:
    """The content of which ``lay_out`` made the manifest and ``files``. Raises ValueError."""
    used: set[str] = set()

    def get(name: str) -> bytes:
        if name not in files:
            raise ValueError(f"it names {name!r}, which is not among its files")
        used.add(name)
        return files[name]

    def arrays(names: Mapping[str, Any]) -> list[Arrays]:
        kept = {tensor: arrays_from(get(str(name))) for tensor, name in names.items()}
        return [dict(zip(kept, values, strict=True)) for values in zip(*kept.values(), strict=True)]

    def variant(entry: Fields) -> Variant:
        engine, names = entry.text("engine"), entry.texts("files")
        held = MappingProxyType({name: get(f"models/{engine}/{name}") for name in names})
        main = entry.text("main")
        if main not in held:
            raise ValueError(f"the main file {main!r} of {engine} is not among its files")
        model = Model(entry.text("format"), main, held, signature, entry.items("lineage", _step))
        if model.digest != entry.text("digest"):
            raise ValueError(f"the model for {engine} does not have the digest stated")
        return Variant(engine, entry.one("options", _options), model, entry.text("engine_version"))

    def contract(entry: Fields) -> Contract:
        sketches = Fields(parse_json(get(entry.text("inputs")), Limits().manifest_bytes), "the input sketches")
        return Contract(
            entry.text("target"),
            entry.items("limits", _constraint),
            each(entry.named("measured"), "measurement", _measurement),
            {name: Sketch.from_json(value) for name, value in sketches.rest().items()},
        )

    def golden(entry: Fields) -> Golden:
        sides = zip(arrays(entry.named("inputs")), arrays(entry.named("outputs")), strict=True)
        calls = tuple(Call(inputs, outputs) for inputs, outputs in sides)
        return Golden(calls, each(entry.named("tolerances"), "tolerance", _tolerance))

    signature = fields.one("signature", _signature)
    content = BundleContent(
        name=fields.text("name"),
        version=fields.text("version"),
        source=fields.text("source"),
        task=fields.text("task"),
        licence=fields.text("licence"),
        recipe=tuple(fields.mappings("recipe")),
        variants=fields.items("variants", variant),
        preprocessing=fields.optional_mapping("preprocessing"),
        postprocessing=fields.optional_mapping("postprocessing"),
        labels=tuple(fields.texts("labels")),
        datasets=fields.items("datasets", _dataset),
        golden=fields.one("golden", golden),
        contract=fields.one("contract", contract),
        evidence={name: get(f"evidence/{name}") for name in fields.texts("evidence")},
    )
    get(fields.text("bom"))
    fields.end()
    unnamed = files.keys() - used
    if unnamed:
        raise ValueError(f"nothing in it names the file {min(unnamed)!r}")
    return content


def _signature(entry: Fields) -> Signature:
    def spec(tensor: Fields) -> TensorSpec:
        shape = tensor.take("shape", list)
        if not all(size is None or type(size) in (int, str) for size in shape):
            raise ValueError("a shape holds something that is not a size")
        return TensorSpec(tensor.text("name"), tensor.text("dtype"), tuple(shape))

    return Signature(entry.items("inputs", spec), entry.items("outputs", spec))


def _step(entry: Fields) -> Step:
    return Step(entry.text("name"), entry.take("options", dict), entry.text("parent"))


def _options(entry: Fields) -> EngineOptions:
    def choice(key: str, kind: Any) -> Any:
        value = entry.text(key)
        if value not in get_args(kind):
            raise ValueError(f"{key} is {value[:40]!r}, which is none of {', '.join(get_args(kind))}")
        return value

    threads = entry.whole("threads")
    if not 1 <= threads <= 1024:
        raise ValueError(f"{threads} threads cannot be meant")
    return EngineOptions(
        threads=threads,
        spinning=entry.take("spinning", bool),
        graph_level=choice("graph_level", GraphLevel),
        precision=choice("precision", Precision),
        provider=entry.text("provider"),
        policy=choice("policy", Policy),
    )


def _constraint(entry: Fields) -> Constraint:
    senses: dict[str, Literal["max", "min"]] = {"max": "max", "min": "min"}
    sense = entry.text("sense")
    if sense not in senses:
        raise ValueError(f"a limit's sense is {sense[:40]!r}, not max or min")
    return Constraint(entry.text("metric"), senses[sense], entry.number("limit"), entry.text("unit"))


def _measurement(entry: Fields) -> Measurement:
    value = {key: entry.text(key) for key in ("unit", "kind", "target", "subject")}
    bounds = {key: entry.optional_number(key) for key in ("low", "high")}
    rest = {"value": entry.number("value"), "n": entry.whole("n"), "conditions": entry.named("conditions")}
    return Measurement.from_json({**value, **bounds, **rest})


def _tolerance(entry: Fields) -> Tolerance:
    return Tolerance(entry.number("absolute"), entry.number("relative"))


def _dataset(entry: Fields) -> DatasetFact:
    texts = {key: entry.text(key) for key in ("name", "role", "digest", "licence")}
    return DatasetFact(samples=entry.whole("samples"), **texts)
