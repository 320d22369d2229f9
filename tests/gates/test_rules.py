"""The gates' rules as tables: figures in, a finding out."""

from __future__ import annotations

from typing import Any

import pytest

from edgewright.compression.quantization.saturation import LayerSaturation, Saturation
from edgewright.core.measurement import Measurement
from edgewright.core.model import Step
from edgewright.core.statistics import Interval
from edgewright.flows.gates import accuracy, code, consistency, load, memory, provenance, robustness, saturation, speed
from edgewright.flows.gates import supply as supply_gate
from edgewright.flows.gates.finding import Finding
from edgewright.flows.gates.robustness import Shaken
from edgewright.measurement.accuracy import ClassDrop
from edgewright.measurement.hostile import Outcome
from edgewright.measurement.load import LoadResult
from edgewright.measurement.steadiness import Way
from edgewright.targets import target
from edgewright.trust.advisories import Advisories, Advisory

P, F, U = "passed", "failed", "not checked"


def held(finding: Finding, state: str, *words: str) -> None:
    assert finding.state == state, finding.reason
    for word in words:
        assert word in finding.reason, finding.reason
    assert "\n" not in finding.reason


def points(value: float, low: float, high: float, n: int = 200) -> Measurement:
    return Measurement(value, "points", "measured", n, low, high)


def of_class(name: str, drop: float, low: float, high: float, n: int = 40, before: float = 90.0) -> ClassDrop:
    return ClassDrop(name, n, before, before - drop, drop, low, high)


@pytest.mark.parametrize(
    ("drop", "limit", "state", "words"),
    [
        (points(0.0, -0.2, 0.3), 0.5, P, ["0 points lost", "0.5 may be lost"]),
        (points(-1.0, -2.0, -0.1), 0.5, P, ["1 points won"]),
        (points(0.2, -1.0, 1.4), 0.5, P, ["reaches across", "more samples"]),
        (points(0.5, 0.1, 0.9), 0.5, P, ["reaches across"]),
        (points(0.6, -0.5, 1.7), 0.5, F, ["reaches down"]),
        (points(2.0, 1.0, 3.0), 0.5, F, ["2 points lost"]),
        (points(0.1, 0.1, 0.1), 0.0, F, []),
        (points(0.0, 0.0, 0.0), 0.0, P, []),
    ],
)
def test_accuracy(drop: Measurement, limit: float, state: str, words: list[str]) -> None:
    held(accuracy.judge(drop, limit), state, *words)


@pytest.mark.parametrize(
    ("classes", "limit", "state", "words"),
    [
        ([of_class("a", 0, -5, 5), of_class("b", 8.0, -2.0, 18.0)], 0.5, P, ["worst class 'b': 8 points lost"]),
        ([of_class("a", 0, -5, 5), of_class("b", 20.0, 6.0, 34.0)], 0.5, F, ["class 'b'", "at least 6"]),
        ([of_class("b", 20.0, 4.0, 34.0)], 0.5, P, []),  # 5% of 90 may go
        ([of_class("b", 20.0, 6.0, 34.0)], 10.0, P, []),
        ([of_class("few", 50.0, -5.0, 90.0, n=3), of_class("b", 1.0, -5.0, 7.0)], 0.5, P, ["worst class 'b'"]),
    ],
)
def test_accuracy_of_the_worst_class(classes: list[ClassDrop], limit: float, state: str, words: list[str]) -> None:
    held(accuracy.judge(points(0.0, -0.2, 0.3), limit, classes), state, *words)


def test_accuracy_tells_its_flags() -> None:
    held(accuracy.judge(points(0.0, 0.0, 0.1), 0.5, (), ["2 of 9 answers are NaN"]), P, "answers are NaN")


def ms(value: float, low: float | None = None, high: float | None = None, **told: Any) -> Measurement:
    return Measurement(value, "ms", "measured", 100, low, high, conditions=told)


