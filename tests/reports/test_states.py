"""What the page says in each state a run can end in."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from edgewright.core.candidate import Constraint
from edgewright.measurement.answers import Choice
from edgewright.measurement.metrics import metric
from edgewright.reports import render

Pages = Callable[..., Any]
ELSEWHERE = {
    "name": "raspberry-pi-5",
    "title": "Raspberry Pi 5 (8 GB)",
    "notes": ["Cooled."],
    "figures": {"memory_bandwidth": {"value": 17e9, "unit": "B/s", "source": "LPDDR4X data sheet"}},
}


def heading(found: Any) -> str:
    """The verdict."""
    said = re.search(r"<h1[^>]*>(.*?)</h1>", found.source, re.DOTALL)
    assert said is not None
    return re.sub(r"<[^>]+>", "", said[1])


def test_what_was_won_is_one_sentence_with_intervals(maker: Any, page: Pages) -> None:
    found = page(maker.report())
    assert heading(found) == (
        "4.0 times as fast (3.80 to 4.20), 9.0 times smaller and 0.2 points of top-1 accuracy lost (−1.0 to +1.5)."
    )
    assert "Feasible" in found.text
    assert "INT8 static U8S8 per channel, min-max calibration; runs on ONNX Runtime with 1 thread." in found.text
    assert "In brackets: 95% intervals." in found.text


@pytest.mark.parametrize(
    ("latency", "size", "drop", "said"),
    [
        (0.8, 900e3, 0.0, "About as fast (0.95 to 1.05), the same size and 0.0 points of top-1 accuracy lost"),
        (
            0.2,
            1800e3,
            -0.4,
            "4.0 times as fast (3.80 to 4.20), 2.0 times larger and 0.4 points of top-1 accuracy gained",
        ),
        (0.02, 9e3, 0.0, "40 times as fast (38.0 to 42.0), 100 times smaller and"),
    ],
)
def test_the_verdict_claims_no_more_than_was_seen(
    maker: Any, page: Pages, latency: float, size: float, drop: float, said: str
) -> None:
    maker.constraints = ()
    assert heading(page(maker.report([maker.candidate(1, latency, size, drop, final=True)]))).startswith(said)


def test_nothing_feasible_names_what_stood_in_the_way_and_what_would_help(maker: Any, page: Pages) -> None:
    maker.constraints = (Constraint("latency_ms", "max", 0.1, "ms"),)
    found = page(maker.report())
    assert heading(found).replace("\xa0", " ") == (
        "None of 4 candidates keeps every limit: latency stood in the way, with 200 µs against a limit of 100 µs."
    )
    assert "Nothing feasible" in found.text
    assert "--max-latency-ms 0.2 would let it pass." in found.text
    assert "The nearest candidate beside the original" in found.text
    assert "Broken" in found.text
    assert "Chosen" not in found.text


def test_everything_refused(maker: Any, page: Pages) -> None:
    found = page(maker.report([maker.candidate(k, None, refused=["fuse: does not run"]) for k in (1, 2)]))
    assert heading(found) == "None of 2\xa0candidates keeps every limit: every one was refused."
    assert "Fuse: does not run 2 candidates" in found.text
    assert "no figure" in found.text


def test_no_candidates_and_stopped_early(maker: Any, page: Pages) -> None:
    found = page(maker.report([], stopped="interrupted"))
    assert heading(found) == "Nothing was tried: interrupted."
    assert "Stopped early: interrupted" in found.text
    assert "No candidate was tried: interrupted. Give the search more time" in found.text
    assert "at most 500 µs" in found.text


def test_the_original_chosen_is_no_win(maker: Any, page: Pages) -> None:
    report = maker.report()
    report["best"] = report["baseline"]["id"]
    assert heading(page(report)).startswith("The original stays")


def test_a_target_that_was_not_there_is_predicted_everywhere(maker: Any, page: Pages) -> None:
    maker.kind = "predicted"
    found = page(maker.report(target=ELSEWHERE))
    assert heading(found).startswith("Predicted to be 4.0 times as fast, 9.0 times smaller")
    assert "Times predicted, not measured" in found.text
    assert "The target, Raspberry Pi 5 (8 GB) , was not there." in found.text
    assert "This figure is predicted, not measured." in found.text
    assert "so there is no distribution to show" in found.text
    assert "LPDDR4X data sheet" in found.text
    assert "Latency of a call, µs (predicted)" in found.text
    # Wherever a time stands, its kind stands beside it.
    cells = re.findall(r"<td[^>]*>(?:(?!</td>).)*<i>µs</i>.*?</td>", found.source)
    assert len(cells) >= 6
    assert all(">predicted</em>" in cell for cell in cells)


@pytest.mark.parametrize(("metrics", "kind"), [("size_bytes", "measured"), ("energy_mj", "estimated")])
def test_every_figure_bears_its_kind_in_words(maker: Any, page: Pages, metrics: str, kind: str) -> None:
    found = page(maker.report())
    name = {"size_bytes": "Size on disk", "energy_mj": "Energy per call"}[metrics]
    row = re.search(rf'<th scope="row">{name}.*?</tr>', found.source, re.DOTALL)
    assert row is not None
    assert row[0].count(kind) >= 3


def test_test_and_search_figures_are_told_apart(maker: Any, page: Pages) -> None:
    found = page(maker.report())
    rows = dict(re.findall(r'<tbody id="c-(\w+)" class="row[^>]*>(.*?)</td>\s*</tr>', found.source, re.DOTALL))
    assert "held-out test" in rows["000000000001"]
    assert "side by side" in rows["000000000001"]
    assert "search split" in rows["000000000003"]
    assert "quick look" in rows["000000000003"]


def test_a_limit_kept_by_the_value_but_not_by_its_interval_says_so(maker: Any, page: Pages) -> None:
    assert "Kept by the value; the interval reaches +1.5 points: 240 samples cannot tell it closer" in page(
        maker.report()
    ).text.replace("\xa0", " ")


def test_a_limit_without_a_figure_is_not_known(maker: Any, page: Pages) -> None:
    maker.constraints = (Constraint("ram_bytes", "max", 1e6, "B"),)
    found = page(maker.report([maker.candidate(3)], best=None, nearest=["000000000003"], binding=None))
    assert "No figure, so the limit does not count as kept." in found.text
    assert "Not known" in found.text


def test_without_labels_agreement_is_what_is_lost(maker: Any, page: Pages) -> None:
    maker.choice = Choice(metric("agreement"), "y", "scores", "there are no labels, and output 'y' gives scores")
    found = page(maker.report())
    assert "0.2 points of agreement with the original lost" in heading(found)
    assert "there are no labels" in found.text


def test_of_an_error_more_is_worse(maker: Any, page: Pages) -> None:
    maker.choice = Choice(metric("rmse"), "y", "numbers", "labels and output 'y' are numbers")
    maker.constraints = (Constraint("accuracy_drop", "max", 0.1, "label units"),)
    found = page(maker.report([maker.candidate(1, drop=0.02, final=True, classes=0)]))
    assert "RMSE higher by 0.02 label units (−1.18 to +1.32)" in heading(found)
    assert "RMSE added" in found.text
    assert "RMSE lost" not in found.text
    assert "These answers are no classes" in found.text


@pytest.mark.parametrize(
    ("classes", "said"), [(1, "Of 1 class 1 lost"), (3, "Of 3 classes 1 lost and 2 stayed as they were")]
)
def test_few_classes(maker: Any, page: Pages, classes: int, said: str) -> None:
    found = page(maker.report([maker.candidate(1, final=True, classes=classes)]))
    assert said in found.text.replace("\xa0", " ")
    assert "Worst" in found.text


def test_a_thousand_classes_show_the_worst_and_count_the_rest(maker: Any, page: Pages) -> None:
    maker.choice = replace(maker.choice, classes=tuple(f"class number {k}" for k in range(1000)))
    found = page(maker.report([maker.candidate(1, final=True, classes=1000)]))
    assert "120 more classes; report.json holds all 1000" in found.text
    assert len(found.all("tr", class_="worst")) == 1
    assert len(found.source) < 300_000


def test_hundreds_of_candidates_are_all_there_and_few_are_shown_first(maker: Any, page: Pages) -> None:
    found = page(maker.report([maker.candidate(k, 0.1 + k / 1e3, 1e5 + k, final=k == 1) for k in range(1, 301)]))
    assert found.faults == []
    bodies = [a for a in found.all("tbody") if "row" in a.get("class", "")]
    assert len(bodies) == 301
    assert sum("late" in a["class"] for a in bodies) == 301 - 12
    assert "Show all 301" in found.text
    assert len(found.source) < 1_500_000


def test_one_that_lost_everything_does_not_flatten_the_map(maker: Any) -> None:
    source = render(
        maker.report([maker.candidate(1, final=True), maker.candidate(2, 0.1), maker.candidate(3, drop=80.0)])
    )
    assert ">beyond<" in source


def test_long_names_are_clipped_and_stay_whole_at_their_ends(maker: Any, page: Pages) -> None:
    long = "network_" * 60 + "end"
    found = page(
        maker.report(
            [maker.candidate(1, final=True, recipe=[{"pass": long, "option": long}], engine=long)],
            model={"source": f"/x/{long}.onnx"},
            sensitivity=[{"layer": long, "op_type": "Conv", "sqnr_db": 20.0}],
        )
    )
    assert found.text.count(long) == 1  # the path under which the model was given, whole
    assert "end.onnx" in found.text


def test_gates_are_shown_as_they_are_told(maker: Any, page: Pages) -> None:
    drop = maker.metrics(0.2, 1e5, 0.2, final=True)["accuracy_drop"].to_json()
    gates = [
        {
            "name": "accuracy",
            "title": "Accuracy kept",
            "state": "passed",
            "reason": "99.8%",
            "evidence": {"drop": drop},
        },
        {"name": "load", "title": "Load", "state": "failed", "reason": "p99 grew", "evidence": [{"a": 1}, {"a": 2}]},
        {"name": "no_saturation", "state": "not checked", "reason": "", "evidence": None},
        {"name": "odd", "title": "Odd", "state": "perhaps", "evidence": "text"},
    ]
    found = page(maker.report(readiness={"schema": "x", "candidate": "1", "gates": gates}))
    assert "1 passed, 1 failed, 1 not checked, 1 perhaps." in found.text
    assert "No saturation" in found.text
    assert "0.20 points (−1.0 to +1.5), measured".replace("0.20", "0.2") in found.text.replace("\xa0", " ")
    classes = [a["class"] for a in found.all("li") if a.get("class", "").startswith("gate")]
    assert classes == ["gate bad", "gate unknown", "gate unknown", "gate good"]
    assert "Not ready: load failed" in found.text


def test_no_gates_says_not_checked(maker: Any, page: Pages) -> None:
    assert "No gate was run." in page(maker.report()).text


def test_missing_figures_come_with_their_reason(maker: Any, page: Pages) -> None:
    text = page(maker.report()).text
    assert "Missing figures Energy per call ( the original, 000000000001, 000000000002 )" in text
    assert "no counter is readable" in text


def test_time_goes_by_type_original_beside_chosen(maker: Any, page: Pages) -> None:
    def told(ms: float, kind: str) -> dict[str, Any]:
        row = {
            "name": "conv1",
            "op_type": kind,
            "ms": ms,
            "share": 0.98,
            "count": 13,
            "sources": ["a", "b"],
            "order": 0,
        }
        return {"by_type": [row], "slowest": [row]}

    profiles = {"0" * 12: told(1.6, "Conv"), "000000000001": told(0.36, "QLinearConv")}
    text = page(maker.report(profiles=profiles)).text.replace("\xa0", " ")
    assert "The original 1.60 ms under the profiler" in text
    assert "QLinearConv 13 operators 0.360 98%" in text
    assert "conv1 QLinearConv, for 2 nodes of the model" in text


def test_passes_tell_what_they_did(maker: Any, page: Pages) -> None:
    report = maker.report()
    report["best"] = "000000000002"
    text = page(report).text.replace("\xa0", " ")
    assert "Channels 48 of 64 in 2 groups" in text
    assert "Multiplies kept 50.0%" in text
    assert "keep 50% of the multiplies, in steps of 16 channels" in text
    assert "Layers made integer 14" in text


def test_disturbances_are_told_once(maker: Any, page: Pages) -> None:
    assert page(maker.report()).text.count("The machine was not quiet: busy") == 1


def test_the_command_can_be_copied_and_a_bundle_s_report_has_none(maker: Any, page: Pages) -> None:
    assert "edgewright optimize models/net.onnx --data data.npz -o out" in page(maker.report()).text
    report = maker.report(reproduce="")
    report["model"]["source"] = report["data"]["source"] = None
    found = page(report)
    assert "there is none to show" in found.text
    assert "model abababab" in found.text
    assert "edgewright reproduce report.json --candidate 000000000001 -o again/" in found.text


@pytest.mark.parametrize(
    ("states", "ready", "said"),
    [
        (["passed"], True, "Ready to ship"),
        (["passed", "not checked"], False, "Not ready yet: gates not checked"),
        (["failed", "failed"], False, "Not ready: gate0 failed and more"),
    ],
)
def test_the_verdict_says_whether_it_may_ship(
    maker: Any, page: Pages, states: list[str], ready: bool, said: str
) -> None:
    gates = [{"name": f"gate{k}", "state": state, "reason": "r"} for k, state in enumerate(states)]
    assert said in page(maker.report(readiness={"ready": ready, "gates": gates})).text


def test_notes_of_the_run_stand_under_the_verdict(maker: Any, page: Pages) -> None:
    assert "openvino is not installed" in page(maker.report(notes=["openvino is not installed"])).text


def test_refusals_that_differ_in_figures_alone_count_as_one(maker: Any, page: Pages) -> None:
    refused = [maker.candidate(k, refused=[f"loses 0.{k} points"]) for k in (5, 6)]
    slow = maker.candidate(7, refused=["int8_static is slower here than float: 0.2 times"])
    text = page(maker.report([*refused, slow])).text.replace("\xa0", " ")
    assert "Loses 0.5 points 2 candidates, the figures differ" in text
    assert "INT8, static is slower here than float 1 candidate" in text
