"""What every engine's session shares: closing once, checking what comes in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.closing import Closing
from edgewright.core.errors import EngineError, InputError, UnfitInput
from edgewright.core.interruption import interrupting
from edgewright.core.model import Signature, TensorSpec
from edgewright.core.session import Arrays, EngineOptions, Session


class BaseSession(Closing):
    """The engine's author writes ``_run`` and ``_release``; this base enforces the Session contract.

    ``options`` are those the session was opened with: a measurement records them and compares like with like.
    ``note``: in what else it differs from what was asked for, and why; "" where it does not.
    """

    options = EngineOptions()
    note = ""

    def __init__(self, signature: Signature, requested: str, provider: str) -> None:
        self.signature, self.requested, self.provider = signature, requested, provider
        self._open = True
        self._specs = {spec.name: spec for spec in signature.inputs}
        self._alike = _first_axes(signature)
        # dtype and shape of what passed the checks last, by input: the same again needs no second look. The checks
        # take as long as a small model.
        self._passed: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}

    def _run(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        raise NotImplementedError

    def _unfit(self, error: Exception) -> str:
        """What is wrong with the inputs, where the engine's error is about these; "" where it is the engine's own."""
        return ""

    def _release(self) -> None:
        raise NotImplementedError

    def infer(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Outputs by name. Raises InputError on a wrong name, dtype or shape, UnfitInput where only the engine found
        that they do not go together, EngineError on a failing run."""
        if not self._open:
            raise EngineError("the session is closed; open the model again")
        passed = self._passed
        checked: dict[str, NDArray[Any]] = dict(inputs)
        for name, array in checked.items():
            seen = type(array) is np.ndarray and passed.get(name) == (array.dtype, array.shape)
            if not seen or not array.flags.c_contiguous:
                checked = self._check(inputs)
                break
        else:
            if len(checked) != len(self._specs):
                checked = self._check(inputs)
        try:
            return self._run(checked)
        except EngineError:
            raise
        except Exception as error:  # engines raise types of their own that share no base but Exception
            if unfit := self._unfit(error):
                raise UnfitInput(f"the model cannot run on these inputs: {unfit}") from error
            raise EngineError(f"{self.provider} failed to run the model: {first_line(error)}") from error

    def _check(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        if inputs.keys() != self._specs.keys():
            raise InputError(f"the model takes {sorted(self._specs)}, got {sorted(inputs)}")
        checked = {name: check_array(self._specs[name], array) for name, array in inputs.items()}
        for symbol, (first, *others) in self._alike.items():
            for name in others:
                if len(checked[name]) != len(checked[first]):
                    raise InputError(
                        f"inputs {first!r} and {name!r} must have as many rows as each other ({symbol!r}), got "
                        f"{len(checked[first])} and {len(checked[name])}"
                    )
        self._passed = {n: (a.dtype, a.shape) for n, a in checked.items() if a.dtype.kind not in "OSU"}
        return checked

    def close(self) -> None:
        """Give back what the engine holds; a second call does nothing."""
        if self._open:
            self._open = False
            self._release()


def answer_within(session: Session, inputs: Arrays, seconds: float) -> dict[str, NDArray[Any]]:
    """``session.infer`` with a limit, for a model of which nothing is known yet: its loops may never end.

    Raises EngineError after ``seconds`` where the engine lets itself be interrupted (ONNX Runtime does, between two
    operators), and ends the call as well when Ctrl-C is pressed; such a session is of no more use. Others are waited
    for.
    """
    interrupt = getattr(session, "interrupt", None)
    if interrupt is None:
        return session.infer(inputs)
    with interrupting(interrupt, seconds) as watch:
        try:
            return session.infer(inputs)
        except EngineError as error:
            if not watch.late:
                raise
            raise EngineError(
                f"the model did not answer one request within {seconds:.3g} s; give it more time, or look for a loop "
                "in it that never ends"
            ) from error


def first_line(error: BaseException) -> str:
    """An engine's message, cut to one readable line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


def _first_axes(signature: Signature) -> dict[str, list[str]]:
    """By symbol the inputs whose first axes are all to be as long as it, where there are several. An engine that is
    given others fails with words of its own or, worse, broadcasts."""
    found: dict[str, list[str]] = {}
    for spec in signature.inputs:
        if spec.shape and isinstance(spec.shape[0], str):
            found.setdefault(spec.shape[0], []).append(spec.name)
    return {symbol: names for symbol, names in found.items() if len(names) > 1}


def check_array(spec: TensorSpec, array: NDArray[Any]) -> NDArray[Any]:
    """``array`` as contiguous memory if it fits ``spec``; InputError otherwise."""
    if not isinstance(array, np.ndarray | np.generic):
        raise InputError(f"input {spec.name!r} must be a numpy array, got {type(array).__name__}; use numpy.asarray")
    found = "str" if array.dtype.kind in "OSU" else array.dtype.name
    if found != spec.dtype:
        raise InputError(f"input {spec.name!r} must be {spec.dtype}, got {found}; convert it with .astype")
    fits = len(spec.shape) == array.ndim and all(
        not isinstance(want, int) or want == have for want, have in zip(spec.shape, array.shape, strict=True)
    )
    if not fits and spec.shape != ():
        raise InputError(f"input {spec.name!r} must have shape {list(spec.shape)}, got {list(array.shape)}")
    # Not ascontiguousarray, which would give a scalar an axis.
    return array if array.dtype.kind in "OSU" else np.asarray(array, order="C")
