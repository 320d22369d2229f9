"""The bill of materials is valid CycloneDX 1.6 and tells what really ships."""

import dataclasses
import json
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from edgewright.bundles import BundleContent
from edgewright.bundles.bom import bill_of_materials, licences, runtime_libraries
from edgewright.core.digests import digest_bytes


@pytest.fixture(scope="module")
def bom(pristine: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((pristine / "bom.cdx.json").read_bytes())
    return found


def problems(document: dict[str, Any]) -> object:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document))


def test_it_is_valid(bom: dict[str, Any]) -> None:
    assert problems(bom) is None


def test_the_validator_would_notice(bom: dict[str, Any]) -> None:
    assert problems({**bom, "specVersion": 1.6}) is not None
    assert problems({**bom, "extra": 1}) is not None


def test_it_is_valid_with_nothing_optional(content: BundleContent) -> None:
    bare = dataclasses.replace(
        content,
        datasets=(),
        licence="",
        task="",
        recipe=(),
        contract=dataclasses.replace(content.contract, measured={}),
    )
    assert problems(bill_of_materials(bare, {})) is None


def test_the_model_and_its_card(bom: dict[str, Any], content: BundleContent, pristine: Path) -> None:
    model = bom["metadata"]["component"]
    assert (model["type"], model["name"], model["version"]) == ("machine-learning-model", "classifier", "1.0.0")
    assert model["licenses"] == [{"expression": "MIT"}]
    assert model["pedigree"]["ancestors"][0]["hashes"][0]["content"] == content.source
    (file,) = model["components"]
    assert file["hashes"] == [{"alg": "SHA-256", "content": digest_bytes((pristine / file["name"]).read_bytes())}]
    card = model["modelCard"]
    assert card["modelParameters"]["task"] == "classification"
    assert card["modelParameters"]["inputs"] == [{"format": "x: float32[n, 4]"}]
    metrics = {m["type"]: m for m in card["quantitativeAnalysis"]["performanceMetrics"]}
    assert metrics.keys() == {"accuracy [%], measured", "energy_mj [mJ], estimated", "latency_p99_ms [ms], measured"}
    latency = metrics["latency_p99_ms [ms], measured"]
    assert (latency["value"], latency["slice"]) == ("0.2", "host")
    assert latency["confidenceInterval"] == {"lowerBound": "0.18", "upperBound": "0.25"}


def test_the_data_it_stands_on(bom: dict[str, Any]) -> None:
    data = [c for c in bom["components"] if c["type"] == "data"]
    assert [d["hashes"][0]["content"] for d in data if "hashes" in d] == ["ab" * 32]
    assert data[0]["licenses"] == [{"expression": "CC0-1.0"}]
    named = {d["ref"] for d in bom["metadata"]["component"]["modelCard"]["modelParameters"]["datasets"]}
    assert named == {d["bom-ref"] for d in data}


def test_the_libraries_that_ship(bom: dict[str, Any]) -> None:
    libraries = {c["name"]: c for c in bom["components"] if c["type"] == "library"}
    assert libraries.keys() >= {"onnxruntime", "numpy", "cryptography", "protobuf"}
    assert not libraries.keys() & {"onnx", "torch", "jinja2", "cyclonedx-python-lib", "openvino", "pytest", "sympy"}
    for name, library in libraries.items():
        version = metadata.version(name)
        assert library["purl"] == f"pkg:pypi/{name}@{version}"
        assert library["licenses"], name
    graph = {d["ref"]: d["dependsOn"] for d in bom["dependencies"]}
    assert libraries["numpy"]["purl"] in graph[libraries["onnxruntime"]["purl"]]
    assert set(graph) >= {library["purl"] for library in libraries.values()}


def test_an_engine_s_measured_release_is_what_is_named(content: BundleContent) -> None:
    variant = dataclasses.replace(content.variants[0], engine_version="1.22.0")
    document = bill_of_materials(dataclasses.replace(content, variants=(variant,)), {})
    assert "pkg:pypi/onnxruntime@1.22.0" in {c["bom-ref"] for c in document["components"]}


def test_the_serial_number_follows_from_the_rest(bom: dict[str, Any], content: BundleContent) -> None:
    other = bill_of_materials(dataclasses.replace(content, version="1.0.1"), {})
    assert bom["serialNumber"] != other["serialNumber"]
    assert "timestamp" not in bom["metadata"]


def test_engines_that_are_no_distribution_bring_nothing() -> None:
    assert runtime_libraries(["steam-engine"]).keys() == runtime_libraries([]).keys()


class Declared(metadata.Distribution):
    def __init__(self, text: str) -> None:
        self.text = text

    def read_text(self, filename: str) -> str | None:
        return self.text if filename == "METADATA" else None

    def locate_file(self, path: Any) -> Any:
        return Path(path)


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ("License-Expression: MIT OR Apache-2.0\n", {"expression": "MIT OR Apache-2.0"}),
        ("License: MIT License\n", {"license": {"id": "MIT"}}),
        ("License: Our Own\n", {"license": {"name": "Our Own"}}),
        (f"License: {'x' * 200}\nClassifier: License :: OSI Approved :: MIT License\n", {"license": {"id": "MIT"}}),
        ("Name: silent\n", None),
    ],
)  # fmt: skip
def test_licences_as_declared(declared: str, found: dict[str, Any] | None) -> None:
    (got,) = licences(Declared(declared)) or [None]
    if found is None or got is None:
        assert got is found
        return
    (got.get("license") or got).pop("acknowledgement")
    assert got == found