@pytest.mark.parametrize(
    ("ratio", "p50", "p99", "limit", "state", "words"),
    [
        (Interval(0.25, 0.2, 0.3, 9), ms(1), None, None, P, ["4x as fast"]),
        (Interval(0.99, 0.9, 1.1, 9), ms(1), None, None, P, ["reaches across 1"]),
        (Interval(1.05, 0.99, 1.1, 9), ms(1), None, None, P, ["reaches across 1"]),
        (Interval(1.05, 1.01, 1.1, 9), ms(1), None, None, F, ["slower than the original", "1.05 times"]),
        (None, ms(1), None, None, P, ["the original itself"]),
        (Interval(0.5, 0.4, 0.6, 9), ms(1.9), ms(1.95, 1.9, 2.0), 2.0, P, ["1.9 ms where 2 ms"]),
        (Interval(0.5, 0.4, 0.6, 9), ms(2.1), None, 2.0, F, ["the median takes 2.1 ms"]),
        (Interval(0.5, 0.4, 0.6, 9), ms(1.0), ms(3.0, 1.5, 9.0), 2.0, P, ["one call in a hundred", "reaches down"]),
        (Interval(0.5, 0.4, 0.6, 9), ms(1.0), ms(3.0, 2.5, 9.0), 2.0, F, ["one call in a hundred takes 3 ms"]),
        (Interval(0.5, 0.4, 0.6, 9), ms(1.0), ms(3.0), 2.0, P, ["one call in a hundred"]),
    ],
)
def test_speed(ratio: Any, p50: Measurement, p99: Any, limit: float | None, state: str, words: list[str]) -> None:
    held(speed.judge(ratio, p50, p99, limit), state, *words)


@pytest.mark.parametrize("told", [None, [1.0, 2.0], "fast"])
def test_a_ratio_that_is_none(told: Any) -> None:
    assert speed.ratio_of(ms(1, ratio=told)) is None
    assert speed.ratio_of(ms(1, ratio=[0.5, 0.4, 0.6])) == Interval(0.5, 0.4, 0.6, 100)


def megabytes(value: float, low: float, high: float) -> Measurement:
    return Measurement(value * 1e6, "B", "measured", 3, low * 1e6, high * 1e6)


@pytest.mark.parametrize(
    ("mine", "original", "limit", "state", "words"),
    [
        (megabytes(10, 9, 11), megabytes(20, 19, 21), None, P, ["10 MB", "20 MB"]),
        (megabytes(21.5, 20.5, 22), megabytes(20, 19, 21), None, P, []),
        (megabytes(22, 21.5, 23), megabytes(20, 19, 21), None, F, ["beyond the spread", "--max-memory-mb"]),
        (megabytes(22, 21.5, 23), megabytes(20, 19, 21), 50e6, P, ["within what was asked"]),
        (megabytes(10, 9, 11), megabytes(20, 19, 21), 5e6, F, ["5 MB are allowed"]),
        (megabytes(10, 9, 11), None, None, U, ["nor a limit"]),
        (megabytes(10, 9, 11), None, 50e6, P, []),
    ],
)
def test_memory(mine: Measurement, original: Any, limit: float | None, state: str, words: list[str]) -> None:
    held(memory.judge(mine, original, limit), state, *words)


def test_memory_of_another_engine_matters_where_there_is_little() -> None:
    more, original = megabytes(60, 59, 61), megabytes(14, 13, 15)
    held(memory.judge(more, original, room=1e9), P, "60 MB", "6.0% of what a model may use here")
    held(memory.judge(more, original, room=512e6), F, "beyond the spread")
    held(memory.judge(more, original, 50e6, 1e9), F, "50 MB are allowed")


def way(name: str = "again", identical: bool = True, db: float | None = 200.0, changed: int | None = 0) -> Way:
    return Way(name, 16, identical, db, changed)


PACE = {"p50": ms(1.0), "p99": ms(2.0)}


