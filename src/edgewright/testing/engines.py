"""The contract every engine is held to, whoever wrote it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from edgewright.core.errors import EngineError, InputError
from edgewright.core.model import Model
from edgewright.core.session import Engine, EngineOptions, Session
from edgewright.engines import open_session
from edgewright.engines.agreement import sample_inputs
from edgewright.testing.zoo import zoo

MODELS = ("residual", "depthwise", "attention", "mlp", "several")
"""Handwritten graphs of ``testing.zoo`` an engine should run: convolutions, products, several inputs and outputs."""


def check_engine(engine: Engine, models: Iterable[str] = MODELS, floor_db: float = 80.0) -> None:
    """Hold ``engine`` to the contract. Raises AssertionError naming the broken clause.

    It names its library's release and its providers; a session has the model's signature, tells the provider that was
    asked for and the one that runs, answers like ONNX Runtime without graph rewriting to ``floor_db`` and the same each
    time, leaves its inputs alone and its earlier answers too, refuses a wrong name, dtype or shape with InputError,
    and closes twice; afterwards it raises EngineError. A provider that is not there is an error, or a reported step
    down with ``policy="degrade"``. Another format is an InputError, a file that is no model an EngineError.
    """
    assert engine.name and engine.version() and engine.version()[0].isdigit(), "the engine names no release"
    assert engine.providers(), "the engine names no provider, the CPU's first"
    for name in models:
        _check_answers(engine, name, zoo()[name](), floor_db)
    model = zoo()["mlp"]()
    _check_refusals(engine, model)
    _check_providers(engine, model)
    with _raises(InputError, "a format it does not read"):
        engine.open(replace(model, format="no-such-format"), EngineOptions())
    with _raises(EngineError, "bytes that are no model"):
        engine.open(replace(model, files={model.main: b"\x08\x09no model\xff"}), EngineOptions())


def _check_answers(engine: Engine, name: str, model: Model, floor_db: float) -> None:
    batches = sample_inputs(model.signature, 3)
    with open_session(model, "onnxruntime", EngineOptions(graph_level="none")) as plain:
        wanted = [plain.infer(batch) for batch in batches]
    with engine.open(model, EngineOptions()) as session:
        assert isinstance(session, Session), f"{name}: what open returns is no Session"
        _check_signature(session, model, name)
        given = [{key: array.copy() for key, array in batch.items()} for batch in batches]
        found, kept = [], []
        for each in given:
            found.append(session.infer(each))
            # An answer must not be memory that the engine writes the next one into.
            kept.append({key: array.copy() for key, array in found[-1].items()})
        again = [session.infer(batch) for batch in given]
    for batch, copy in zip(batches, given, strict=True):
        for key, array in batch.items():
            np.testing.assert_array_equal(copy[key], array, f"{name}: the engine changed its input {key}")
    for first, copied, second, want in zip(found, kept, again, wanted, strict=True):
        assert list(first) == [spec.name for spec in model.signature.outputs], f"{name}: outputs {list(first)}"
        for key, array in want.items():
            np.testing.assert_array_equal(first[key], copied[key], f"{name}: a later call changed an earlier answer")
            np.testing.assert_array_equal(first[key], second[key], f"{name}: the same call, another answer")
            assert first[key].shape == array.shape, f"{name}: {key} has shape {first[key].shape}, not {array.shape}"
            assert first[key].dtype == array.dtype, f"{name}: {key} is {first[key].dtype}, not {array.dtype}"
            error = float(np.sum((first[key].astype(np.float64) - array) ** 2))
            signal = float(np.sum(array.astype(np.float64) ** 2))
            assert error <= signal * 10 ** (-floor_db / 10), f"{name}: {key} is not the reference's to {floor_db} dB"


def _check_signature(session: Session, model: Model, name: str) -> None:
    for side in ("inputs", "outputs"):
        told = [(spec.name, spec.dtype, len(spec.shape)) for spec in getattr(session.signature, side)]
        want = [(spec.name, spec.dtype, len(spec.shape)) for spec in getattr(model.signature, side)]
        assert told == want, f"{name}: the session's {side} are {told}, the model's {want}"
    assert session.requested and session.provider, f"{name}: the session does not tell its provider"


def _check_refusals(engine: Engine, model: Model) -> None:
    (batch,) = sample_inputs(model.signature, 1)
    key = next(iter(batch))
    wrong = {
        "no input": {},
        "an unknown name": {"no such input": batch[key]},
        "one input too many": {**batch, "no such input": batch[key]},
        "another dtype": {**batch, key: batch[key].astype(np.float64)},
        "another rank": {**batch, key: batch[key].ravel()},
        "another size": {**batch, key: np.repeat(batch[key], 2, axis=-1)},
    }
    session = engine.open(model, EngineOptions())
    session.infer(batch)
    for what, inputs in wrong.items():
        with _raises(InputError, what):
            session.infer(inputs)
    session.infer(batch)
    session.close()
    session.close()
    with _raises(EngineError, "a call after close"):
        session.infer(batch)


def _check_providers(engine: Engine, model: Model) -> None:
    missing = EngineOptions(provider="no-such-provider")
    with _raises((EngineError, InputError), "a provider that is not there"):
        engine.open(model, missing)
    try:
        session = engine.open(model, replace(missing, policy="degrade"))
    except InputError:
        return  # a name it has never heard of may be refused whatever the policy
    with session:
        told = f"asked for {session.requested}, says it runs on {session.provider}"
        assert session.provider != session.requested, f"a step down must be told: {told}"


@contextmanager
def _raises(kinds: type[Exception] | tuple[type[Exception], ...], what: str) -> Iterator[None]:
    """The block raises one of ``kinds`` with a message of one line."""
    try:
        yield
    except kinds as error:
        assert str(error) and "\n" not in str(error), f"{what}: the message is not one line: {error}"
        return
    raise AssertionError(f"{what} was accepted")


__all__ = ["MODELS", "check_engine"]
