"""The two optimisers of the papers, AdamW and Adamax, and the schedule of the learning rate.

The rate rises linearly over the warm-up, the first step taking 1/warmup of it, and then stays or
falls along half a cosine, to ``final`` times its peak at the last step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from mrvae.recipes.schema import Adamax, AdamW, Constant, Cosine, Optimizer, Training
from mrvae.training.adam import ForeachAdamax, FusedAdamW


def make_optimizer(spec: Optimizer, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the optimiser of a recipe over ``parameters``."""
    betas = (spec.beta1, spec.beta2)
    match spec:
        case AdamW(rate=rate, weight_decay=decay):
            return FusedAdamW(parameters, rate, betas, weight_decay=decay)
        case Adamax(rate=rate, weight_decay=decay):
            return ForeachAdamax(parameters, rate, betas, weight_decay=decay)


def rate_factor(training: Training, step: int) -> float:
    """Return what the optimiser's rate is multiplied by at ``step``, counted from 0.

    Example:
        >>> training = Training(steps=110, batch=1, warmup=10, schedule=Cosine(final=0.5))
        >>> [round(rate_factor(training, step), 3) for step in (0, 9, 60, 109)]
        [0.1, 1.0, 0.746, 0.5]
    """
    if step < training.warmup:
        return (step + 1) / training.warmup
    match training.schedule:
        case Constant():
            return 1.0
        case Cosine(final):
            last = max(training.steps - 1 - training.warmup, 1)
            done = min((step - training.warmup) / last, 1.0)
            return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = rate
