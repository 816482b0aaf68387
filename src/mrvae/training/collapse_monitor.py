"""Detection of posterior collapse: a loss that has stopped falling, and latents without KL.

In its first steps a very deep VAE may reach a point where every posterior equals its prior. The
decoder then models the pixels without latents, the latents get no gradient, and the loss never
changes again (openai/vdvae, issue 8). The two halves of a window of steps are compared:

    mean KL < 10⁻³ mean(-ELBO),    mean(-ELBO) of the later half > 0.995 of the earlier one.

A run whose loss still falls, or whose latents have more KL, causes no warning.
"""

from __future__ import annotations

import math
from collections import deque
from statistics import fmean

from mrvae.recipes.schema import Training
from mrvae.training.loss import beta
from mrvae.training.update import UpdateReport

_WINDOW, _EVERY = 500, 50
_SMALL_KL, _STALLED = 1e-3, 0.995


class CollapseMonitor:
    """Reads the reports of a run, and warns once when the posterior has collapsed."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self.window: deque[tuple[float, float]] = deque(maxlen=_WINDOW)
        self.warned = False

    def warning(self, step: int, report: UpdateReport) -> str:
        """Return the warning after the step, counted from 0; empty without a collapse."""
        rising = step < self.training.warmup or beta(self.training.kl, step) < 1
        if self.warned or rising or not math.isfinite(report.nats):
            return ""
        self.window.append((report.nats, report.latent_kl))
        if len(self.window) < _WINDOW or step % _EVERY or not self._stopped_falling():
            return ""
        self.warned = True
        return (
            f"step {step + 1}: the latents have had almost no KL for {_WINDOW} steps, and the loss "
            "has stopped falling: the posterior has collapsed onto the prior. Start another run "
            "with a KL that rises slowly (training.kl.beta_steps=5000), free nats for each "
            "latent (training.kl.free_nats=0.1), a longer warm-up (training.warmup), a lower rate "
            "(training.optimizer.rate) or another --seed"
        )

    def _stopped_falling(self) -> bool:
        nats, kl = ([pair[index] for pair in self.window] for index in (0, 1))
        early, late = fmean(nats[: _WINDOW // 2]), fmean(nats[_WINDOW // 2 :])
        return fmean(kl) < _SMALL_KL * abs(fmean(nats)) and late > early - (1 - _STALLED) * abs(
            early
        )
