"""The one answer to a model whose numbers are not finite."""

from __future__ import annotations

import torch
from torch import Tensor

NOT_FINITE = "the model computes no finite numbers; its weights are damaged or it diverged"


def check_finite(*values: Tensor) -> None:
    """Refuse what a damaged or diverged model computes.

    Raises:
        ValueError: if a number is infinite or not a number.

    Example:
        >>> check_finite(torch.zeros(2), torch.tensor([1.0, torch.nan]))
        Traceback (most recent call last):
        ValueError: the model computes no finite numbers; its weights are damaged or it diverged
    """
    if not all(bool(torch.isfinite(value).all()) for value in values):
        raise ValueError(NOT_FINITE)
