"""Everything that is measured of a few finalists, side by side in one run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from edgewright.core.cpus import allowed_cpus, check_threads
from edgewright.core.errors import EdgewrightError, InputError
from edgewright.core.measurement import Measurement
from edgewright.core.session import Arrays, Session
from edgewright.engines import engine
from edgewright.engines.session import answer_within
from edgewright.measurement.coldstart import cold_start
from edgewright.measurement.conditions import environment_digest
from edgewright.measurement.energy import energy_meter, measure_energy
from edgewright.measurement.fresh import Fresh, observe
from edgewright.measurement.latency import Checkpoint, LatencyResult, Plan, measure_latency
from edgewright.measurement.memory import peak_memory
from edgewright.measurement.sizes import measure_sizes
from edgewright.measurement.subject import Subject
from edgewright.measurement.sustained import SustainedResult, measure_sustained
from edgewright.measurement.throughput import measure_throughput
from edgewright.targets import HOST, Target, estimate_energy
from edgewright.targets import target as named_target

METRICS: Mapping[str, str] = {
    "latency_ms": "ms", "latency_p95_ms": "ms", "latency_p99_ms": "ms", "latency_sustained_ms": "ms",
    "throughput_per_s": "1/s", "cold_start_ms": "ms", "ram_bytes": "B", "size_bytes": "B", "download_bytes": "B",
    "energy_mj": "mJ",
}  # fmt: skip
"""What ``measure_all`` measures, with units, in reading order."""
_MOST_STREAMS = 16
_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Effort:
    """How much time to spend. Zero leaves a part out.

    ``latency`` is for all subjects together, with ``openings`` sessions of each; ``sustained_s``, ``throughput_s`` and
    ``energy_s`` are for each subject; ``fresh_runs`` is the number of fresh processes of each (some 0.4 s apiece).
    """

    latency: Plan = field(default_factory=Plan)
    openings: int = 4
    sustained_s: float = 2.0
    throughput_s: float = 0.6
    energy_s: float = 1.2
    fresh_runs: int = 6

    @classmethod
    def within(cls, seconds: float, subjects: int, seed: int = 0) -> Effort:
        """Parts in proportion, so that ``subjects`` of them take about ``seconds``."""
        each = max(seconds, 0.1) / max(subjects, 1)
        return cls(
            latency=Plan(budget_s=0.35 * each * subjects, seed=seed),
            openings=4 if each >= 2 else 2 if each >= 1 else 1,
            sustained_s=0.2 * each,
            throughput_s=0.1 * each,
            energy_s=0.1 * each,
            fresh_runs=min(max(int(0.25 * each / 0.5), 3 if each >= 2 else 1), 9),
        )


@dataclass(frozen=True, eq=False)
class Measured:
    """One subject: ``metrics`` by name, the reason for each that is ``missing``, and what stands behind them."""

    metrics: Mapping[str, Measurement]
    missing: Mapping[str, str]
    latency: LatencyResult | None = None
    sustained: SustainedResult | None = None


class _Stopped(Exception):  # noqa: N818 - a signal between the parts of a run
    """The checkpoint said to stop."""


def measure_all(
    subjects: Mapping[str, Subject],
    inputs: Sequence[Arrays],
    effort: Effort | None = None,
    *,
    target: Target | None = None,
    checkpoint: Checkpoint | None = None,
) -> dict[str, Measured]:
    """Every metric of every subject on this machine; the first subject is the baseline.

    ``inputs`` are whole requests (``subject.requests``). ``target`` describes this machine (None: as detected) and
    lends its power figures where the machine does not count energy. A part that fails for a
    subject leaves its metrics out with the reason in ``missing``, and the others go on; the baseline must open and run.
    The checkpoint is asked between rounds and parts.

    Raises InputError as ``measure_latency`` does, and what opening or running the baseline raises.
    """
    effort = effort or Effort()
    if not subjects:
        raise InputError("there is nothing to measure; give at least one model")
    run = _Run(dict(subjects), list(inputs), effort, target, checkpoint)
    with ExitStack() as stack:
        run.open(stack)
        try:
            for part in (run.sizes, run.latency, run.sustained, run.throughput, run.energy):
                part()
        except _Stopped:
            run.stopped = True
    if not run.stopped:
        run.fresh()  # with our own sessions closed: they would be in the children's way
    return run.results()


class _Run:
    """The parts of one ``measure_all``, sharing sessions and collecting figures and reasons."""

    def __init__(
        self, subjects: dict[str, Subject], inputs: list[Arrays], effort: Effort,
        target: Target | None, checkpoint: Checkpoint | None,
    ) -> None:  # fmt: skip
        self.subjects, self.inputs, self.effort = subjects, inputs, effort
        self.target, self.checkpoint = target, checkpoint
        self.metrics: dict[str, dict[str, Measurement]] = {name: {} for name in subjects}
        self.missing: dict[str, dict[str, str]] = {name: {} for name in subjects}
        self.sessions: dict[str, list[Session]] = {}
        self.counts: dict[str, int] = {}
        self.latencies: dict[str, LatencyResult] = {}
        self.heated: dict[str, SustainedResult] = {}
        self.stopped = False

    def open(self, stack: ExitStack) -> None:
        """Sessions of every subject; one that does not open and answer is left out, the baseline excepted."""
        check_threads(max(subject.options.threads for subject in self.subjects.values()))
        if not self.inputs:
            raise InputError("there is no input to measure with; give data with at least one sample")
        for place, (name, subject) in enumerate(self.subjects.items()):
            try:
                self.sessions[name] = self.opened(subject, stack)
                self.counts[name] = len(self.sessions[name])
                for _ in self.streams(name)[len(self.sessions[name]) :]:
                    self.sessions[name].append(stack.enter_context(subject.open()))
            except EdgewrightError as error:
                if place == 0:
                    raise
                self.sessions.pop(name, None)
                self.missing[name] = dict.fromkeys(METRICS, str(error))

    def opened(self, subject: Subject, stack: ExitStack) -> list[Session]:
        """As many openings as were asked for and the time allows; the first has answered as many inputs as it does."""
        allowed = self.effort.latency.budget_s / len(self.subjects) / 10
        start = time.perf_counter()
        sessions = [stack.enter_context(subject.open())]
        answer_within(sessions[0], self.inputs[0], min(max(3 * self.effort.latency.budget_s, 1.0), _PATIENCE_S))
        for request in self.inputs:
            sessions[0].infer(request)
            spent = time.perf_counter() - start
            if spent > allowed:
                break
        for _ in range(min(self.effort.openings, int(allowed * 5 / spent)) - 1):
            sessions.append(stack.enter_context(subject.open()))
            sessions[-1].infer(self.inputs[0])
        return sessions

    def streams(self, name: str) -> range:
        """As many streams as fill the cores this process may use."""
        allowed = len(allowed_cpus())
        return range(min(max(allowed // max(self.subjects[name].options.threads, 1), 1), _MOST_STREAMS))

    def go_on(self) -> None:
        if self.stopped or (self.checkpoint is not None and self.checkpoint() is False):
            raise _Stopped

    def keep(self, name: str, found: Mapping[str, Measurement]) -> None:
        subject = self.subjects[name]
        told = {"engine": f"{subject.engine} {engine(subject.engine).version()}", "environment": environment_digest()}
        for metric, one in found.items():
            self.metrics[name][metric] = replace(
                one, conditions={**one.conditions, **told}, target="host", subject=subject.model.digest
            )  # fmt: skip

    def sizes(self) -> None:
        for name, subject in self.subjects.items():
            self.metrics[name] |= measure_sizes(subject.model)
            for metric in ("size_bytes", "download_bytes"):
                self.missing[name].pop(metric, None)

    def latency(self) -> None:
        self.go_on()
        several = {name: opened[: self.counts[name]] for name, opened in self.sessions.items()}
        self.latencies = measure_latency(several, self.inputs, self.effort.latency, checkpoint=self.checkpoint)
        for name, found in self.latencies.items():
            self.keep(name, found.measurements())

    def sustained(self) -> None:
        if self.effort.sustained_s <= 0:
            return
        for name, opened in self.sessions.items():
            self.go_on()
            self.heated[name] = measure_sustained(
                opened[0], self.inputs, duration_s=self.effort.sustained_s, checkpoint=self.checkpoint
            )  # fmt: skip
            self.keep(name, {"latency_sustained_ms": self.heated[name].measurement()})

    def throughput(self) -> None:
        if self.effort.throughput_s <= 0:
            return
        self.go_on()
        streams = {name: [opened[i] for i in self.streams(name)] for name, opened in self.sessions.items()}
        found = measure_throughput(
            streams, self.inputs, duration_s=self.effort.throughput_s * len(streams),
            seed=self.effort.latency.seed, checkpoint=self.checkpoint,
        )  # fmt: skip
        for name, rate in found.items():
            self.keep(name, {"throughput_per_s": rate.measurement()})

    def energy(self) -> None:
        self.go_on()
        meter = energy_meter() if self.effort.energy_s > 0 else None
        if meter is not None:
            first = {name: opened[0] for name, opened in self.sessions.items()}
            rounds = max(round(self.effort.energy_s / 0.2), 1)
            for name, counted in measure_energy(
                first, self.inputs, meter, rounds=rounds, seed=self.effort.latency.seed, checkpoint=self.checkpoint
            ).items():
                self.keep(name, {"energy_mj": counted})
            return
        machine = self.target or named_target(HOST)
        for name in self.sessions:
            latency = self.metrics[name].get("latency_ms")
            if latency is None:
                continue
            try:
                guess = estimate_energy(latency, machine, self.subjects[name].options.threads)
            except InputError as error:
                self.missing[name]["energy_mj"] = f"the machine shows no energy counter; {error}"
                continue
            self.keep(name, {"energy_mj": guess})

    def fresh(self) -> None:
        if self.effort.fresh_runs <= 0:
            return
        alive = {name: self.subjects[name] for name in self.sessions}
        try:
            seen = self.observed(alive)
        except EdgewrightError:
            seen = {}  # one of them fails: find out which, by itself
            for name, subject in alive.items():
                try:
                    seen |= self.observed({name: subject})
                except EdgewrightError as error:
                    self.missing[name] |= dict.fromkeys(("cold_start_ms", "ram_bytes"), str(error))
        for name, runs in seen.items():
            self.keep(name, {"cold_start_ms": cold_start(runs), "ram_bytes": peak_memory(runs)})

    def observed(self, subjects: Mapping[str, Subject]) -> dict[str, list[Fresh]]:
        runs, seed = self.effort.fresh_runs, self.effort.latency.seed
        return observe(subjects, self.inputs, runs=runs, seed=seed, checkpoint=self.checkpoint)

    def results(self) -> dict[str, Measured]:
        reason = "stopped before it was measured" if self.stopped else "left out by the chosen effort"
        made = {}
        for name, metrics in self.metrics.items():
            ordered = {metric: metrics[metric] for metric in METRICS if metric in metrics}
            missing = {m: self.missing[name].get(m, reason) for m in METRICS if m not in metrics}
            made[name] = Measured(ordered, missing, self.latencies.get(name), self.heated.get(name))
        return made
