"""``edgewright measure`` on what ``optimize`` sealed."""

import json

from edgewright.cli import main
from edgewright.trust.keys import SigningKey


def call(capsys, *arguments):
    status = main(["measure", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def test_a_bundle_is_measured_with_the_options_it_was_sealed_with(workshop, capsys):
    bundle = workshop / "out/bundle"
    status, out, err = call(capsys, workshop / "model.onnx", bundle, "--budget", "1s", "--json")
    assert (status, err) == (0, "")
    report = json.loads((workshop / "out/report.json").read_text())
    best = next(c for c in report["candidates"] if c["id"] == report["best"])
    told = json.loads(out)["models"][1]
    assert (told["digest"], told["engine"]) == (best["digest"], best["engine"])
    assert told["engine_options"] == best["engine_options"]


def test_a_bundle_of_somebody_else_is_not_opened(workshop, tmp_path, capsys):
    other = tmp_path / "other.pub"
    other.write_text(SigningKey.generate().public.text())
    status, out, err = call(capsys, workshop / "out/bundle", "--budget", "1s", "--key", other)
    assert (status, out) == (1, "") and "trust" in err and err.count("\n") == 1