@pytest.mark.parametrize(
    ("mine", "original", "state", "words"),
    [
        ([way()], [], P, ["bit for bit the same again"]),
        ([way(identical=False, db=50, changed=0)], [way()], F, ["asked again"]),
        ([way(identical=False, db=120, changed=0)], [way()], P, []),  # another order of summation
        ([way(identical=False, db=50)], [way(identical=False)], P, []),
        ([way("in another session", False, 30, 3)], [way("in another session")], F, ["in another session"]),
        ([way("on other threads", False, 60)], [way("on other threads")], P, ["same decisions on other threads"]),
        ([way("on other threads", False, 20, 2)], [way("on other threads")], F, ["2 of 16 inputs get another class"]),
        ([way("on other threads", False, 20, 2)], [way("on other threads", False, 30, 1)], P, []),
        ([way("on other threads", False, 39, None)], [way("on other threads", True, 200, None)], F, ["39 dB apart"]),
        ([way("on other threads", False, 39, None)], [way("on other threads", False, 30, None)], P, []),
        ([way("on other threads", False, 41, None)], [], P, []),
        ([way("among others in a batch", False, None, None)], [], F, ["cannot be compared"]),
    ],
)
def test_consistency_of_answers(mine: list[Way], original: list[Way], state: str, words: list[str]) -> None:
    held(consistency.judge(mine, original, PACE), state, *words)


@pytest.mark.parametrize(
    ("pace", "state", "words"),
    [
        (None, U, ["needs the machine"]),
        ({"p50": ms(1.0), "p99": None}, U, ["not measured"]),
        ({"p50": ms(1.0), "p99": ms(2.9)}, P, ["2.9 times the median"]),
        ({"p50": ms(1.0), "p99": ms(9.0)}, F, ["9 times the median"]),
        (
            {"p50": ms(1.0), "p99": ms(9.0), "original_p50": ms(4.0), "original_p99": ms(20.0)},
            P,
            ["beside it 16 ms"],
        ),
        ({"p50": ms(1.0), "p99": ms(9.0), "original_p50": ms(4.0), "original_p99": ms(5.0)}, F, []),
        (
            {"p50": ms(1.0), "p99": ms(9.0, 4.0, 12.0), "original_p50": ms(4.0), "original_p99": ms(5.0, 5.0, 8.0)},
            P,
            [],
        ),
        ({"p50": ms(1.0, 0.9, 1.1, two_modes_ms=[0.9, 1.4]), "p99": ms(2.0)}, P, ["two heaps"]),
    ],
)
def test_consistency_of_pace(pace: Any, state: str, words: list[str]) -> None:
    held(consistency.judge([way()], [], pace), state, *words)


def shaken(name: str, value: float, low: float, high: float) -> Shaken:
    return Shaken(name, 90.0, 90.0 - value, points(value, low, high))


def outcomes(mine: dict[str, Outcome], original: dict[str, Outcome] | None = None) -> dict[str, dict[str, Outcome]]:
    return {"candidate": mine} | ({} if original is None else {"original": original})


FINITE, NAN, DIED = Outcome("finite", 1.0), Outcome("NaN"), Outcome("died", message="signal SIGSEGV")


@pytest.mark.parametrize(
    ("found", "limit", "clean", "state", "words"),
    [
        ([shaken("noise", 0.5, -1, 2)], 5.0, None, P, ["0.5 points more lost", "noise", "1 ways"]),
        ([shaken("noise", 8.0, 2.0, 14.0)], 5.0, None, U, ["8 points", "5 are allowed", "cannot tell"]),
        ([shaken("noise", 9.0, 6.0, 12.0)], 5.0, None, F, ["more fragile", "noise", "at least 6"]),
        ([shaken("noise", 6.5, 5.5, 12.0)], 5.0, points(7.0, 5.0, 9.0), P, []),  # lost undisturbed already
        ([shaken("dark", 1, 0, 2), shaken("noise", 9.0, 6.0, 12.0)], 5.0, None, F, ["noise"]),
        ([shaken("noise", -3.0, -5, -1)], 5.0, None, P, ["0 points more lost"]),
        ([], 5.0, None, U, ["no disturbance fitted"]),
    ],
)
def test_robustness(found: list[Shaken], limit: float, clean: Any, state: str, words: list[str]) -> None:
    held(robustness.judge(found, limit, clean), state, *words)


