"""Where nothing that was made of a model is better, the original is what the run hands back."""

import json
from dataclasses import replace

from edgewright.cli import main
from edgewright.flows import compile as compiling
from edgewright.flows.bench import Bench
from edgewright.testing.tiny import OPTIMIZE, write_tiny


def test_the_original_goes_as_it_came_when_everything_else_is_slower(tmp_path, monkeypatch, capsys):
    together = Bench.together

    def slowly(bench, candidates, budget_s):
        base, *measured = together(bench, candidates, budget_s)
        three = 3 * base.metrics["latency_ms"].value
        times = [replace(c.metrics["latency_ms"], value=three, low=three, high=three, conditions={}) for c in measured]
        return [
            base,
            *(replace(c, metrics={**c.metrics, "latency_ms": t}) for c, t in zip(measured, times, strict=True)),
        ]

    monkeypatch.setattr(Bench, "together", slowly)
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path)
    assert main(OPTIMIZE) == 0
    said = capsys.readouterr().out
    assert "nothing was won over the original: it goes as it came" in said
    report = json.loads((tmp_path / "out/report.json").read_text())
    best = next(c for c in report["candidates"] if c["id"] == report["best"])
    assert best["recipe"] == [] and best["digest"] == report["model"]["digest"] and best["feasible"]
    assert report["baseline"]["id"] != best["id"] and report["baseline"]["metrics"] == best["metrics"]
    assert (tmp_path / "out" / best["path"] / "candidate.json").is_file()
    assert main(["reproduce", "out/report.json", "-o", "again"]) == 0
    assert main(["bundle", "verify", "out/bundle", "--self-test"]) == 0


def test_it_does_where_all_were_shown_slower_before_the_finals(tmp_path, monkeypatch, capsys):
    def slow(candidates, baseline):
        return [replace(c, refused=("slower than the original",)) if c.recipe else c for c in candidates]

    monkeypatch.setattr(compiling, "refuse_false_wins", slow)
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path)
    assert main(OPTIMIZE) == 0
    assert "nothing was won over the original: it goes as it came" in capsys.readouterr().out
    report = json.loads((tmp_path / "out/report.json").read_text())
    best = next(c for c in report["candidates"] if c["id"] == report["best"])
    assert best["recipe"] == [] and best["feasible"]
    assert any(c["refused"] == ["slower than the original"] for c in report["candidates"])
