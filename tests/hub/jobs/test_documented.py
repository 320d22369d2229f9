"""docs/how-to/run-jobs.md, against a hub that listens and its worker."""

import re
from pathlib import Path

from edgewright.testing.beside import beside

ROOT = Path(__file__).parents[3]
log_in = beside(ROOT / "tests" / "hub" / "models" / "test_wire.py", "test_wire").log_in


def test_the_example_runs(start, monkeypatch, capsys):
    page = (ROOT / "docs" / "how-to" / "run-jobs.md").read_text("utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    process = start()
    monkeypatch.setenv("EDGEWRIGHT_HUB", process.url)
    monkeypatch.setenv("EDGEWRIGHT_TOKEN", log_in(process))
    monkeypatch.chdir(ROOT)
    exec(compile(example, "run-jobs.md", "exec"), {})
    *heard, end = capsys.readouterr().out.splitlines()
    assert end == "done digits version 2"
    assert [line for line in heard if line.startswith("job.state")][-1] == "job.state done"
    assert any(line.startswith("job.candidate") for line in heard)
    assert process.end()[0] == 0