@pytest.mark.parametrize(
    ("seen", "state", "words"),
    [
        (outcomes({"one NaN": NAN}, {"one NaN": NAN}), P, ["get the kind of answer the original gives"]),
        (outcomes({"one NaN": FINITE}, {"one NaN": NAN}), P, ["one NaN gets a number", "gives NaN", "look at inputs"]),
        (outcomes({"a": FINITE, "b": FINITE}, {"a": NAN, "b": NAN}), P, ["a (and 1 other hostile input)"]),
        (outcomes({"a": DIED}, {"a": FINITE}), F, ["ends the process", "SIGSEGV"]),
        (outcomes({"a": DIED}, {"a": DIED}), P, []),
        (outcomes({"a": Outcome("error", message="no")}, {"a": FINITE}), P, ["an error where"]),
        (outcomes({"a": FINITE}), P, ["end no process"]),
    ],
)
def test_hostile_inputs(seen: Any, state: str, words: list[str]) -> None:
    held(robustness.judge([shaken("noise", 0.5, -1, 2)], 5.0, None, seen), state, *words)


def test_inputs_without_small_disturbances() -> None:
    held(robustness.judge([], 5.0, needed=False), U, "whole numbers or text")
    held(robustness.judge([], 5.0, None, outcomes({"a": FINITE}), needed=False), P, "whole numbers or text")
    held(robustness.judge([shaken("noise", 0, -1, 1)], 5.0, left_out=["a missing patch"]), P, "no time for: a missing")


def loaded(**changed: Any) -> LoadResult:
    plain = {"calls": 5000, "seconds": 2.0, "errors": (), "checked": 40, "other_answers": 0, "grown_bytes": 4096,
             "growth": Interval(0.0, -5.0, 5.0, 30), "work_ms": (1.0, 1.02), "wall_ms": (1.0, 3.0)}  # fmt: skip
    return LoadResult(**{**plain, **changed})


@pytest.mark.parametrize(
    ("changed", "state", "words"),
    [
        ({}, P, ["5,000 calls", "without an error"]),
        ({"errors": ("it broke",), "calls": 70}, F, ["call 71 failed", "it broke"]),
        ({"other_answers": 3}, F, ["3 of 40 answers"]),
        ({"grown_bytes": 9 * 2**20, "growth": Interval(2e6, 1e6, 3e6, 30)}, F, ["memory grew by 9 MiB"]),
        ({"grown_bytes": 9 * 2**20, "growth": Interval(2e6, -1e6, 3e6, 30)}, P, []),  # a step, no slope
        ({"grown_bytes": 2**19, "growth": Interval(200.0, 100.0, 300.0, 30)}, P, []),  # an allocator's pages
        ({"grown_bytes": None, "growth": None}, P, ["could not be watched"]),
        ({"work_ms": (1.0, 1.6)}, F, ["1.6 times the processor time"]),
        ({"work_ms": (0.0, 0.0)}, P, []),
        ({"calls": 40}, U, ["only 40 calls"]),
        ({"calls": 40, "work_ms": (1.0, 1.6)}, U, []),
    ],
)
def test_load(changed: dict[str, Any], state: str, words: list[str]) -> None:
    held(load.judge(loaded(**changed)), state, *words)


def layer(cut: int = 0, possible: bool = True, ordered: bool = True) -> LayerSaturation:
    return LayerSaturation("conv1", "Conv", 1000, cut, 500, min(cut, 500), 30.0 if cut else None, possible, ordered)


def seen(*layers: LayerSaturation, unseen: tuple[str, ...] = ()) -> Saturation:
    return Saturation(layers, unseen, 32, {}, {})


CHANGED = saturation.Change(32, 5, 7.6)


