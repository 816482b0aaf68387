r"""Two bounds on log p(x) for every image of a set.

With z drawn from q(z | x), the one-sample bound takes its KL in closed form, layer by layer,

    -log p(x) ≤ nats = -log p(x | z) + Σ_l KL(q(z_l | z_<l, x) ‖ p(z_l | z_<l)),

and the importance-weighted bound (Burda et al. 2016, equation 8) takes K independent draws,

    -log p(x) ≤ importance_nats = -log (1/K) Σ_k p(x, z_k) / q(z_k | x),

both in expectation. The second is the tighter, and tends to -log p(x) as K grows. Its weights are
ratios of densities at the drawn z: were the closed-form KL put into the sum instead, as published
code has done, the mean would be taken of exp(ELBO(z_k)), which is no estimate of p(x) and may well
exceed it.

The noise of image i is a function of (seed, i) for the first bound, the same that validation
takes, and of (seed, i, k) for sample k of the second. Nothing depends on how the images and
samples are cut into chunks. A context's term, one number for each image, is that of the first bound
in both: it stands outside the mean over samples. Or, in the second, it is the importance-weighted
bound of the context itself, from J trajectories y_j of its diffusion with noise of their own,

    -log p(c) ≤ -log (1/J) Σ_j p(c, y_j) / q(y_j | c),

and the sum of the two bounds is the tighter. Estimators that are no bounds, those of
:mod:`mrvae.evaluation.published`, are computed from the same draws on request.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mrvae.data import Images, all_batches, normal
from mrvae.evaluation.memory import rows_within
from mrvae.evaluation.published import ContextTerms, Defects, context_terms
from mrvae.evaluation.statistics import standard_error
from mrvae.models import HVAE, bits_per_dim
from mrvae.models.finite import check_finite
from mrvae.models.trace import Latents, Observation
from mrvae.processes import all_gather_rows

Progress = Callable[[int], None]

# Draws are numbered; those of a context's further noises and of its trajectories begin here.
_VALUES, _TRAJECTORIES = 1 << 32, 1 << 33


@dataclass(frozen=True, eq=False)
class LikelihoodReport:
    """Bounds for N images, in nats, float64 on the CPU; lower is better.

    Attributes:
        nats: one-sample -ELBO of each image, shape (N,).
        importance_nats: minus the importance-weighted bound of each image, shape (N,).
        kl: KL of each stochastic layer, coarse to fine, shape (N, layers).
        samples: K of the importance-weighted bound.
        dims: number of values of one image.
        context_samples: J of the context's own importance-weighted bound; None without it.
        estimates: minus each further estimator, shape (N,) each.

    Example:
        >>> two = torch.tensor([8.0, 16.0], dtype=torch.float64) * math.log(2.0)
        >>> report = LikelihoodReport(two, two, torch.zeros(2, 1), samples=1, dims=4)
        >>> report.summary()["bits_per_dim"]
        3.0
    """

    nats: Tensor
    importance_nats: Tensor
    kl: Tensor
    samples: int
    dims: int
    context_samples: int | None = None
    estimates: tuple[Tensor, ...] = ()

    def joined(self) -> LikelihoodReport:
        """Return the report of all processes' images, where each process measured its own part."""
        return replace(
            self,
            nats=all_gather_rows(self.nats),
            importance_nats=all_gather_rows(self.importance_nats),
            kl=all_gather_rows(self.kl),
            estimates=tuple(all_gather_rows(each) for each in self.estimates),
        )

    def summary(self) -> dict[str, int | float | list[float] | None]:
        """Return means, standard errors (None for a single image) and bits per dimension."""
        return {
            "images": len(self.nats),
            **self.described("", self.nats),
            "importance_samples": self.samples,
            "context_samples": self.context_samples,
            **self.described("importance_", self.importance_nats),
            "kl": self.kl.mean(dim=0).tolist(),
        }

    def described(self, prefix: str, nats: Tensor) -> dict[str, float | None]:
        """Return the mean of nats (N,), its standard error, and bits per dimension, by name."""
        mean = float(nats.mean())
        return {
            f"{prefix}nats": mean,
            f"{prefix}nats_se": standard_error(nats),
            f"{prefix}bits_per_dim": bits_per_dim(mean, self.dims),
        }


@torch.no_grad()
def evaluate(
    model: HVAE,
    images: Images,
    *,
    samples: int,
    seed: int = 0,
    memory: int = 1 << 30,
    progress: Progress | None = None,
    context_samples: int | None = None,
    estimators: Sequence[Defects] = (),
    part: range | None = None,
) -> LikelihoodReport:
    """Return both bounds for every image, each image encoded once.

    It runs where the model's weights are, and under ``torch.autocast`` if the caller asks for it.

    Args:
        model: the model.
        images: of its shape and number of bins.
        samples: K of the importance-weighted bound.
        seed: of the latents' noise.
        memory: bytes that activations may take, about; one row at least always goes through.
        progress: called after each chunk with the number of its draws, of :func:`draws` in all.
        context_samples: J of the context's importance-weighted bound, which then stands in the
            second bound; by default its bound in the mean stands in both.
        estimators: computed beside the bounds, from the same draws.
        part: which of the images, in steps of 1; all by default. Each has the bounds that it has
            among all of them.

    Raises:
        ValueError: if samples, context_samples or memory is not positive, the images are not the
            model's, or a bound is not finite.

    Example:
        >>> import mrvae
        >>> from mrvae.data import load
        >>> images = load("digits", "validation").subset(torch.arange(3))
        >>> report = evaluate(mrvae.build(mrvae.recipe("digits-vdvae")), images, samples=2)
        >>> report.nats.shape, report.summary()["importance_samples"]
        (torch.Size([3]), 2)
    """
    rows = rows_within(memory, model)
    plan = _Plan(samples, seed, rows, context_samples, tuple(estimators))
    measure = _BoundEvaluation(model, plan, progress or _no_progress)
    none = torch.zeros(0, dtype=torch.float64)
    parts = [(none, none, none.view(0, model.stochastic_depth), *[none] * len(estimators))]
    parts += [measure.chunk(x, indices) for indices, x in all_batches(images, rows, part)]
    nats, importance_nats, kl, *estimates = (torch.cat(each) for each in zip(*parts, strict=True))
    check_finite(nats, importance_nats, kl)
    return LikelihoodReport(
        nats,
        importance_nats,
        kl,
        samples,
        model.frame.dims,
        context_samples,
        tuple(estimates),
    )


