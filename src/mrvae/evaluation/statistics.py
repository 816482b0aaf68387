r"""Standard errors of numbers that are no means over images, such as a count of active units.

The images are dealt into G groups, image i into group i mod G. With θ_(g) the number computed from
all images but those of group g, and θ̄ the mean of these,

    se² = (G - 1)/G · Σ_g (θ_(g) - θ̄)².

For a mean this is its usual standard error, found from G groups. A count of variances above a
threshold is not smooth in the data, so that leaving out one image at a time would not do; leaving
out many more than √N at a time does (Shao & Wu 1989), and G = 20 leaves out N/20, which is more
than √N from 400 images on. It needs no random numbers, as a bootstrap would, and of each group only
sums. Its own relative error is about 1/√(2(G - 1)) = 16 %.
"""

from __future__ import annotations

import math

from torch import Tensor

GROUPS = 20


def standard_error(values: Tensor) -> float | None:
    """Return sd/√N of the mean of N values, sd with N - 1; None for a single one.

    Example:
        >>> import torch
        >>> standard_error(torch.tensor([0.0, 0.0, 4.0, 4.0])) == math.sqrt(4 / 3)
        True
    """
    if len(values) < 2:
        return None
    return float(values.double().std()) / math.sqrt(len(values))


def without_each(sums: Tensor) -> Tensor:
    """Return, for every group, the sum over all others: (G, …) → (G, …).

    Example:
        >>> import torch
        >>> without_each(torch.tensor([1.0, 2.0, 4.0])).tolist()
        [6.0, 5.0, 3.0]
    """
    return sums.sum(dim=0) - sums


def jackknife_error(left: Tensor) -> Tensor:
    """Return the standard error from the numbers without each group: (G, …) → (…).

    It is not a number if there are fewer than two groups.

    Source: Shao & Wu 1989, *A general theory for jackknife variance estimation*.

    Example:
        >>> import torch
        >>> x = torch.tensor([0.0, 0.0, 4.0, 4.0])
        >>> round(float(jackknife_error(without_each(x) / 3)) ** 2, 4)
        1.3333
    """
    groups = len(left)
    if groups < 2:
        return left.new_full(left.shape[1:], math.nan)
    return ((groups - 1) / groups * (left - left.mean(dim=0)).square().sum(dim=0)).sqrt()