@pytest.mark.parametrize(
    ("found", "exposed", "change", "wide", "state", "words"),
    [
        (seen(), "exposed", None, False, P, ["nothing is multiplied in 8 bits"]),
        (seen(layer(possible=False)), "exposed", None, False, P, ["safe also without VNNI", "whatever the input"]),
        (seen(layer()), "exposed", None, False, P, ["safe also without VNNI as far as seen", "32 samples"]),
        (seen(layer(3)), "exposed", CHANGED, False, F, ["3 of 1,000", "class of 5 of 32", "7.6 dB", "weight_bits=7"]),
        (seen(layer(3)), "perhaps", CHANGED, False, F, ["3 of 1,000"]),
        (seen(layer(3)), "exact", CHANGED, False, P, ["only safe with VNNI", "3 of 1,000"]),
        (seen(layer(3)), "exposed", saturation.Change(9, None, 20.0), False, F, ["on 9 samples", "20.0 dB"]),
        (seen(layer(3)), "exposed", None, False, F, ["unknown effect"]),
        (seen(layer(ordered=False)), "exposed", None, True, U, ["conv1", "is not known"]),
        (seen(layer(ordered=False)), "exposed", None, False, P, []),
        (seen(layer(possible=False, ordered=False)), "exposed", None, True, P, ["whatever the input"]),
        (seen(unseen=("QGemm",)), "exposed", None, False, U, ["QGemm"]),
        (seen(unseen=("QGemm",)), "exact", None, False, P, ["QGemm", "other CPUs are not checked"]),
        (seen(layer(3), unseen=("QGemm",)), "exposed", CHANGED, False, F, ["3 of 1,000"]),
    ],
)
def test_saturation(found: Saturation, exposed: Any, change: Any, wide: bool, state: str, words: list[str]) -> None:
    held(saturation.judge(found, exposed, "is this one", change, wide=wide), state, *words)


@pytest.mark.parametrize(
    ("name", "exposed"),
    [
        ("industrial-pc-avx2", "exposed"),
        ("intel-n100", "exact"),
        ("server-x86-vnni", "exact"),
        ("raspberry-pi-4", "exact"),
        ("raspberry-pi-5", "exact"),
        ("jetson-orin-nano", "exact"),
        ("iphone", "exact"),
        ("stm32h7", "exact"),
        ("esp32-s3", "exact"),
        ("medium", "perhaps"),
        ("high", "perhaps"),
        ("low", "perhaps"),
        ("ultra-low", "exact"),
    ],
)
def test_targets_whose_kernels_saturate(name: str, exposed: str) -> None:
    assert saturation.exposure(target(name))[0] == exposed


SOURCE, HALF, DONE = "a" * 64, "b" * 64, "c" * 64


def line(**changed: Any) -> provenance.Line:
    plain = {"source": SOURCE, "source_lineage": (), "digest": DONE, "content": DONE, "parts": {"test": "d"},
             "lineage": (Step("simplify", {}, SOURCE), Step("int8_static", {}, HALF)),
             "recipe": ({"pass": "simplify"}, {"pass": "fuse"}, {"pass": "int8_static"})}  # fmt: skip
    return provenance.Line(**{**plain, **changed})


Again = provenance.Remade


@pytest.mark.parametrize(
    ("changed", "state", "words"),
    [
        ({}, P, ["simplify > fuse > int8_static"]),
        ({"remade": [Again("simplify", "same"), Again("fuse", "not tried")]}, P, ["1 of 2", "fuse not run again"]),
        ({"remade": [Again("simplify", "other")]}, F, ["simplify gives other bytes"]),
        ({"content": HALF}, F, ["digest"]),
        ({"shared": 3}, F, ["3 samples are in two splits"]),
        ({"lineage": (Step("simplify", {}, HALF),)}, F, ["not of the source"]),
        ({"lineage": (Step("simplify", {}, SOURCE), Step("secret", {}, HALF))}, F, ["secret"]),
        ({"lineage": (Step("int8_static", {}, SOURCE), Step("simplify", {}, HALF))}, F, ["simplify"]),
        ({"lineage": ()}, F, ["no step says"]),
        ({"lineage": (), "digest": SOURCE, "content": SOURCE, "recipe": ()}, P, ["itself"]),
        ({"source_lineage": (Step("import", {}, DONE),)}, F, ["does not begin"]),
        ({"source_lineage": (Step("import", {}, DONE),),
          "lineage": (Step("import", {}, DONE), Step("fuse", {}, SOURCE))}, P, []),
    ],
)  # fmt: skip
def test_provenance(changed: dict[str, Any], state: str, words: list[str]) -> None:
    held(provenance.judge(line(**changed)), state, *words)


