"""The command line itself: light to start, one line for a slip, standard output for results alone."""

import argparse
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgewright import __version__
from edgewright.cli import COMMANDS, main
from edgewright.cli._duration import duration
from edgewright.cli.optimize import ProgressLine, _again, add, progress_text, weights
from edgewright.core.errors import EdgewrightError, InputError, StorageError
from edgewright.flows.settings import Progress
from edgewright.testing.build import Build
from edgewright.testing.tiny import QUICK, tiny_data, tiny_model

HEAVY = {
    "onnx", "onnx_ir", "onnxruntime", "onnxscript", "openvino", "torch", "numpy", "scipy", "sklearn", "skl2onnx",
    "skops", "PIL", "jinja2", "cryptography", "cyclonedx", "threadpoolctl", "sympy",
}  # fmt: skip
WORKSHOP = {"onnx", "onnx_ir", "onnxscript", "torch", "scipy", "sklearn", "skl2onnx", "skops", "jinja2", "PIL", "sympy"}


def imported(program: str) -> set[str]:
    """The modules in a fresh interpreter after ``program``."""
    told = "\nimport sys; print('\\n'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program + told], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def roots(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def parts(modules: set[str]) -> set[str]:
    return {name.split(".")[1] for name in modules if name.startswith("edgewright.")}


def test_importing_the_package_imports_nothing_heavy():
    modules = imported("import edgewright; edgewright.__version__; dir(edgewright)")
    assert not roots(modules) & HEAVY
    assert parts(modules) == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["optimize", "--help"], ["reproduce", "--help"]])
def test_help_imports_no_stage(arguments):
    program = f"from edgewright.cli import main\ntry:\n    main({arguments!r})\nexcept SystemExit as end:\n"
    modules = imported(program + "    assert end.code == 0")
    assert not roots(modules) & HEAVY
    assert parts(modules) <= {"cli", "core"}


@pytest.mark.parametrize("entry", ["bundles", "engines", "core", "trust", "core.files", "core.store", "core.child"])
def test_what_a_device_imports_brings_no_compile_library(entry):
    modules = imported(f"import edgewright.{entry}")
    assert not roots(modules) & WORKSHOP
    assert not parts(modules) & {"compression", "flows", "advice", "measurement", "reports", "graphs", "testing"}


def test_the_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0 and capsys.readouterr().out == f"edgewright {__version__}\n"


def test_help_names_every_command_and_each_has_its_own(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    for name in COMMANDS:
        assert f"    {name} " in told
        with pytest.raises(SystemExit) as end:
            main([name, "--help"])
        assert end.value.code == 0
        assert f"usage: edgewright {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "required: COMMAND; see edgewright --help"),
        (["frobnicate"], "invalid choice: 'frobnicate'"),
        (["--frobnicate"], "see edgewright --help"),
        (["optimize"], "required: model, --data; see edgewright optimize --help"),
        (["optimize", "m", "--data"], "expected one argument; see edgewright optimize --help"),
        (["reproduce"], "required: report; see edgewright reproduce --help"),
        (["bundle", "steal", "x"], "invalid choice: 'steal'"),
        (["targets", "show"], "see edgewright targets show --help"),
        (["optimize", "m", "--data", "d", "--no\nsuch"], "unrecognized arguments: --no such; see edgewright optimize"),
    ],
)
def test_a_slip_gets_one_line_and_status_2(fails, arguments, says):
    status, line = fails(*arguments)
    assert status == 2 and says in line


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("bad model; export it again"), 2, "edgewright: bad model; export it again"),
        (StorageError("cannot write x"), 1, "edgewright: cannot write x"),
        (EdgewrightError("two\nlines and\x1b[31m colour"), 1, "edgewright: two lines and?[31m colour"),
        (KeyboardInterrupt(), 130, "edgewright: interrupted; nothing half-written is left"),
        (MemoryError(), 1, "edgewright: out of memory; use a smaller model or fewer samples"),
        (
            OSError(28, "No space left on device", "/x"),
            1,
            "edgewright: /x: the disk is full; free some space and run again",
        ),
        (
            ZeroDivisionError("oops"),
            1,
            "edgewright: unexpected ZeroDivisionError: oops (run again with --debug and report it)",
        ),
    ],
)
def test_every_kind_of_error_has_its_line_and_status(monkeypatch, capsys, error, status, line):
    from edgewright.cli import targets

    def fail(_):
        raise error

    monkeypatch.setattr(targets, "run", fail)
    assert main(["targets"]) == status
    assert capsys.readouterr() == ("", line + "\n")
    if not isinstance(error, KeyboardInterrupt):
        assert main(["targets", "--debug"]) == main(["--debug", "targets"]) == status
        told = capsys.readouterr().err
        assert told.count("Traceback") == 2 and told.endswith(line + "\n")


