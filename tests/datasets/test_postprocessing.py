"""Postprocessing: the classes that scores mean, as the search judged them, and a faithful JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from edgewright.core.errors import InputError
from edgewright.core.model import Signature, TensorSpec
from edgewright.datasets.postprocessing import Postprocessing

NAMES = ("ant", "bee", "cat", "dog")
SCORES = np.array([[0.1, 0.5, 0.5, -1.0], [9.0, 2.0, 3.0, 4.0]], np.float32)


def told(made: dict[str, Any]) -> tuple[Any, Any, Any]:
    return made["top_indices"].tolist(), made["top_labels"].tolist(), made["top_scores"]


def test_the_best_come_first_and_of_equals_the_lower_index() -> None:
    indices, labels, scores = told(Postprocessing("y", top=3).apply({"y": SCORES}, NAMES))
    assert indices == [[1, 2, 0], [0, 3, 2]]
    assert labels == [["bee", "cat", "ant"], ["ant", "dog", "cat"]]
    np.testing.assert_array_equal(scores, np.float32([[0.5, 0.5, 0.1], [9, 4, 3]]))


@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2), elements=st.floats(-50, 50, width=32)))
def test_the_first_is_what_argmax_answers_with_and_without_softmax(scores: Any) -> None:
    if scores.shape[1] < 2:
        return
    plain = Postprocessing("y", top=2).apply({"y": scores})
    soft = Postprocessing("y", top=1000, shares="softmax").apply({"y": scores})
    assert (plain["top_indices"][:, 0] == scores.argmax(axis=1)).all()
    assert (soft["top_indices"][:, 0] == scores.argmax(axis=1)).all()
    np.testing.assert_allclose(soft["top_scores"].sum(axis=1), 1, rtol=1e-5)
    assert (np.diff(soft["top_scores"], axis=1) <= 0).all()


def test_below_the_threshold_and_where_an_answer_is_lost_nobody_is_named() -> None:
    scores = np.array([[0.2, 0.8], [np.nan, 0.8], [np.inf, 0.8], [0.3, 0.1]], np.float32)
    indices, labels, _ = told(Postprocessing("y", threshold=0.25).apply({"y": scores}, NAMES))
    assert indices == [[1, -1], [-1, -1], [-1, -1], [0, -1]]
    assert labels == [["bee", ""], ["", ""], ["", ""], ["ant", ""]]


@pytest.mark.parametrize(
    ("declared", "values", "indices"),
    [
        ({}, [[0.4], [0.5], [0.6]], [[0, 1], [0, 1], [1, 0]]),
        ({"threshold": 0.1}, [[0.05], [0.2]], [[0, 1], [1, 0]]),
        ({"shares": "sigmoid"}, [[-1e-30], [1e-30], [0.0]], [[0, 1], [1, 0], [0, 1]]),
        ({"shares": "sigmoid", "pair": (3, 2), "top": 1}, [[-900.0], [900.0]], [[3], [2]]),
        ({}, [[np.nan], [np.inf]], [[-1, -1], [-1, -1]]),
    ],
)
def test_a_single_number_decides_between_two(declared: Any, values: Any, indices: Any) -> None:
    made = Postprocessing("y", "single", **declared).apply({"y": np.array(values, np.float32)})
    assert made["top_indices"].tolist() == indices


def test_a_single_share_is_told_with_its_opposite() -> None:
    made = Postprocessing("y", "single").apply({"y": np.float32([0.25])}, ("no", "yes"))
    assert made["top_scores"].tolist() == [[0.75, 0.25]] and made["top_labels"].tolist() == [["no", "yes"]]


def test_classes_without_a_label_are_named_by_their_number() -> None:
    assert Postprocessing("y", top=4).apply({"y": SCORES}, ("ant",))["top_labels"].tolist()[0] == ["1", "2", "ant", "3"]


def test_quantised_scores_and_trailing_axes_of_one_are_read() -> None:
    scores = np.uint8([[0, 255, 3]]).reshape(1, 3, 1, 1)
    assert Postprocessing("y").apply({"y": scores})["top_indices"].tolist() == [[1, 2, 0]]


@pytest.mark.parametrize(
    ("form", "array"),
    [
        ("scores", np.zeros(3, np.float32)), ("scores", np.zeros((2, 3, 4), np.float32)), ("single", SCORES),
        ("scores", np.array([["a", "b"]], object)), ("scores", np.zeros((2, 0), np.float32)),
    ],
)  # fmt: skip
def test_an_output_of_another_form_is_an_error(form: Any, array: Any) -> None:
    with pytest.raises(InputError, match="does not read that"):
        Postprocessing("y", form).apply({"y": array})


def test_json_gives_back_the_same() -> None:
    for made in (Postprocessing("y"), Postprocessing("y", "single", 1, "sigmoid", 0.25, (1, 3))):
        assert Postprocessing.from_json(json.loads(json.dumps(made.to_json()))) == made


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({}, "lacks 'output'"),
        ({"output": "y", "kind": "argmax"}, "unknown key 'kind'"),
        ({"output": 3}, "name of an output"),
        ({"output": "y", "form": "boxes"}, "scores or single"),
        ({"output": "y", "top": 0}, "whole number"),
        ({"output": "y", "top": True}, "whole number"),
        ({"output": "y", "shares": "sigmoid"}, "as_is or softmax"),
        ({"output": "y", "threshold": "high"}, "a number or null"),
        ({"output": "y", "threshold": float("nan")}, "a number or null"),
        ({"output": "y", "pair": [1]}, "two class indices"),
        ({"output": "y", "pair": "no"}, "two class indices"),
        ({"output": "y", "pair": None}, "two class indices"),
    ],
)
def test_what_makes_no_sense_is_refused(value: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        Postprocessing.from_json(value)


def test_it_must_fit_the_model() -> None:
    spec = TensorSpec("y", "float32", (None, 3))
    Postprocessing("y").fits(Signature((), (spec,)))
    with pytest.raises(InputError, match="reads output 'z', the model has: y"):
        Postprocessing("z").fits(Signature((), (spec,)))
    with pytest.raises(InputError, match="own output 'top_labels'"):
        Postprocessing("y").fits(Signature((), (spec, TensorSpec("top_labels", "str", (None,)))))
