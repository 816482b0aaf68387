"""How two runs compare, in words: by a bound over the same images, in standard errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from mrvae.papers.entries import AnyResult
from mrvae.papers.outcome import standard_error


def comparisons(
    subject: Callable[[AnyResult, AnyResult], str],
    bound: str = "nats",
    without_base: tuple[str, ...] = (),
) -> Callable[[Sequence[AnyResult]], list[str]]:
    """Return the findings that compare each result with its base, at equal steps.

    Args:
        subject: begins the sentence on a result and its base.
        bound: which is compared.
        without_base: the findings where no base is finished.
    """

    def findings(results: Sequence[AnyResult]) -> list[str]:
        pairs = [(result, result.base) for result in results if result.base is not None]
        sentences = [
            f"{subject(result, base)} {compared(result, base, bound)}"
            for result, base in pairs
            if base.name != result.name
        ]
        return sentences if pairs else list(without_base)

    return findings


def compared(result: AnyResult, base: AnyResult, bound: str = "nats") -> str:
    """Return in words how a bound of one run compares with that of another, at equal steps."""
    if result.measures is None:
        return "training diverges"
    return verdict(result.bound(bound), base.bound(bound), error(result, base, bound=bound))


def verdict(a: float | None, b: float | None, standard_error: float | None) -> str:
    """Return in words whether a is lower than b by more than two standard errors.

    Example:
        >>> verdict(98.0, 100.0, 0.5)
        '98.00 against 100.00 nats, 4.0 standard errors lower: better'
        >>> verdict(100.5, 100.0, 0.5)
        '100.50 against 100.00 nats, 1.0 standard errors higher: no clear difference'
    """
    if a is None or b is None or not standard_error:
        return "not measured"
    apart = (b - a) / standard_error
    word = "no clear difference" if abs(apart) <= 2 else "better" if apart > 0 else "worse"
    side = "lower" if apart > 0 else "higher"
    return f"{a:.2f} against {b:.2f} nats, {abs(apart):.1f} standard errors {side}: {word}"


def error(
    a: AnyResult, b: AnyResult, images: int | None = None, bound: str = "nats"
) -> float | None:
    """Return the standard error of the difference of two means of a bound, in nats.

    Where the bounds of single images are known, that of the mean of their differences. Otherwise
    the combined error √(se_a² + se_b²), as if the images were not the same; it is larger, so that a
    difference that is large by it is large. ``images`` is the number of images if it was not
    that of the measurement: a mean over n of N images has √(N/n) times the error.
    """
    paired = paired_error(a, b, bound) if images is None else None
    if paired is not None:
        return paired
    errors = [result.bound(f"{bound}_se") for result in (a, b)]
    counts = [result.bound("images") for result in (a, b)]
    scaled = [
        se * math.sqrt(1 if images is None else count / images)
        for se, count in zip(errors, counts, strict=True)
        if se is not None and count is not None
    ]
    return math.hypot(*scaled) if len(scaled) == len(errors) else None


def paired_error(a: AnyResult, b: AnyResult, bound: str = "nats") -> float | None:
    """Return the standard error of the mean difference of a bound over the images, in nats.

    None where the bounds of single images are not known, or the images are not as many.
    """
    mine, others = a.each.get(bound, ()), b.each.get(bound, ())
    if len(mine) != len(others):
        return None
    return standard_error([x - y for x, y in zip(mine, others, strict=True)])
