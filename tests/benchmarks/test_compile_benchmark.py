"""The benchmark's rules: who sees which sample, who is the best peer, what counts as met."""

import hashlib
import sys
from pathlib import Path

import goals
import numpy as np
import pytest
import tables
from measuring import Row, answers, measure
from models import data
from peers import environments
from peers.catalogue import PEERS, Peer, call
from subjects import FIXED, FREE, ORIGINAL, Entry

from edgewright.core.session import EngineOptions
from edgewright.core.statistics import Interval
from edgewright.formats import load
from edgewright.measurement import Subject

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"


def row(name: str, tool: str, ratio: float, size: int, lost: float = 0.0, **more) -> Row:
    def interval(value: float) -> Interval:
        return Interval(value, value - 0.01, value + 0.01, 400)

    return Row(Entry(name, tool, None, 30.0, **more), interval(ratio), interval(ratio), size, 99.0, interval(lost))


def rows(free: Row, *others: Row) -> list[Row]:
    return [row(ORIGINAL, "", 1.0, 900_000), free, row(FIXED, FREE, 0.30, 230_000, first_s=5.0), *others]


PEER_ROWS = (
    row("fast", "nncf", 0.32, 400_000),
    row("small", "onnxruntime", 0.36, 250_000, 0.5),
    row("fastest but wrong", "olive", 0.10, 100_000, 0.6),
)


def test_parts_are_disjoint_complete_stratified_and_seeded():
    labels = np.repeat(np.arange(3), [100, 50, 10])
    parts = data.split(labels, 0)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(160))
    assert {name: np.bincount(labels[rows]).tolist() for name, rows in parts.items()} == {
        "train": [40, 20, 4], "tools": [33, 16, 3], "heldout": [27, 14, 3],
    }  # fmt: skip
    assert all((parts[name] == again).all() for name, again in data.split(labels, 0).items())
    assert not np.array_equal(parts["train"], data.split(labels, 1)["train"])


def test_enlarging_keeps_constants_and_extremes():
    ramp = np.arange(8, dtype=np.float32)[None, :, None].repeat(8, axis=2)
    large = data.resize(ramp, 32, 24)
    assert large.shape == (1, 32, 24)
    np.testing.assert_allclose(large[0], large[0, :, :1].repeat(24, axis=1), rtol=1e-6)
    assert (large.min(), large.max()) == (0, 7)
    assert (np.diff(large[0, :, 0]) >= 0).all()


@pytest.mark.parametrize(("key", "name"), [("ratio", "fast"), ("size_bytes", "small")])
def test_the_best_peer_is_the_best_within_the_gate(key, name):
    best = goals.best_peer(rows(row(FREE, FREE, 0.05, 30_000), *PEER_ROWS), key)
    assert best is not None
    assert best.entry.name == name


@pytest.mark.parametrize(
    ("free", "unmet"),
    [
        (row(FREE, FREE, 0.15, 60_000, first_s=5.0), set()),
        (row(FREE, FREE, 0.21, 60_000, first_s=5.0), {"over fp32", "latency"}),
        (row(FREE, FREE, 0.15, 130_000, first_s=5.0), {"file"}),
        (row(FREE, FREE, 0.15, 60_000, 0.6, first_s=5.0), {"lost"}),
        (row(FREE, FREE, 0.15, 60_000, first_s=11.0), {"first answer"}),
        (Row(Entry(FREE, FREE, None, 30.0, failure="status 3: nothing feasible")), {"an answer"}),
    ],
)
def test_goals(free, unmet):
    found = goals.checks("residual", "residual", rows(free, *PEER_ROWS))
    assert {c.what.partition(": ")[2] for c in found if not c.met and c.what.startswith(f"{FREE}:")} == unmet
    assert all(c.met for c in found if c.what.startswith(FIXED))


def test_a_chosen_candidate_that_may_be_slower_is_told():
    found = goals.checks("mlp", "mlp", rows(row(FREE, FREE, 0.995, 60_000), *PEER_ROWS))
    assert [c.met for c in found if c.what == "nothing slower than fp32 chosen"] == [False]