def draws(images: int, samples: int) -> int:
    """Return how many draws of all latents :func:`evaluate` makes: K + 1 an image."""
    return images * (samples + 1)


@dataclass(frozen=True)
class _Plan:
    """The settings of an evaluation, and the rows of a chunk."""

    samples: int
    seed: int
    rows: int
    context_samples: int | None
    estimators: tuple[Defects, ...]

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError(
                f"samples is {self.samples}; the importance-weighted bound needs at least 1"
            )
        if self.context_samples is not None and self.context_samples < 1:
            raise ValueError(
                f"context_samples is {self.context_samples}; a context's bound needs at least 1"
            )


@dataclass(frozen=True)
class _BoundEvaluation:
    """The bounds and estimates of a few images at a time."""

    model: HVAE
    plan: _Plan
    progress: Progress

    def chunk(self, x: Tensor, indices: range) -> tuple[Tensor, ...]:
        """Return nats (B,), importance_nats (B,), kl (B, layers), and each estimate (B,)."""
        self.model.frame.check(x)
        x = x.to(self._weight.device)
        observed = self.model.observe(x)
        # Draw 0 is the first bound's, draws 1 … K are the second's.
        terms = self.model.terms(observed, x, self._noise(0, indices, self.model.noise_size))
        log_likelihood, kl = (term.cpu().double() for term in terms)
        self.progress(len(x))
        weighed, analytic = self._importance(observed, x, indices)
        estimates = self._estimates(observed.context, indices, weighed, analytic)
        # The context is the same in all samples: its nats stand outside their mean.
        own = kl[:, : len(observed.context)].sum(dim=1)
        own = (
            own
            if self.plan.context_samples is None
            else self._trajectories(observed.context, indices)
        )
        return kl.sum(dim=1) - log_likelihood, own - weighed, kl, *estimates

    def _importance(
        self, observed: Observation, x: Tensor, indices: range
    ) -> tuple[Tensor, Tensor]:
        """Return the importance-weighted bound (B,) without the context, and its analytic form.

        The analytic form has the closed-form KL in the place of log q(z | x) - log p(z). It is
        computed only if an estimator needs it, and else equal to the bound.
        """
        needed = any(defects.analytic for defects in self.plan.estimators)
        samples, together = self.plan.samples, max(self.plan.rows // len(x), 1)
        count = self.model.latent_noise_size
        sums = torch.full((2, len(x)), -math.inf, dtype=torch.float64)
        for start in range(0, samples, together):
            part = range(start, min(start + together, samples))
            noise = torch.stack([self._noise(sample + 1, indices, count) for sample in part])
            log_likelihood, trace = self.model.importance_draws(observed, x, noise)
            ratio = trace.log_ratio()
            with_kl = -trace.kl().sum(dim=1) if needed else ratio
            both = torch.stack([ratio, with_kl]) + log_likelihood
            values = both.view(2, len(part), len(x)).cpu().double()
            sums = torch.logaddexp(sums, values.logsumexp(dim=1))
            self.progress(len(part) * len(x))
        weighed, analytic = sums - math.log(samples)
        return weighed, analytic

    def _estimates(
        self, context: Latents, indices: range, weighed: Tensor, analytic: Tensor
    ) -> list[Tensor]:
        """Return minus each further estimator, of shape (B,)."""
        if not self.plan.estimators:
            return []
        terms = self._context(context, indices)
        return [
            terms.nats(defects) - (analytic if defects.analytic else weighed)
            for defects in self.plan.estimators
        ]

    def _context(self, context: Latents, indices: range) -> ContextTerms:
        """Return the terms of the context's bound at the noise of draw 0, and at further ones."""
        needed = max(defects.needed for defects in self.plan.estimators)
        first = self._noise(0, indices, self.model.noise_size)
        size = self.model.context.noise_size
        further = (self._noise(_VALUES + value, indices, size) for value in range(1, needed))
        return context_terms(self.model.context, context, [first, *further])

    def _trajectories(self, context: Latents, indices: range) -> Tensor:
        """Return minus the importance-weighted bound on the context's log p, of shape (B,)."""
        samples = self.plan.context_samples or 1
        log_sum = torch.full((len(indices),), -math.inf, dtype=torch.float64)
        for draw in range(samples):
            noise = self._noise(_TRAJECTORIES + draw, indices, self.model.context.noise_size)
            weight = self.model.context.log_weight(context, noise).sum(dim=1)
            log_sum = torch.logaddexp(log_sum, weight.cpu().double())
        return math.log(samples) - log_sum

    def _noise(self, draw: int, indices: range, count: int) -> Tensor:
        return normal(self.plan.seed, draw, indices, count, self._weight.device, self._weight.dtype)

    @property
    def _weight(self) -> Tensor:
        """Any weight, for its device and type."""
        return next(self.model.parameters())


def _no_progress(draws: int) -> None:
    """Ignore the progress."""
