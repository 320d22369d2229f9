"""Open loop: when requests come, and how long each may take, drawn before anything runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OK, REFUSED, EXPIRED, FAILED = range(4)
"""What became of a request: answered, not let in, let in and then told that it is too late, anything else."""
Numbers = NDArray[np.float64]


def poisson(rate: float, seconds: float, seed: int) -> Numbers:
    """Times in s from 0 to ``seconds`` at which requests come: independent of one another, ``rate`` a second."""
    random = np.random.default_rng(seed)
    count = int(rate * seconds + 6 * (rate * seconds) ** 0.5) + 16
    times = np.cumsum(random.exponential(1 / rate, count))
    return times[times < seconds]


def steady(rate: float, seconds: float) -> Numbers:
    """Times in s at even distances."""
    return np.arange(int(rate * seconds)) / rate


def limits(count: int, service_s: float, seed: int, low: float = 3.0, high: float = 10.0) -> Numbers:
    """How long each may take, in s: ``low`` to ``high`` service times, every length as likely as another."""
    return service_s * np.random.default_rng(seed + 1).uniform(low, high, count)


@dataclass(frozen=True)
class Fates:
    """One entry a request: when it came and ended (s, one clock), how long it might take (s), what became of it."""

    came: Numbers
    ended: Numbers
    limit: Numbers
    code: NDArray[np.int64]

    def joined(self, other: Fates) -> Fates:
        """Both, one after the other. Only differences of times mean something afterwards."""
        return Fates(*(np.concatenate(pair) for pair in zip(vars(self).values(), vars(other).values(), strict=True)))

    def summary(self, seconds: float, saturation: float) -> dict[str, float | int | None]:
        """``met_of_admitted``: share of those let in; ``goodput``: met ones a second, and as a share of ``saturation``
        (answers a second when all may wait); ``late_ms``: how long after its deadline somebody was told No (0 when
        before): p50, p99.9 and the longest."""
        met = (self.code == OK) & (self.ended - self.came <= self.limit)
        admitted = self.code != REFUSED
        told_no = (self.code == REFUSED) | (self.code == EXPIRED)
        late = 1e3 * np.maximum(self.ended - self.came - self.limit, 0.0)[told_no]
        rate = float(met.sum()) / seconds
        return {
            "requests": len(self.code), "admitted": int(admitted.sum()), "met": int(met.sum()),
            "answered_late": int(((self.code == OK) & ~met).sum()), "expired": int((self.code == EXPIRED).sum()),
            "refused": int((self.code == REFUSED).sum()), "failed": int((self.code == FAILED).sum()),
            "met_of_admitted": float(met.sum() / admitted.sum()) if admitted.any() else None,
            "goodput": rate, "goodput_share": rate / saturation,
            "late_p50_ms": float(np.quantile(late, 0.5)) if len(late) else None,
            "late_p999_ms": float(np.quantile(late, 0.999)) if len(late) else None,
            "late_max_ms": float(late.max()) if len(late) else None,
        }  # fmt: skip
