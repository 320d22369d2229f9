"""Recipes, limits and counts in words."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from edgewright.compression.passes.int4_weights import Int4Weights
from edgewright.compression.passes.int8_dynamic import Int8Dynamic
from edgewright.compression.passes.int8_static import Int8Static
from edgewright.compression.passes.low_rank import LowRank
from edgewright.compression.passes.mixed_precision import MixedPrecision
from edgewright.compression.passes.prune_channels import PruneChannels
from edgewright.compression.passes.qdq_repair import QdqRepair
from edgewright.core.candidate import Clause, Constraint
from edgewright.reports.words import brief, count, limit, listed, percent, sentence, told_against

FLOAT = [{"pass": "simplify"}, {"pass": "fuse"}, {"pass": "strip"}]
HALF = {"pass": "prune_channels", "keep": 0.5, "align": 16}
INT8 = {"pass": "int8_static", "calibration": "mse"}


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ([], "the original"),
        (FLOAT, "exact rewritings only"),
        ([*FLOAT, HALF], "50% of the multiplies kept"),
        ([HALF, INT8], "50% of the multiplies kept, INT8 static, MSE calibration"),
        ([{"pass": "int8_static", "weight_bits": 7}], "INT8 static, 7-bit weights"),
        ([{"pass": "int8_static", "activations": "s8_symmetric"}], "INT8 static, S8S8, symmetric"),
        ([{"pass": "mixed_precision", "float_layers": 1}], "INT8 with 1\xa0layer in float"),
        ([{"pass": "int4_weights", "bits": 4}], "INT4 weights"),
        ([{"pass": "int8_dynamic"}], "INT8 dynamic"),
        ([{"pass": "brand_new"}], "brand new"),
        ([{}], "unnamed"),
    ],
)
def test_a_recipe_in_few_words(recipe: list[dict[str, Any]], words: str) -> None:
    assert brief(recipe) == words


@pytest.mark.parametrize(
    ("recipe", "engine", "options", "words"),
    [
        ([], "onnxruntime", {}, "As it came; runs on ONNX Runtime."),
        (
            [*FLOAT, HALF, INT8],
            "openvino",
            {"threads": 1, "precision": "f32", "graph_level": "all"},
            "50% of the multiplies kept by removing channels in steps of 16, INT8 static U8S8 per channel, "
            "MSE calibration; runs on OpenVINO with 1\xa0thread.",
        ),
        (
            FLOAT,
            "onnxruntime",
            {"threads": 2, "spinning": True, "graph_level": "basic", "precision": "bf16", "provider": "CUDA"},
            "Folded, fused and stripped, with the same answers up to rounding; runs on ONNX Runtime with 2\xa0threads, "
            "spinning while it waits, graph level basic, bf16 precision, provider CUDA.",
        ),
        (
            [
                {
                    "pass": "int8_static",
                    "per_channel": False,
                    "weight_bits": 7,
                    "bias_correction": False,
                    "skip": ["a", "b"],
                }
            ],
            "own",
            {},
            "INT8 static U8S8 per tensor, min-max calibration, 7-bit weights, biases as they were, "
            "2\xa0layers left in float; runs on own.",
        ),
        (
            [{"pass": "low_rank", "energy": 0.9, "macs": 0.5}],
            "",
            {},
            "Large matrices split into thin ones that keep 90.0% of their outputs' energy, at most 50% of the "
            "multiplies; runs on an unnamed engine.",
        ),
        ([{"pass": "brand_new", "depth": 3}], "own", {}, "Brand new (depth 3); runs on own."),
    ],
)
def test_a_candidate_in_one_sentence(recipe: Any, engine: str, options: dict[str, Any], words: str) -> None:
    assert sentence(recipe, engine, options) == words


@pytest.mark.parametrize(
    "kind", [Int8Static, Int8Dynamic, Int4Weights, MixedPrecision, PruneChannels, LowRank, QdqRepair]
)
def test_what_a_step_leaves_out_is_told_as_the_pass_s_own_default(kind: Any) -> None:
    every = {f.name: f.default for f in dataclasses.fields(kind) if f.default is not dataclasses.MISSING}
    every = {key: list(value) if isinstance(value, tuple) else value for key, value in every.items()}
    bare, full = [{"pass": kind.name}], [{"pass": kind.name, **every}]
    assert sentence(bare, "x", {}) == sentence(full, "x", {})
    assert brief(bare) == brief(full)


@pytest.mark.parametrize(
    ("constraint", "value", "asked", "told"),
    [
        (Constraint("latency_ms", "max", 2.0, "ms"), 2.1, "at most 2\xa0ms", "2.10\xa0ms against a limit of 2\xa0ms"),
        (Constraint("size_bytes", "max", 1e6, "B"), 1.5e6, "at most 1\xa0MB", "1.50\xa0MB against a limit of 1\xa0MB"),
        (Constraint("accuracy", "min", 95.0, "%"), None, "at least 95\xa0%", "not known, against a floor of 95\xa0%"),
        (Constraint("accuracy_drop", "max", 0.0, "%"), 0.4, "at most 0\xa0%", "0.400\xa0% against a limit of 0\xa0%"),
    ],
)  # fmt: skip
def test_a_limit_in_words(constraint: Constraint, value: float | None, asked: str, told: str) -> None:
    assert limit(constraint) == asked
    assert told_against(Clause(constraint, value, None)) == told


def test_counts_shares_and_lists() -> None:
    assert (count(1, "layer"), count(2, "layer"), count(None, "layer")) == ("1\xa0layer", "2\xa0layers", "some layers")
    assert count(0, "class", "classes") == "0\xa0classes"
    assert (percent(0.42), percent(0.001), percent(0.0), percent("x")) == ("42%", "under 1%", "0%", "an unknown share")
    assert (listed(["a"]), listed(["a", "b", "c"]), listed([])) == ("a", "a, b and c", "")
