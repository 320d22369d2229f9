"""Means whose estimates are close to normal: half-normal mixtures in information time.

An estimate that gets better as data come (its information V = 1 / variance grows) has, times V, the law of a Brownian
motion with drift at time V, also where parts of the variance never shrink, such as devices' own effects (Lan, Zucker,
"Sequential monitoring of clinical trials: the role of information and Brownian motion", Statistics in Medicine 12,
1993). On it stand the mixtures of Howard, Ramdas, McAuliffe, Sekhon (Annals of Statistics 49, 2021, section 3) and
Robbins (1970). With estimated variances they hold asymptotically (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas,
"Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics 52, 2024);
``normal_score`` takes the heavier tails of small samples out.
"""

from __future__ import annotations

import math


def above(estimate: float, variance: float, scale: float) -> float:
    """Log evidence against "the mean is at most 0".

    ``estimate`` now, its ``variance`` now (not of one observation), and the ``scale`` of means that one wants to find,
    fixed beforehand: the mean under the alternative is half-normal with this standard deviation. 0 where nothing is
    known (infinite variance).
    """
    if not variance > 0 or not scale > 0:
        raise ValueError("evidence needs a variance and a scale above 0")
    ratio = scale * scale / variance  # rho^2 V
    z = estimate / math.sqrt(variance)
    shrunk = z * math.sqrt(ratio / (1 + ratio))
    return math.log(2) - 0.5 * math.log1p(ratio) + 0.5 * shrunk * shrunk + _log_cdf(shrunk)


def mean_sequence(estimate: float, variance: float, alpha: float, scale: float) -> tuple[float, float]:
    """The two-sided confidence sequence of the mean: the normal mixture of the same ``scale``, inverted.

    Howard et al. (2021), equation 14.
    """
    if not variance > 0 or not scale > 0 or not 0 < alpha < 1:
        raise ValueError("a confidence sequence needs a variance, a scale and 0 < alpha < 1")
    if math.isinf(variance):
        return -math.inf, math.inf
    rest = variance / (scale * scale)
    half = math.sqrt(variance * (1 + rest) * (-2 * math.log(alpha) + math.log1p(1 / rest)))
    return estimate - half, estimate + half


def normal_score(t: float, freedom: float) -> float:
    """The standard normal value with the same tail as Student's ``t`` with so many degrees of freedom.

    Wallace, "Bounds on normal approximations to Student's and the chi-square distributions", Annals of Mathematical
    Statistics 30 (1959): within 0.1 of it from 2 degrees on.
    """
    if not freedom > 0:
        raise ValueError("a score needs degrees of freedom")
    if math.isinf(freedom):
        return t
    size = (8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log1p(t * t / freedom))
    return math.copysign(size, t)


def _log_cdf(z: float) -> float:
    if z > -8:
        return math.log(0.5 * math.erfc(-z / math.sqrt(2)))
    # Mills' ratio; at -8 the rest is below 1e-4.
    return -0.5 * z * z - math.log(-z * math.sqrt(2 * math.pi)) + math.log1p(-1 / (z * z) + 3 / z**4)
