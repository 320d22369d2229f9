"""Held-out evidence: signed with the bundle, read without an engine, and what a gate takes from it."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from edgewright import bundles
from edgewright.bundles import HELD_OUT, HeldOut, expected, held_out
from edgewright.core.answers import Rule
from edgewright.core.doubt import DoubtCurve
from edgewright.core.errors import InputError, TrustError

GOOD = HeldOut(DoubtCurve(1.5, 0.8), 300, 0.97, 0.9, 0.03, "0" * 64)


def answers(n=4000, scale=1.0, seed=0):
    """Logits (n, 5) and classes drawn by their own softmax: a calibrated model."""
    draw = np.random.default_rng(seed)
    logits = 2.0 * draw.normal(size=(n, 5))
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    labels = (draw.random((n, 1)) > np.cumsum(raised / raised.sum(axis=1, keepdims=True), axis=1)).sum(axis=1)
    return (scale * logits).astype(np.float32), labels


def sealed(content, key, folder, evidence):
    return bundles.seal(replace(content, evidence={**content.evidence, **evidence}), folder, key)


def test_it_comes_back_from_a_sealed_bundle_and_an_older_one_has_none(content, key, tmp_path, pristine):
    told = json.dumps(GOOD.to_json()).encode()
    assert sealed(content, key, tmp_path / "new", {HELD_OUT: told}).content.held_out == GOOD
    assert bundles.verify(pristine, [key.public]).content.held_out is None


def test_it_is_read_without_an_engine(content, key, tmp_path):
    sealed(content, key, tmp_path / "new", {HELD_OUT: json.dumps(GOOD.to_json()).encode()})
    (tmp_path / "signer.pub").write_text(key.public.text())
    code = (
        "import sys; from edgewright import bundles, trust\n"
        f"b = bundles.verify({str(tmp_path / 'new')!r}, [trust.load_public_key({str(tmp_path / 'signer.pub')!r})])\n"
        "print(b.content.held_out.curve.slope, 'onnxruntime' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0.8", "False"]


@pytest.mark.parametrize(
    "change",
    [
        {"answers": 0},
        {"accuracy": 1.5},
        {"confidence": None},
        {"curve": {"intercept": 0.0, "slope": -1.0}},
        {"data": 3},
    ],
)
def test_what_is_unsound_is_neither_sealed_nor_opened(change, content, key, tmp_path, poison):
    told = json.dumps({**GOOD.to_json(), **change}).encode()
    with pytest.raises(InputError):
        sealed(content, key, tmp_path / "new", {HELD_OUT: told})

    def add(manifest, files):
        files[f"evidence/{HELD_OUT}"] = told
        manifest["evidence"] = sorted([*manifest["evidence"], HELD_OUT])

    with pytest.raises(TrustError):
        bundles.verify(poison(add), [key.public])


def test_another_releases_schema_is_passed_over(content, key, tmp_path):
    told = json.dumps({"schema": "edgewright.heldout/9", "more": 1}).encode()
    assert sealed(content, key, tmp_path / "new", {HELD_OUT: told}).content.held_out is None


def test_doubt_is_the_share_of_errors_whatever_the_temperature():
    for scale in (0.5, 1.0, 3.0):
        found = held_out(Rule(shares="softmax"), *answers(scale=scale))
        assert found.answers == 4000
        assert found.doubt == pytest.approx(1 - found.accuracy, abs=0.005)
    assert held_out(Rule(shares="softmax"), *answers()).confidence == pytest.approx(found.accuracy, abs=0.02)


def test_logits_and_probabilities_give_the_same_evidence():
    logits, labels = answers()
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    one = held_out(Rule(shares="softmax"), logits, labels)
    other = held_out(Rule(), raised / raised.sum(axis=1, keepdims=True), labels)
    assert other.doubt == pytest.approx(one.doubt, abs=1e-4)
    assert other.confidence == pytest.approx(one.confidence, abs=1e-4)


def test_too_few_answers_and_such_that_are_not_finite_give_none():
    logits, labels = answers(n=49)
    assert held_out(Rule(shares="softmax"), logits, labels) is None
    logits, labels = answers(n=60)
    logits[:20] = np.nan
    assert held_out(Rule(shares="softmax"), logits, labels) is None


def test_a_change_of_confidence_is_expected_of_the_same_samples_only():
    new = replace(GOOD, confidence=0.8)
    assert expected(new, GOOD) == {"confidence": pytest.approx(-0.1)}
    assert expected(replace(new, data="1" * 64), GOOD) == {}
    assert expected(replace(new, data=""), replace(GOOD, data="")) == {}
    assert expected(None, GOOD) == expected(new, None) == {}
