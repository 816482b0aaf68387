"""Telling that a run stands still with its latents unused.

A very deep VAE may fall, in its first steps, to where every posterior equals its prior: the decoder
then models the pixels by itself, no gradient speaks for the latents, and the loss stays where it is
for ever (openai/vdvae, issue 8). Two halves of a window of steps are compared:

    mean KL < 10⁻³ mean(-ELBO),    mean(-ELBO) of the later half > 0.995 of the earlier one.

A run that still falls, or whose latents carry more, is left alone.
"""

from __future__ import annotations

import math
from collections import deque
from statistics import fmean

from mrvae.recipes.schema import Training
from mrvae.training.loss import beta
from mrvae.training.update import Report

_WINDOW, _EVERY = 500, 50
_LITTLE, _FALLEN = 1e-3, 0.995


class Plateau:
    """Looks at the reports of a run, and says once that it has collapsed."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self.seen: deque[tuple[float, float]] = deque(maxlen=_WINDOW)
        self.said = False

    def warning(self, step: int, report: Report) -> str:
        """Return what to say after the step, counted from 0; mostly nothing."""
        rising = step < self.training.warmup or beta(self.training.kl, step) < 1
        if self.said or rising or not math.isfinite(report.nats):
            return ""
        self.seen.append((report.nats, report.latent_kl))
        if len(self.seen) < _WINDOW or step % _EVERY or not self._stands():
            return ""
        self.said = True
        return (
            f"step {step + 1}: the latents have carried next to nothing for {_WINDOW} steps, and "
            "the loss has stood still: the posterior has collapsed onto the prior. Begin another "
            "run with a KL that rises slowly (training.kl.beta_steps=5000), free nats for each "
            "latent (training.kl.free_nats=0.1), a longer warm-up (training.warmup), a lower rate "
            "(training.optimizer.rate) or another --seed"
        )

    def _stands(self) -> bool:
        nats, kl = ([pair[index] for pair in self.seen] for index in (0, 1))
        early, late = fmean(nats[: _WINDOW // 2]), fmean(nats[_WINDOW // 2 :])
        return fmean(kl) < _LITTLE * abs(fmean(nats)) and late > early - (1 - _FALLEN) * abs(early)
