"""All servers in one interleaved run: rounds over all cells in random order, one server awake at a time."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve import load, onnxfiles
from serve.figures import pooled
from serve.load import SCRATCH, Target
from serve.onnxfiles import CNN, MLP, Kind
from serve.peers.session import open_all
from serve.processes import Server, free_ports, wait_ready
from serve.subjects import EDGEWRIGHT, SUBJECTS, Address, Lane, Subject, outputs_of

HERE = Path(__file__).resolve().parent
WORK = HERE / "work"
KINDS = {kind.name: kind for kind in (MLP, CNN)}
CLIENTS = (1, 8, 32)


@dataclass(frozen=True)
class Placement:
    """CPUs of the server and of the client."""

    name: str
    server: tuple[int, ...]
    client: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """``rounds`` turns of ``seconds`` for each cell, by placement; ``again``: further ones of those that are close."""

    rounds: dict[str, int]
    seconds: float
    clients: tuple[int, ...] = CLIENTS
    starts: int = 3
    again: int = 0


CLOSE = 0.15
FULL = Plan({"one core": 2, "two cores": 2, "not pinned": 1}, 0.5, again=6)
QUICK = Plan({"one core": 1}, 0.25, (1, 8), 1)


@dataclass(frozen=True)
class Cell:
    """One thing that is measured again and again."""

    server: str
    lane: str
    encoding: str
    model: str
    clients: int
    placement: str


def placements(cpus: Sequence[int]) -> dict[str, Placement]:
    """One core for both, one for each, and all for all; with a single CPU only the first."""
    found = [Placement("one core", (cpus[0],), (cpus[0],))]
    if len(cpus) > 1:
        found.append(Placement("two cores", (cpus[0],), (cpus[1],)))
        found.append(Placement("not pinned", tuple(cpus), tuple(cpus)))
    return {one.name: one for one in found}


class Running:
    """A subject that runs, and what is known of it."""

    def __init__(self, subject: Subject, models: Path, name: str) -> None:
        ports = free_ports()
        sock = str(SCRATCH / f"edgewright-serve-{ports}.sock") if subject is EDGEWRIGHT else ""
        self.subject, self.address = subject, Address(ports, sock)
        command = subject.command(models, self.address)  # makes the environment, which is not part of the start
        self.server = Server(command, WORK / "logs" / f"{name}.log", subject.variables)
        try:
            self.ready_s = wait_ready(self.server, lambda: subject.answers(self.address))
        except BaseException:
            self.server.close()
            raise
        self.server.look()

    def target(self, lane: Lane, kind: Kind, clients: int) -> Target:
        return lane.ask(kind, kind.sample(), self.address, clients)


class InProcess:
    """The worker for bare ``session.run`` and ``Runtime.infer``."""

    def __init__(self, models: Path) -> None:
        self._out = SCRATCH / "edgewright-serve-inprocess"
        self._process = subprocess.Popen(
            [sys.executable, HERE / "inprocess.py", models, self._out], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        self.pid = self._process.pid
        if self._line() != "ready\n":
            raise RuntimeError("the worker in process did not start")

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def turn(self, what: str, model: str, seconds: float) -> tuple[dict[str, Any], NDArray[np.float64]]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what} {model} {seconds}\n")
        self._process.stdin.flush()
        told = self._line()
        if not told:
            raise RuntimeError("the worker in process ended; its message is above")
        found = np.fromfile(self._out, np.float64)
        turn = {"asked": len(found), "failed": 0, "elapsed_s": float(found.sum()), "cpu_s": json.loads(told)["cpu_s"]}
        return turn, found

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._out.unlink(missing_ok=True)


def start_figures(subject: Subject, times: int) -> dict[str, Any]:
    """Cold start to the first answer in s, each time, and idle memory, serving the small model alone."""
    folder = WORK / "small"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "mlp.onnx").is_file():
        onnxfiles.mlp(folder / "mlp.onnx")
    seconds, memory = [], 0
    for _ in range(times):
        running = Running(subject, folder, f"{subject.name}-start")
        try:
            seconds.append(round(running.ready_s, 3))
            time.sleep(0.3)  # what it does after it said so
            running.server.look()
            memory = running.server.memory_bytes()
        finally:
            running.server.close()
    return {"start_s": seconds, "idle_bytes": memory}


def run(plan: Plan, cpus: Sequence[int], subjects: Sequence[Subject] = SUBJECTS, seed: int = 0) -> dict[str, Any]:
    """The comparison: ``rows`` (cells and figures), ``servers`` (start, memory, what is missing and why)."""
    models = onnxfiles.served(WORK / "models")
    where = placements(cpus)
    servers: dict[str, dict[str, Any]] = {}
    started: dict[str, Running] = {}
    inside = InProcess(models)
    try:
        for subject in subjects:
            servers[subject.name] = told = {"missing": dict(subject.missing), "peer": subject.peer}
            print(f"starting {subject.name}", file=sys.stderr)
            try:
                told |= start_figures(subject, plan.starts)
                running = started[subject.name] = Running(subject, models, subject.name)
                _check(running, models)
                running.server.look()
                running.server.pause()
            except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
                told["failure"] = str(error)
                if subject.name in started:
                    started.pop(subject.name).server.close()
        rows = _rounds(plan, where, started, inside, random.Random(seed))
        for name, running in started.items():
            running.server.look()
            servers[name]["loaded_bytes"] = running.server.memory_bytes()
    finally:
        for running in started.values():
            running.server.close()
        inside.close()
    return {"rows": rows, "servers": servers, "placements": {name: asdict(one) for name, one in where.items()}}


def _check(running: Running, models: Path) -> None:
    sessions = open_all(models)
    for lane in running.subject.lanes:
        for kind in KINDS.values():
            x = kind.sample()
            expected = sessions[kind.name].run(None, {"x": x})[0].ravel()
            found = outputs_of(running.target(lane, kind, 1), expected.size)
            if lane.checked and not np.allclose(found, expected, rtol=1e-3, atol=1e-3):
                raise RuntimeError(f"{kind.name} over {lane.name} {lane.encoding} answers something else")


def _cells(plan: Plan, where: dict[str, Placement], started: dict[str, Running]) -> Iterator[tuple[Cell, Lane | None]]:
    for placement in where:
        for model in KINDS:
            yield Cell("bare session.run", "in process", "", model, 1, placement), None
            yield Cell("Edgewright", "in process", "", model, 1, placement), None
            for name, running in started.items():
                for lane in running.subject.lanes:
                    for clients in plan.clients:
                        if placement == "not pinned" and clients == 32:
                            continue
                        yield Cell(name, lane.name, lane.encoding, model, clients, placement), lane


def _close(medians: Mapping[Cell, float], peers: Sequence[str]) -> Iterator[tuple[Cell, Cell]]:
    """Our HTTP lane and the best peer, on one core, wherever a few turns leave open who is ahead."""
    for ours in medians:
        if (ours.server, ours.lane, ours.placement) == (EDGEWRIGHT.name, "HTTP", "one core"):
            same = (ours.encoding, ours.model, ours.clients, ours.placement)
            told = [c for c in medians if (c.encoding, c.model, c.clients, c.placement) == same and c.server in peers]
            best = min(told, key=medians.__getitem__, default=None)
            if best is not None and abs(medians[ours] / medians[best] - 1) < CLOSE:
                yield ours, best


def _rounds(
    plan: Plan, where: dict[str, Placement], started: dict[str, Running], inside: InProcess, order: random.Random
) -> list[dict[str, Any]]:
    cells = dict(_cells(plan, where, started))
    turns: dict[Cell, list[dict[str, Any]]] = {cell: [] for cell in cells}
    latency: dict[Cell, list[NDArray[np.float64]]] = {cell: [] for cell in cells}
    broken: dict[Cell, str] = {}

    def measure(cell: Cell) -> None:
        lane, place = cells[cell], where[cell.placement]
        rate = turns[cell][-1].get("rate", 0.0) if turns[cell] else 0.0  # in process there is none
        try:
            if lane is None:
                _pin(inside.pid, place.server)
                what = "bare" if cell.server.startswith("bare") else "edgewright"
                turn, found = inside.turn(what, cell.model, plan.seconds)
            else:
                turn, found = _turn(cell, lane, place, started[cell.server], plan.seconds, rate)
        except (RuntimeError, OSError) as error:
            broken[cell] = str(error)
            return
        turns[cell].append(turn)
        latency[cell].append(found)

    for number in range(max(plan.rounds.values())):
        due = [cell for cell in cells if number < plan.rounds.get(cell.placement, 0) and cell not in broken]
        order.shuffle(due)
        print(f"round {number + 1}: {len(due)} turns", file=sys.stderr)
        for cell in due:
            measure(cell)
    medians = {cell: float(np.median(np.concatenate(latency[cell]))) for cell in cells if latency[cell]}
    pairs = list(_close(medians, [name for name, one in started.items() if one.subject.peer]))
    print(f"{len(pairs)} close pairs, {plan.again} times more", file=sys.stderr)
    for _ in range(plan.again):
        order.shuffle(pairs)
        for pair in pairs:
            for cell in order.sample(pair, 2):
                measure(cell)
    return [
        {**asdict(cell), **pooled(turns[cell], latency[cell]), "failure": broken.get(cell, "")}
        for cell in cells if turns[cell] or cell in broken
    ]  # fmt: skip


def _turn(
    cell: Cell, lane: Lane, place: Placement, running: Running, seconds: float, rate: float
) -> tuple[dict[str, Any], NDArray[np.float64]]:
    server = running.server
    server.look()
    server.pin(place.server)
    server.resume()
    try:
        target = running.target(lane, KINDS[cell.model], cell.clients)
        warm = load.closed(target, cell.clients, 0.03, place.client, rate, each=2)  # after a pause everything is cold
        before = server.cpu_s()
        result = load.closed(target, cell.clients, seconds, place.client, rate or warm.rate)
        cpu = server.cpu_s() - before
    finally:
        server.pause()
    turn = {"asked": result.asked, "failed": result.failed, "elapsed_s": result.elapsed_s, "cpu_s": cpu,
            "rate": result.rate}  # fmt: skip
    return turn, result.latency_s


def _pin(pid: int, cpus: Sequence[int]) -> None:
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), set(cpus))
