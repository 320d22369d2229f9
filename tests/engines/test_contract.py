"""Every engine keeps the contract; an engine that breaks a clause is told which."""

import numpy as np
import pytest

from edgewright.core.session import EngineOptions
from edgewright.engines import ENGINES, engine
from edgewright.engines.onnxruntime import OnnxRuntime
from edgewright.testing.engines import check_engine


@pytest.mark.parametrize("name", ENGINES)
def test_the_contract(name):
    check_engine(engine(name))


class Broken(OnnxRuntime):
    """ONNX Runtime with one clause broken."""

    clause = ""

    def version(self):
        return "" if self.clause == "release" else super().version()

    def providers(self):
        return () if self.clause == "providers" else super().providers()

    def open(self, model, options, settings=None):
        if self.clause == "garbage":
            model = self.whole if model.data.startswith(b"\x08\x09") else model
        if model.format == "onnx":
            self.whole = model
        session = super().open(model, options if self.clause != "silent" else EngineOptions(), settings)
        infer, answers = session.infer, {}

        def broken(inputs):
            found = infer(inputs)
            if self.clause == "rough":
                return {k: v + np.float32(0.01) for k, v in found.items()}
            if self.clause == "renamed":
                return {f"{k}?": v for k, v in found.items()}
            if self.clause == "shared":
                for key, value in found.items():
                    answers.setdefault(key, value.copy())[...] = value
                return answers
            if self.clause == "inputs":
                for array in inputs.values():
                    array[...] = 0
            return found

        session.infer = broken
        if self.clause == "provider":
            session.provider = ""
        if self.clause == "close":
            session.close = lambda: None
        return session


@pytest.mark.parametrize(
    ("clause", "says"),
    [
        ("release", "release"),
        ("providers", "names no provider"),
        ("provider", "provider"),
        ("rough", "not the reference's"),
        ("renamed", "outputs"),
        ("shared", "earlier answer"),
        ("inputs", "changed its input"),
        ("close", "after close"),
        ("silent", "provider"),
        ("garbage", "no model"),
    ],
)
def test_a_broken_clause_is_named(clause, says):
    broken = Broken()
    broken.clause = clause
    with pytest.raises(AssertionError, match=says):
        check_engine(broken, models=["mlp"])
