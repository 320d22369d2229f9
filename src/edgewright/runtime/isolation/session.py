"""Isolated sessions: a Session whose engine runs in another process."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from edgewright.core import sandbox
from edgewright.core.errors import InputError
from edgewright.core.model import Model
from edgewright.core.session import EngineOptions
from edgewright.engines.session import BaseSession
from edgewright.runtime.isolation.keeper import Keeper
from edgewright.runtime.isolation.order import Order
from edgewright.runtime.isolation.process import Facts
from edgewright.runtime.isolation.restarts import Patience, Restarts

_LOAD_S = 300.0
_now = time.perf_counter


@dataclass(frozen=True)
class Isolation:
    """``memory_bytes``: address space the model may take beyond what the engine's library maps (0: no limit).
    ``hang_s``: a run that takes longer has hung (None: see ``Patience``). ``confined``: no network, programs or files
    for the worker; for providers other than the CPU this is left out, since their drivers are files. ``name``: the
    model's, for the log.
    """

    memory_bytes: int = 0
    hang_s: float | None = None
    confined: bool = True
    restarts: Restarts = field(default_factory=Restarts)
    name: str = ""


class IsolatedSession(BaseSession):
    """What goes wrong in the engine (a crash, a hang, memory) raises EngineError for the one request it had; the worker
    is replaced in the background, and until that is done requests raise NotAnswering at once.

    Runs one request at a time. ``reason`` says why it does not answer, "" when it does.
    """

    def __init__(self, keeper: Keeper, facts: Facts, hang_s: float | None) -> None:
        super().__init__(facts.signature, facts.requested, facts.provider)
        self.note = facts.note
        self._keeper, self._patience = keeper, Patience(hang_s)
        self.layers = facts.layers
        """The walls around the worker (``core.sandbox``)."""

    @property
    def reason(self) -> str:
        """Why it does not answer, "" when it does."""
        return self._keeper.reason

    @property
    def pid(self) -> int | None:
        """The worker's process id, or None while there is none."""
        return self._keeper.pid

    @property
    def restarts(self) -> int:
        """How often the worker was replaced."""
        return self._keeper.restarts

    def interrupt(self) -> None:
        """End the run that goes on, from any thread: its caller gets EngineError, and the worker is replaced."""
        self._keeper.kill()

    def _run(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        size = sum([array.nbytes for array in inputs.values()])
        begin = _now()
        outputs = self._keeper.run(inputs, lambda: self._patience.limit_s(size))
        self._patience.ran(size, _now() - begin)
        return outputs

    def _release(self) -> None:
        self._keeper.close()


def open_isolated(
    model: Model,
    name: str = "onnxruntime",
    options: EngineOptions | None = None,
    isolation: Isolation | None = None,
    run_bytes: int = 0,
) -> IsolatedSession:
    """``model`` open in the named engine, in a process of its own. Linux only. ``run_bytes`` as ``open_session``.

    Raises EngineError when it cannot be opened, also when the worker crashes over it, InputError elsewhere.
    """
    if not hasattr(os, "memfd_create") or not hasattr(os, "eventfd"):
        raise InputError("models can be isolated on Linux only; serve this one in the server's own process")
    chosen, walls = options or EngineOptions(), isolation or Isolation()
    on_cpu = chosen.provider in ("", "cpu")
    order = Order.of(model, name, chosen, walls.confined and on_cpu, walls.memory_bytes, run_bytes)
    keeper = Keeper(order, walls.restarts, _LOAD_S, walls.name)
    facts = keeper.start()
    session = IsolatedSession(keeper, facts, walls.hang_s)
    session.options = chosen
    holes = sandbox.lacking(facts.layers) if walls.confined else []
    if holes:
        logging.getLogger("edgewright").warning(
            "the process of a model on %s is not shut off from %s", facts.provider, " and ".join(holes)
        )
    return session
