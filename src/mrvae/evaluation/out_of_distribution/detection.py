r"""How well a score separates unusual images from usual ones, with bootstrap intervals.

A score is to be large for unusual images, the positive class. With n usual and m unusual scores,

    AUROC = P(s_unusual > s_usual) + ½ P(s_unusual = s_usual),
    AUPRC = (1/m) Σ_i precision at the threshold s_i over the unusual i (average precision),
    FPR80 = the part of the usual images at or above the largest threshold with a true positive rate
            of 80 % or more.

All three follow from ranks among all scores and among the unusual ones. 0.5 is the AUROC of chance,
m / (n + m) its AUPRC, 0.8 its FPR80. An AUROC below 0.5 means that the unusual images look *more*
usual than the usual ones.

Intervals are percentiles over resamples of both sets, each with replacement and of its own size.
All scores are resampled alike, so that those of one pair of sets can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]

_PERCENT = (2.5, 97.5)
_MOST_CELLS = 1 << 22


@dataclass(frozen=True)
class Interval:
    """A number with its bootstrap interval of 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Detection:
    """How well one score separates two sets.

    Attributes:
        auroc: area under the receiver operating characteristic; 0.5 is chance.
        auprc: average precision; the part of unusual images is chance.
        fpr80: false positive rate at a true positive rate of 80 %; lower is better.
    """

    auroc: Interval
    auprc: Interval
    fpr80: Interval


def detection_rates(usual: Scores, unusual: Scores) -> tuple[Scores, Scores, Scores]:
    """Return AUROC, AUPRC and FPR80 of scores (…, n) and (…, m): arrays (…).

    Example:
        >>> rates = detection_rates(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
        >>> [float(rate) for rate in rates]
        [0.875, 0.8333333333333333, 0.5]
    """
    from scipy.stats import rankdata

    n, m = usual.shape[-1], unusual.shape[-1]
    both = np.concatenate([unusual, usual], axis=-1)
    mean_ranks = rankdata(both, method="average", axis=-1)[..., :m].mean(axis=-1)
    auroc = (mean_ranks - (m + 1) / 2) / n
    # How many scores are at least s_i: of all images, and of the unusual ones.
    of_all = n + m + 1 - rankdata(both, method="min", axis=-1)[..., :m]
    of_unusual = m + 1 - rankdata(unusual, method="min", axis=-1)
    auprc = (of_unusual / of_all).mean(axis=-1)
    enough = 5 * of_unusual >= 4 * m
    fpr80 = np.where(enough, of_all - of_unusual, n).min(axis=-1) / n
    return auroc, auprc, fpr80


def detect(
    usual: Mapping[str, Scores],
    unusual: Mapping[str, Scores],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Detection]:
    """Return how well each score separates two sets of images, by the score's name.

    Args:
        usual: scores (n,) by name.
        unusual: scores (m,) of the same names.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ValueError: if the names differ, a set is empty, or resamples is not positive.

    Source: Havtorn et al. 2021, section 5, for the three rates; Efron 1979 for the intervals.

    Example:
        >>> usual, unusual = np.arange(50.0), np.arange(50.0) + 100
        >>> detect({"nats": usual}, {"nats": unusual}, resamples=10)["nats"].auroc
        Interval(value=1.0, low=1.0, high=1.0)
    """
    if usual.keys() != unusual.keys() or not usual:
        raise ValueError(f"the scores are {list(usual)} and {list(unusual)}; give the same of both")
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; an interval needs at least 1")
    (n, m) = (len(next(iter(scores.values()))) for scores in (usual, unusual))
    if not (n and m):
        raise ValueError(f"{n} and {m} images are given; each set needs at least 1")
    return {
        name: _detection(usual[name], unusual[name], resamples, np.random.default_rng(seed))
        for name in usual
    }


def _detection(
    usual: Scores, unusual: Scores, resamples: int, stream: np.random.Generator
) -> Detection:
    """Return the rates of one score; the stream is at its start, and so alike for all scores."""
    n, m = len(usual), len(unusual)
    together = max(_MOST_CELLS // (n + m), 1)
    parts = []
    for start in range(0, resamples, together):
        count = min(together, resamples - start)
        first, second = stream.integers(n, size=(count, n)), stream.integers(m, size=(count, m))
        parts.append(np.stack(detection_rates(usual[first], unusual[second])))
    low, high = np.percentile(np.concatenate(parts, axis=1), _PERCENT, axis=1)
    values = np.stack(detection_rates(usual, unusual))
    return Detection(*(Interval(*map(float, each)) for each in zip(values, low, high, strict=True)))