def test_without_a_peer_within_the_gate_there_is_nobody_to_lose_to():
    found = goals.checks("residual", "residual", rows(row(FREE, FREE, 0.15, 60_000), PEER_ROWS[-1]))
    assert {c.found for c in found if c.wanted.endswith("the best peer's")} == {"no peer within the gate"}


def test_rows_are_measured_and_failures_told(tmp_path):
    model = load(DIGITS / "digits.onnx")
    with np.load(DIGITS / "digits.npz") as arrays:
        np.savez(tmp_path / "heldout.npz", image=arrays["image"][:40], labels=arrays["labels"][:40])
    entries = [
        Entry(ORIGINAL, "", Subject(model)),
        Entry("less fused", "peer", Subject(model, options=EngineOptions(graph_level="none")), 1.0),
        Entry("broken", "peer", None, 2.0, failure="status 1: no"),
        Entry("cannot open", "peer", Subject(model, options=EngineOptions(precision="bf16")), 3.0),
    ]
    measured = measure(entries, tmp_path / "heldout.npz", seed=0, seconds_each=0.2)
    assert [r.entry.name for r in measured] == [e.name for e in entries]
    assert [r.ratio is not None for r in measured] == [True, True, False, False]
    assert measured[1].lost is not None
    assert measured[1].lost.value == 0
    assert "bf16" in measured[3].entry.failure
    told = {
        "date": "2026-01-01", "quick": True, "seed": 0, "environment": {}, "load_average_end": [0.0], "versions": {},
        "goals": [vars(c) for c in goals.checks("residual", "residual", rows(row(FREE, FREE, 0.15, 9), *PEER_ROWS))],
        "models": [{
            "name": "residual", "predictions": [],
            "facts": {"model": "residual", "set": "digits", "parameters": 1, "heldout": {"samples": 40}},
            "rows": [r.to_json() for r in measured],
        }],
    }  # fmt: skip
    page = tables.page(told)
    assert "| broken | failed: status 1: no |" in page
    assert "| residual | Edgewright: over fp32 | >= 5x | 6.67x | met |" in page
    assert {line.count("|") for line in page.splitlines() if line.startswith("|")} == {8, 6}


def test_every_peer_has_a_script_an_environment_and_its_own_name():
    assert len({p.name for p in PEERS}) == len(PEERS)
    for peer in PEERS:
        assert (environments.HERE / peer.script).is_file()
        assert f'"{peer.variant}"' in (environments.HERE / peer.script).read_text()
        wanted = (environments.HERE / f"{peer.environment}.txt").read_text().splitlines()
        assert all("==" in line or line[0] == "#" or line in ("requests", "sympy>=1.13") for line in wanted)
    assert {p.environment for p in PEERS if p.quick} == {"onnxruntime", "nncf", "olive"}


def test_a_peer_that_fails_is_a_reason_and_no_model(tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'ImportError: nothing works' >&2\nexit 4\n")
    python.chmod(0o755)
    monkeypatch.setattr(environments, "python_of", lambda name: python)
    made = call(Peer("x", "nncf", "nncf_tool.py", "onnx"), Path("m"), Path("d"), tmp_path / "out", "", 0.5)
    assert (made.path, made.failure) == (None, "status 4: ImportError: nothing works")


def test_answers_are_asked_one_by_one():
    with np.load(DIGITS / "digits.npz") as arrays, Subject(load(DIGITS / "digits.onnx")).open() as session:
        found = answers(session, "image", arrays["image"][:30])
        assert (found == arrays["labels"][:30]).mean() > 0.9


def test_an_environment_is_kept_while_its_description_and_python_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "PLACE", tmp_path)
    monkeypatch.setattr(environments, "HERE", tmp_path)
    (tmp_path / "tool.txt").write_text("tool==1\n")
    (tmp_path / "tool" / "bin").mkdir(parents=True)
    (tmp_path / "tool" / "bin" / "python").touch()
    digest = hashlib.sha256(b"tool==1\n" + sys.version.encode()).hexdigest()
    (tmp_path / "tool.stamp").write_text(digest)
    assert environments.python_of("tool") == tmp_path / "tool" / "bin" / "python"
