"""Benchmarks: what the hub asked to be measured, once for each request, on a thread of its own while updates rest."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgewright.agent.benching import bench
from edgewright.agent.slots import Slots
from edgewright.core.closing import Closing
from edgewright.core.digests import canonical_json
from edgewright.core.errors import EdgewrightError, InputError
from edgewright.core.files import read_file, write_file
from edgewright.core.messages import LIMITS, Benchmark, BenchmarkResult, render
from edgewright.core.strict import parse_json
from edgewright.trust import load_public_key

BEGUN = "benchmark.json"
_TRIES, _ENDS_S = 2, 5.0
_log = logging.getLogger("edgewright.agent")


class Bencher(Closing):
    """``keys``: files of those whose bundles may run here; ``told`` is called when there is something to send. What was
    begun is written down first: one that takes the device down with it is not begun for ever."""

    def __init__(self, state: Path, slots: Slots, keys: Callable[[], Sequence[Path]], told: Callable[[], None]) -> None:
        self._path, self._slots, self._keys, self._told = state / BEGUN, slots, keys, told
        self._thread: threading.Thread | None = None
        self._running, self._stop = 0, -1
        self._begun = self._load()

    def turn(self, asked: Benchmark | None) -> None:
        """Begin what is asked for, give up what is asked for no more (None: nothing is, now). From one thread. Raises
        StorageError."""
        if self._thread is not None:
            if asked is None or asked.number != self._running:
                self._give_up(_ENDS_S)
            if self._thread.is_alive():
                return
            self._over()
        if asked is None or self.result(asked.number) is not None or asked.number < self._begun["number"]:
            return
        tries = self._begun["tries"] + 1 if self._begun["number"] == asked.number else 1
        begun = {"number": asked.number, "tries": tries, "result": None}
        write_file(self._path, canonical_json(begun), 0o600)
        self._begun = begun
        if tries > _TRIES:
            self._keep(BenchmarkResult(asked.number, why=f"the agent ended {_TRIES} times in the middle of it"))
            return
        stopped, self._stop = os.pipe()
        self._running = asked.number
        self._thread = threading.Thread(target=self._run, args=(asked, stopped), daemon=True, name="benchmark")
        self._thread.start()

    def result(self, number: int) -> bytes | None:
        """What came of that request, as it is sent; None while nothing has."""
        begun = self._begun
        return canonical_json(begun["result"]) if begun["number"] == number and begun["result"] else None

    def close(self) -> None:
        """Give up what runs; it is begun again by the next agent."""
        if self._thread is not None:
            self._give_up(None)
            self._over()

    def _run(self, asked: Benchmark, stopped: int) -> None:
        try:
            found = bench(self._slots, list(map(load_public_key, self._keys())), asked, stop=stopped)
            with contextlib.suppress(BlockingIOError):
                os.set_blocking(stopped, False)
                os.read(stopped, 1)
                return  # nobody wants it any more
            self._keep(found)
        except Exception as error:  # noqa: BLE001 - a fault here is told, and the device goes on
            _log.error("a benchmark has a fault", exc_info=error)
            self._keep(BenchmarkResult(asked.number, why="the agent has a fault; its log tells more"))
        finally:
            os.close(stopped)

    def _keep(self, found: BenchmarkResult) -> None:
        try:
            render(found)
        except ValueError as error:
            found = BenchmarkResult(found.number, why=f"what was measured cannot be told: {error}"[:500])
        self._begun = {**self._begun, "result": found.to_json()}
        with contextlib.suppress(EdgewrightError):  # a full disk: it is told all the same
            write_file(self._path, canonical_json(self._begun), 0o600)
        self._told()

    def _give_up(self, patience_s: float | None) -> None:
        """End it, and let that try not count: the device had other things to do."""
        assert self._thread is not None  # noqa: S101 - narrowing
        with contextlib.suppress(OSError):
            os.write(self._stop, b".")
        self._thread.join(patience_s)
        if self._begun["result"] is None and not self._thread.is_alive():
            self._begun = {**self._begun, "tries": self._begun["tries"] - 1}
            with contextlib.suppress(EdgewrightError):
                write_file(self._path, canonical_json(self._begun), 0o600)

    def _over(self) -> None:
        os.close(self._stop)
        self._thread, self._running, self._stop = None, 0, -1

    def _load(self) -> dict[str, Any]:
        most = LIMITS["BenchmarkResult"] + 4096
        try:
            told = parse_json(read_file(self._path, most), most)
            number, tries, result = int(told["number"]), int(told["tries"]), told["result"]
            if result is not None:
                BenchmarkResult.from_json(result)
        except (InputError, ValueError, TypeError, KeyError):
            return {"number": 0, "tries": 0, "result": None}
        return {"number": number, "tries": tries, "result": result}