@pytest.mark.parametrize(
    ("remade", "flag"),
    [([Again("a", "same")], True), ([Again("a", "same"), Again("b", "not tried")], None),
     ([Again("a", "other"), Again("b", "not tried")], False), ([], True)],
)  # fmt: skip
def test_the_reproducible_flag(remade: list[Again], flag: bool | None) -> None:
    assert provenance.judge(line(remade=remade)).evidence["reproducible"] is flag


TABLE = Advisories("2026-01-01", ("numpy",), (Advisory("numpy", "CVE-1", "<2", "breaks", "https://x"),))
Library = supply_gate.Library


@pytest.mark.parametrize(
    ("libraries", "state", "words"),
    [
        ({"numpy": Library("2.1", "BSD-3-Clause")}, P, ["permissive", "2026-01-01", "later ones"]),
        ({"numpy": Library("1.9", "BSD-3-Clause")}, F, ["numpy 1.9 has CVE-1", "upgrade"]),
        ({"numpy": Library("2.1", "GPL-3.0-only")}, F, ["copyleft: numpy (GPL-3.0-only)"]),
        ({"numpy": Library("2.1", "LGPL-2.1-only")}, P, ["weak copyleft"]),
        ({"numpy": Library("2.1", "")}, U, ["licence of numpy is not known"]),
        ({"numpy": Library("1.9", "")}, F, ["CVE-1"]),
        ({"numpy": Library("2.1", "GPL-2.0-only OR MIT")}, P, []),
    ],
)
def test_supply(libraries: dict[str, Library], state: str, words: list[str]) -> None:
    held(supply_gate.judge(libraries, TABLE), state, *words)


def test_supply_says_what_its_table_does_not_cover() -> None:
    found = supply_gate.judge({"numpy": Library("2.1", "MIT"), "odd": Library("1", "MIT")}, TABLE)
    assert found.evidence["not_covered"] == ["odd"] and found.evidence["advisories_as_of"] == "2026-01-01"


ONNX = {"model.onnx": b"\x08\x08\x12\x07pyt"}


@pytest.mark.parametrize(
    ("heads", "outside", "custom", "state", "words"),
    [
        (ONNX, [], "", P, ["12 of ai.onnx", "1 files"]),
        (ONNX, [], "operator 'Evil' needs custom code", F, ["Evil"]),
        (ONNX, ["../weights.bin"], "", F, ["../weights.bin"]),
        ({**ONNX, "run.py": b"import os"}, [], "", F, ["run.py"]),
        ({**ONNX, "weights.pkl": b"\x80\x04\x95"}, [], "", F, ["weights.pkl"]),
        ({**ONNX, "weights.bin": b"\x80\x04\x95"}, [], "", F, ["a pickle"]),
        ({**ONNX, "weights.bin": b"\x7fELF\x02"}, [], "", F, ["a program"]),
        ({**ONNX, "weights.bin": b"#!/bin/sh"}, [], "", F, ["a script"]),
        ({**ONNX, "weights.bin": b"\x00\x00\x80?"}, [], "", P, ["2 files"]),
        ({**ONNX, "../escape.bin": b"\x00"}, [], "", F, ["leaves its folder"]),
        ({**ONNX, "/abs.bin": b"\x00"}, [], "", F, ["leaves its folder"]),
    ],
)
def test_code(heads: dict[str, bytes], outside: list[str], custom: str, state: str, words: list[str]) -> None:
    held(code.judge(heads, "model.onnx", outside, {"ai.onnx": 12}, custom), state, *words)
