"""A run that is killed shows no result and goes on from what it had; one that is interrupted shows the best so far."""

import json
import random
import signal
import subprocess
import sys

import pytest

from edgewright.flows.place import RESULT
from edgewright.testing.tiny import OPTIMIZE, QUICK, write_tiny

KILL, INT, TERM = (int(s) for s in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM))
QUICKLY = ("optimize", "model.onnx", "--data", "data.npz", *QUICK, "-o")


def shown(out):
    """What of a result is there."""
    return [name for name in RESULT if (out / name).exists()]


def kept(out):
    """The store's entries: when each was written, and as which file."""
    return {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in (out / ".store" / "entries").rglob("*.json")}


def strays(out):
    return [p for p in out.rglob(".*") if p.name.endswith((".part", ".old"))]


def contents(out):
    return {p: p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def essence(report):
    """A report without what depends on the time of day."""
    return {
        "best": report["best"], "pareto": report["pareto"], "binding": report["binding"], "stopped": report["stopped"],
        "candidates": [
            {k: c[k] for k in ("id", "path", "digest", "recipe", "feasible", "verdict", "refused", "metrics")}
            for c in report["candidates"]
        ],
    }  # fmt: skip


def read(out):
    return json.loads((out / "report.json").read_text())


def whole(out):
    """Everything the report names is there and nothing is left lying about; the report."""
    report = read(out)
    assert set(shown(out)) >= {"report.html", "report.json"}
    for c in report["candidates"]:
        if c["path"] is not None:
            assert (out / c["path"] / "candidate.json").is_file()
    assert (out / "bundle" / "manifest.json").is_file() == (report["best"] is not None)
    assert not strays(out) and not (out / ".lock").exists()
    assert {p.name for p in (out / ".store").iterdir()} == {".gitignore", "CACHEDIR.TAG", "entries", "objects"}
    return report


def test_killed_again_and_again_at_any_moment_it_shows_nothing_and_comes_to_the_same_end(signalled, tmp_path, report):
    """Killed at seeded moments, each time further on; then let through. Nothing is done twice."""
    out, draw, before = tmp_path / "out", random.Random(7), {}
    for after in (1, 4, 15, 30, 45):
        ended = signalled(f"fsync:{after + draw.randrange(after)}:{KILL}")
        assert ended.status == -KILL, ended.stderr
        assert shown(out) == []
        now = kept(out)
        assert before.items() <= now.items(), "what was kept stays as it was: the work is not repeated"
        before = now
    assert len(before) > 20
    assert signalled().status == 0
    assert before.items() <= kept(out).items()
    assert essence(whole(out)) == essence(report)


def test_killed_while_the_result_is_written_it_shows_none_of_it(signalled, tmp_path):
    """The result is written aside and shown in one go: until then there is nothing, from then on all of it."""
    total = signalled(arguments=(*QUICKLY, "undisturbed")).counts["result"]
    for moment in (1, total // 2, total - 1):
        ended = signalled(f"result:{moment}:{KILL}", arguments=(*QUICKLY, f"{moment}"))
        assert ended.status == -KILL
        assert shown(tmp_path / f"{moment}") == []
    ended = signalled(f"result:{total}:{KILL}", arguments=(*QUICKLY, "last"))
    assert ended.status == -KILL
    assert essence(read(tmp_path / "last")) == essence(read(tmp_path / "undisturbed"))
    assert signalled(arguments=(*QUICKLY, "last")).status == 0
    whole(tmp_path / "last")


def test_interrupted_in_its_search_it_leaves_the_best_so_far_and_goes_on_later(signalled, tmp_path, report):
    ended = signalled(f"stage:9:{INT}")
    assert ended.status == 0, ended.stderr
    assert "stopped early: interrupted; the same command goes on from here" in ended.stdout
    told = whole(tmp_path / "out")
    assert told["stopped"] == "interrupted" and told["best"] is not None
    before = kept(tmp_path / "out")
    assert signalled().status == 0
    assert before.items() <= kept(tmp_path / "out").items()
    assert essence(whole(tmp_path / "out")) == essence(report)


@pytest.mark.parametrize(
    ("moment", "number"), [("fsync:40", TERM), ("stage:7", TERM), ("stage:8", INT)], ids=["a write", "held-out", "last"]
)
def test_interrupted_anywhere_it_leaves_the_best_so_far_and_says_so(signalled, tmp_path, moment, number):
    """In the middle of a write, of the held-out samples, of the finalists."""
    ended = signalled(f"{moment}:{number}", arguments=(*QUICKLY, "out"))
    assert ended.status == 0, ended.stderr
    told = whole(tmp_path / "out")
    assert told["stopped"] == "interrupted" and told["best"] is not None


def test_interrupted_without_anything_feasible_it_leaves_what_came_nearest(signalled, tmp_path):
    ended = signalled(f"stage:4:{INT}", arguments=(*QUICKLY, "out", "--max-latency-ms", "0.000001"))
    assert ended.status == 3, ended.stderr
    told = whole(tmp_path / "out")
    assert told["stopped"] == "interrupted" and told["best"] is None and told["nearest"]
    assert told["binding"]["metric"] == "latency_ms"


def test_interrupted_before_there_is_anything_to_tell_it_ends(signalled, tmp_path):
    ended = signalled(f"stage:1:{INT}")
    assert (ended.status, ended.stdout) == (130, "")
    assert ended.last == "edgewright: interrupted; nothing half-written is left"
    assert shown(tmp_path / "out") == []


@pytest.mark.parametrize("second", ["stage:6", "result:1", "result:12"])
def test_interrupted_twice_it_ends_at_once_and_leaves_nothing_half_written(signalled, tmp_path, second):
    ended = signalled(f"stage:5:{INT}", f"{second}:{INT}", arguments=(*QUICKLY, "out"))
    assert (ended.status, ended.stdout) == (130, ""), (ended.stderr, ended.counts)
    assert ended.last == "edgewright: interrupted; nothing half-written is left"
    assert "Traceback" not in ended.stderr
    assert shown(tmp_path / "out") == [] and not strays(tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == [".store"]


def test_interrupted_while_the_result_is_written_it_finishes_that(signalled, tmp_path):
    ended = signalled(f"result:5:{INT}", arguments=(*QUICKLY, "out"))
    assert ended.status == 0, ended.stderr
    assert whole(tmp_path / "out")["stopped"] == ""


def test_interrupted_again_an_earlier_result_comes_back(signalled, tmp_path):
    assert signalled(arguments=(*QUICKLY, "out")).status == 0
    before = contents(tmp_path / "out")
    assert signalled(f"stage:3:{INT}", f"stage:4:{INT}", arguments=(*QUICKLY, "out")).status == 130
    assert contents(tmp_path / "out") == before


def test_the_budgets_end_leaves_the_best_so_far(signalled, tmp_path):
    """How far it comes in that time is the machine's affair."""
    ended = signalled(arguments=(*OPTIMIZE, "--budget", "1s"))
    told = whole(tmp_path / "out")
    assert ended.status == (3 if told["best"] is None else 0), ended.stderr
    assert told["stopped"] in ("the budget was spent", "")
    before = kept(tmp_path / "out")
    assert signalled().status == 0
    assert before.items() <= kept(tmp_path / "out").items()


def test_progress_that_nobody_watches_stops_nothing(tmp_path):
    """Standard error is a pipe whose reader has left; standard output is the report and nothing else."""
    write_tiny(tmp_path)
    command = [sys.executable, "-m", "edgewright", *QUICKLY, "out", "--json"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stderr.close()
        said = process.stdout.read()
    assert process.returncode == 0
    assert json.loads(said) == whole(tmp_path / "out")
