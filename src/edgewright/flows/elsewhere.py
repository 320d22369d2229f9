"""Figures for a machine that is not here: predicted by a roofline or estimated from its facts, and labelled so."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from edgewright.core.candidate import Candidate
from edgewright.core.errors import InputError
from edgewright.core.measurement import Measurement
from edgewright.graphs.costs import workload
from edgewright.targets import Target, estimate_energy, fits, predict_latency


@dataclass(frozen=True)
class Elsewhere:
    """A target that is not this machine. ``dims``: sizes that the model leaves open, as the samples have them."""

    target: Target
    threads: int
    dims: Mapping[str, int] = field(default_factory=dict)

    def figures(self, candidate: Candidate) -> dict[str, Measurement]:
        """``latency_ms`` (predicted), ``ram_bytes`` (estimated) and, where the target states its power, ``energy_mj``.

        Memory is the weights and the peak of the activations by liveness; what an engine needs besides is not in it.
        """
        cost = workload(candidate.model, dims=self.dims)
        threads = min(self.threads, self.target.usable_cores)
        latency = replace(
            predict_latency(cost, self.target, threads=threads),
            subject=candidate.model.digest, target=self.target.name,
        )  # fmt: skip
        memory = cost.peak_activation_bytes
        how = "peak of the activations; the weights stay in flash"
        if not self.target.microcontroller:
            memory, how = memory + cost.weight_bytes, "weights and peak of the activations, without the engine's own"
        found = {
            "latency_ms": latency,
            "ram_bytes": Measurement(
                memory, "B", "estimated", conditions={"how": how}, target=self.target.name,
                subject=candidate.model.digest,
            ),
        }  # fmt: skip
        with suppress(InputError):  # the target states no power: no figure is better than a made-up one
            found["energy_mj"] = estimate_energy(latency, self.target, threads=threads)
        return found

    def misfits(self, candidate: Candidate) -> tuple[str, ...]:
        """Why the candidate does not fit the target, if it does not."""
        cost = workload(candidate.model, dims=self.dims)
        return tuple(fits(cost, candidate.model.size_bytes, self.target))