@pytest.mark.parametrize("arguments", [["targets"], ["targets", "--json"], ["--help"]])
def test_a_reader_who_leaves_ends_it_quietly(arguments):
    with subprocess.Popen(
        [sys.executable, "-m", "edgewright", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        said = process.stderr.read()
    assert said == b"" and process.returncode in (0, 141)


def test_without_a_standard_output_there_is_nothing_to_say(tmp_path):
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "edgewright", "targets"],
        stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")


def test_json_stands_alone_on_standard_output_whatever_else_is_printed(bench, capfd):
    """The user's own code may print, and libraries write to the descriptor itself."""
    Path("samples.py").write_text(
        "import os\nfrom edgewright.testing.tiny import tiny_data\n\n"
        "def give():\n    print('printed')\n    os.write(1, b'written\\n')\n    return tiny_data()\n"
    )
    assert main(["optimize", "model.onnx", "--data", "samples:give", *QUICK, "-o", "out", "--json"]) == 0
    said = capfd.readouterr()
    told = json.loads(said.out)
    assert told == json.loads(Path("out/report.json").read_text())
    assert "printed" in said.err and "written" in said.err
    assert {"schema", "baseline", "best", "pareto", "binding", "environment", "candidates"} <= told.keys()


def test_limits_that_no_candidate_meets_are_no_error(bench, capsys):
    status = main(["optimize", "model.onnx", "--data", "data.npz", *QUICK, "--max-latency-ms", "1e-9", "-o", "out"])
    said = capsys.readouterr()
    assert status == 3
    assert "nothing feasible among" in said.out and "what stood in the way: latency_ms <= 1e-09 ms" in said.out
    told = json.loads(Path("out/report.json").read_text())
    assert told["best"] is None and told["binding"]["metric"] == "latency_ms" and told["nearest"]
    assert Path("out/report.html").is_file() and not Path("out/bundle").exists()


def test_data_without_labels_and_with_fewer_samples_than_classes_can_be_used(bench, capsys):
    images, many = tiny_data()["image"], Build(17)
    x = many.node("Flatten", many.input("image", ["batch", 3, 12, 12]))
    many.output(many.node("Gemm", x, many.weight(40, 432), transB=1), ["batch", 40])
    Path("forty.onnx").write_bytes(many.model().data)
    np.savez("none.npz", image=images)
    np.savez("twenty.npz", image=images[:20], labels=np.arange(20))
    for model, name, metric in (("model", "none", "agreement"), ("forty", "twenty", "top1")):
        assert main(["optimize", f"{model}.onnx", "--data", f"{name}.npz", *QUICK, "-o", name]) == 0
        told = json.loads(Path(name, "report.json").read_text())
        assert told["metric"]["metric"] == metric
        assert any("the test split has only" in note for note in told["data"]["notes"])
    capsys.readouterr()


def test_sizes_that_a_model_leaves_open_come_from_the_data(bench, capsys):
    model = onnx.load_from_string(tiny_model().data)
    for axis, name in zip(model.graph.input[0].type.tensor_type.shape.dim, ("n", "", "h", "w"), strict=True):
        if name:
            axis.dim_param = name
    onnx.save(model, "open.onnx")
    assert main(["optimize", "open.onnx", "--data", "data.npz", *QUICK, "-o", "out"]) == 0
    told = json.loads(Path("out/report.json").read_text())
    assert any(c["feasible"] and "int8_static" in str(c["recipe"]) for c in told["candidates"])
    capsys.readouterr()


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    add(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--max-latency-ms", "0.1234567890123", "--max-size-mb", "1e-7", "--max-accuracy-drop", "0"],
        ["--budget", "1h", "--seed", "9007199254740993", "--threads", "4"],
        ["--budget", "1234567.25"],
        ["--engine", "onnxruntime", "--engine", "openvino", "--keep-structure", "--metric", "my module:score"],
        [
            "--prefer",
            "latency=0.1,size=1e-9",
            "--target",
            "my target.toml",
            "--preprocessing",
            "a b.json",
            "-o",
            "o u t",
        ],
        ["--max-memory-mb", "3", "--max-energy-mj", "0.001"],
    ],
)
def test_the_command_in_the_report_asks_for_the_same_again(arguments):
    """Through a shell's quoting, to the last digit."""
    first = parsed("a model.onnx", "--data", "d", *arguments)
    again = shlex.split(shlex.join(["a model.onnx", "--data", "d", *_again(first)]))
    assert vars(parsed(*again)) == vars(first)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("5m", 300), ("1h", 3600), ("0.5s", 0.5), (" 2m ", 120), ("1.5h", 5400)],
)
def test_durations(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1", "0", "0s", "1d", "1e3", "inf", "nan", "5 m", "1h30m", "٣s"])
def test_what_is_no_duration(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is no time"):
        duration(text)


def test_weights():
    assert weights("latency=1, size=0.5") == {"latency": 1, "size": 0.5, "memory": 0, "energy": 0, "accuracy": 0}
    for text in ("", "latency", "latency=", "latency=x", "beauty=1", "latency=1,,"):
        with pytest.raises(argparse.ArgumentTypeError):
            weights(text)


def test_progress_fits_one_line_on_a_terminal_and_tells_each_stage_once_elsewhere(monkeypatch, capsys):
    now = Progress("measuring", 3, 12.0, 48.0, None, None, None)
    assert (
        progress_text(now)
        == "[##        ]  12 s,  48 s left at most |  3 tried | no feasible candidate yet | measuring"
    )
    line = ProgressLine()
    for _ in range(3):
        line.show(now)
    line.clear()
    assert capsys.readouterr().err == progress_text(now) + "\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_, **__: os.terminal_size((30, 24)))
    line = ProgressLine()
    line.show(now)
    line.clear()
    told = capsys.readouterr().err
    assert told == f"\r\x1b[2K{progress_text(now)[:29]}\r\x1b[2K"
