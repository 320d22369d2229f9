"""Pipelines: held against their schemas; the script that they call is run on a bundle that ``optimize`` made."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from edgewright.bundles import verify
from edgewright.cli import main
from edgewright.exports import export, make
from edgewright.testing.exports import check_hostile
from edgewright.testing.tiny import OPTIMIZE, write_tiny

LONG = 240.0
PIPELINES = {".github/workflows/edgewright.yml": "vendor.github-workflows", ".gitlab-ci.yml": "vendor.gitlab-ci"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The export of a bundle with a report, and the model and data that it was made of."""
    folder = tmp_path_factory.mktemp("compiled")
    model, data = write_tiny(folder)
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main([*OPTIMIZE, "--engine", "onnxruntime", "--keep-structure"]) == 0
    finally:
        os.chdir(before)
    return export(verify(folder / "out" / "bundle"), "ci", folder / "ci").path, model, data


def gates(made, **settings):
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "BUDGET": "2s", **settings}
    return subprocess.run(
        ["sh", "gates.sh"], cwd=made, capture_output=True, text=True, check=False, timeout=LONG,
        env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_all_gates_on_the_model_it_was_made_of(made, tmp_path):
    folder, model, data = made
    done = gates(folder, MODEL=str(model), DATA=str(data), MOST_DROP="100", OUT=str(tmp_path / "gates"))
    assert done.returncode == 0, done.stdout + done.stderr
    for step in (
        "1. the bundle",
        "2. the model made again: the same bytes",
        "3. the bundle against",
        "held-out samples",
    ):
        assert step in done.stdout
    assert json.loads((tmp_path / "gates" / "measured.json").read_text())["models"]


def test_another_model_does_not_pass(made, tmp_path):
    from edgewright.testing.zoo import depthwise

    folder, _, data = made
    other = tmp_path / "other.onnx"
    other.write_bytes(depthwise().data)
    done = gates(folder, MODEL=str(other), DATA=str(data), OUT=str(tmp_path / "gates"))
    assert done.returncode != 0 and "3. the bundle" not in done.stdout


def test_the_bundle_alone(tiny, tmp_path):
    folder = export(tiny, "ci", tmp_path / "ci").path
    done = gates(folder)
    assert done.returncode == 0 and "the bundle alone was checked" in done.stdout, done.stderr
    with (folder / "bundle" / "manifest.json").open("a") as stream:
        stream.write("\n")
    done = gates(folder)
    assert done.returncode != 0 and "does not verify" in done.stderr


def test_another_bundle_of_the_same_signer_does_not_pass(tiny, mixed, tmp_path):
    folder = export(tiny, "ci", tmp_path / "ci").path
    mixed.write(folder / "bundle")
    done = gates(folder)
    assert done.returncode == 1 and "not the one that these gates are for" in done.stdout


MEASURED = {
    "notes": ["why"],
    "models": [
        {"metrics": {}},
        {
            "metrics": {"latency_ms": {"conditions": {"ratio": [1.2, 1.1, 1.3]}}},
            "accuracy": {"drop": {"value": 0.5, "unit": "points", "n": 40}},
        },
    ],
}


@pytest.mark.parametrize(
    "limits, change, passes",
    [
        (["1"], {}, True), (["1", ""], {}, True), (["0.4"], {}, False), (["1", "1.15"], {}, True),
        (["1", "1.05"], {}, False), (["1"], {"accuracy": None}, False), (["1"], {"metrics": {}}, False),
    ],
)  # fmt: skip
def test_the_limits(limits, change, passes, tiny, tmp_path):
    (tmp_path / "gate.py").write_bytes(make(tiny, "ci").files["gate.py"])
    candidate = {**MEASURED["models"][1], **change}
    (tmp_path / "m.json").write_text(json.dumps({**MEASURED, "models": [MEASURED["models"][0], candidate]}))
    command = [sys.executable, "gate.py", "measured", "m.json", *limits]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=LONG)
    assert (done.returncode == 0) == passes and "Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize("hostile", [False, True])
@pytest.mark.parametrize("name, schema", PIPELINES.items())
def test_pipelines_are_what_their_hosts_take(name, schema, hostile, tiny, tmp_path):
    files = (check_hostile("ci", tmp_path) if hostile else make(tiny, "ci")).files
    path = tmp_path / Path(name).name
    path.write_bytes(files[name])
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONG)
    assert done.returncode == 0, done.stdout
    assert "sh gates.sh" in str(yaml.safe_load(files[name]))
    assert subprocess.run(["sh", "-n"], input=files["gates.sh"], check=False).returncode == 0
