r"""Scores of single images: bounds on log p(x), likelihood ratios, and a typicality.

Of the L latents of a hierarchy let the k finest come from the prior and the others from the
posterior. With z ~ q(z_1 … z_{L-k} | x) p(z_{L-k+1} … z_L | z_1 … z_{L-k}), coarse to fine,

    L^{>k} = log (1/K) Σ_j p(x | z_j) Π_{l ≤ L-k} p(z_l | z_<l) / q(z_l | z_<l, x)

is an importance-weighted bound on log p(x) for every k, since the proposal is a density of all
latents. k = 0 is the usual bound L. The score of Havtorn et al. is what the posteriors of the fine
latents contribute to it,

    LLR^{>k} = L - L^{>k},

large for an unusual image: a hierarchy explains it by its fine latents, which describe any local
structure, and not by the coarse ones, which describe what the training images have in common.
log p(x) itself is large for every simple image, whether it was like them or not.

Images that are too likely are unusual as well (Nalisnick et al. 2019). With H the mean -ELBO of
images that were held out, the typicality score is |-ELBO(x) - H|, two-sided.

The noise of image i is that of :func:`mrvae.evaluation.evaluate`: a function of (seed, i) for
-ELBO, and of (seed, i, j) for draw j, the same for every k, so that noise cancels in the ratio. A
context is always that of the image. Its nats stand in L and in every L^{>k}, and cancel too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mrvae.data import Images, all_batches, normal
from mrvae.evaluation.memory import rows_within
from mrvae.evaluation.statistics import standard_error
from mrvae.models import HVAE, bits_per_dim
from mrvae.models.finite import check_finite
from mrvae.models.hierarchy.walk import from_prior, given
from mrvae.models.trace import Observation, Trace


@dataclass(frozen=True, eq=False)
class ScoreReport:
    """Scores of N images in nats, float64 on the CPU.

    Attributes:
        nats: one-sample -ELBO of each image, shape (N,).
        bounds: -L^{>k} for k = 0 … L, shape (N, L + 1); the first is the importance-weighted bound.
        kl: KL of each stochastic layer, a context first, then coarse to fine, shape (N, layers).
        samples: K.
        dims: number of values of one image.
        typical_nats: mean -ELBO of held-out images; None if it is not known.

    Example:
        >>> nats, bounds = torch.tensor([5.0]), torch.tensor([[4.0, 4.5, 7.0]])
        >>> report = ScoreReport(nats, bounds, torch.zeros(1, 2), 1, dims=4, typical_nats=8.0)
        >>> report.likelihood_ratios, report.typicality
        (tensor([[0.5000, 3.0000]]), tensor([3.]))
    """

    nats: Tensor
    bounds: Tensor
    kl: Tensor
    samples: int
    dims: int
    typical_nats: float | None = None

    @property
    def importance_nats(self) -> Tensor:
        """Minus the importance-weighted bound, shape (N,)."""
        return self.bounds[:, 0]

    @property
    def likelihood_ratios(self) -> Tensor:
        """LLR^{>k} for k = 1 … L, shape (N, L); large for an unusual image."""
        return self.bounds[:, 1:] - self.bounds[:, :1]

    @property
    def typicality(self) -> Tensor | None:
        """|-ELBO - H|, shape (N,); None if H is not known."""
        return None if self.typical_nats is None else (self.nats - self.typical_nats).abs()

    def scores(self) -> dict[str, Tensor]:
        """Return every score (N,) by name; each is large for an unusual image."""
        scores = {"nats": self.nats, "importance_nats": self.importance_nats}
        if self.typicality is not None:
            scores["typicality"] = self.typicality
        ratios = self.likelihood_ratios
        return scores | {f"llr_{k + 1}": ratios[:, k] for k in range(ratios.shape[1])}

    def summary(self) -> dict[str, object]:
        """Return the mean of every score and its standard error (None for a single image)."""
        means = {name: float(values.mean()) for name, values in self.scores().items()}
        errors = {f"{name}_se": standard_error(values) for name, values in self.scores().items()}
        return {
            "images": len(self.nats),
            "importance_samples": self.samples,
            "typical_nats": self.typical_nats,
            "bits_per_dim": bits_per_dim(means["nats"], self.dims),
            "importance_bits_per_dim": bits_per_dim(means["importance_nats"], self.dims),
            **means,
            **errors,
            "kl": self.kl.mean(dim=0).tolist(),
        }


@torch.no_grad()
def score(
    model: HVAE,
    images: Images,
    *,
    samples: int = 16,
    seed: int = 0,
    typical_nats: float | None = None,
    memory: int = 1 << 30,
    progress: Callable[[int], None] | None = None,
) -> ScoreReport:
    """Score every image by its bounds, its likelihood ratios for all k, and its typicality.

    Args:
        model: the model.
        images: of its shape and number of bins.
        samples: K of every bound; a ratio of two bounds needs the same.
        seed: of the latents' noise.
        typical_nats: mean -ELBO of images that the model was not trained on, for the typicality;
            ``evaluate(model, held_out, samples=1).nats.mean()``.
        memory: bytes that activations may take, about.
        progress: called with the number of descents made, of :func:`descents` in all.

    Raises:
        ValueError: if samples or memory is not positive, the images are not the model's, or a bound
            is not finite.

    Source: Havtorn et al. 2021, *Hierarchical VAEs know what they don't know*, equations 8 to 10.

    Example:
        >>> import mrvae
        >>> from mrvae.data import load
        >>> images = load("digits", "validation").subset(torch.arange(2))
        >>> model = mrvae.build(mrvae.recipe("digits-vdvae"))
        >>> report = mrvae.score(model, images, samples=2)
        >>> report.likelihood_ratios.shape == (2, model.stochastic_depth)
        True
    """
    if samples < 1:
        raise ValueError(f"samples is {samples}; a bound needs at least 1")
    measure = _ScoreEvaluation(model, samples, seed, rows_within(memory, model), progress)
    parts = [measure.chunk(x, indices) for indices, x in all_batches(images, measure.rows)]
    nats, bounds, kl = (torch.cat(each) for each in zip(*parts, strict=True))
    check_finite(nats, bounds, kl)
    return ScoreReport(nats, bounds, kl, samples, model.frame.dims, typical_nats)


def descents(model: HVAE, images: int, samples: int) -> int:
    """Return how many descents of the hierarchy :func:`score` makes: 1 + K (L + 1) an image."""
    return images * (1 + samples * (1 + len(model.latent_shapes)))


@dataclass(frozen=True)
class _ScoreEvaluation:
    """The scores of a few images at a time."""

    model: HVAE
    samples: int
    seed: int
    rows: int
    progress: Callable[[int], None] | None

    def chunk(self, x: Tensor, indices: range) -> tuple[Tensor, Tensor, Tensor]:
        """Return nats (B,), -L^{>k} (B, L + 1) and kl (B, layers)."""
        model, weight = self.model, next(self.model.parameters())
        model.frame.check(x)
        x = x.to(weight.device)
        observed = model.observe(x)
        log_likelihood, kl = (
            term.cpu().double()
            for term in model.terms(observed, x, self._noise([0], indices, model.noise_size)[0])
        )
        self._advance(len(x))
        context = kl[:, : len(observed.context)].sum(dim=1)
        sums = torch.full((1 + len(model.latent_shapes), len(x)), -math.inf, dtype=torch.float64)
        together = max(self.rows // len(x), 1)
        for start in range(0, self.samples, together):
            # Draw 0 is that of -ELBO.
            draws = range(1 + start, 1 + min(start + together, self.samples))
            weights = self._weights(observed, x, self._noise(draws, indices, self._latents))
            sums = torch.logaddexp(sums, weights.logsumexp(dim=1))
        bounds = context[:, None] - (sums - math.log(self.samples)).T
        return kl.sum(dim=1) - log_likelihood, bounds, kl

    def _weights(self, observed: Observation, x: Tensor, noise: Tensor) -> Tensor:
        """Return the log weights of L^{>k} of some draws, (L + 1, draws, B)."""
        draws, depth = len(noise), len(self.model.latent_shapes)
        log_likelihood, trace = self.model.importance_draws(observed, x, noise)
        rows = [log_likelihood + trace.log_ratio()]
        self._advance(len(log_likelihood))
        ratios = trace.log_ratios()
        without_features = observed._replace(features=()).repeat(draws)
        repeated = x.repeat(draws, 1, 1, 1)
        for kept in reversed(range(depth)):
            partial = self._from_prior(without_features, trace, kept, noise.flatten(0, 1))
            rows.append(partial.likelihood.log_prob(repeated) + ratios[:, :kept].sum(dim=1))
            self._advance(len(repeated))
        return torch.stack(rows).view(1 + depth, draws, len(x)).cpu().double()

    def _from_prior(self, observed: Observation, trace: Trace, kept: int, noise: Tensor) -> Trace:
        """Descend with the coarsest ``kept`` latents of a trace, and the others from the prior."""
        known = [given(step.z) for step in trace.steps[:kept]]
        free = [from_prior()] * (len(trace.steps) - kept)
        return self.model.trace(observed, [*known, *free], noise)

    @property
    def _latents(self) -> int:
        return self.model.latent_noise_size

    def _noise(self, draws: range | list[int], indices: range, count: int) -> Tensor:
        weight = next(self.model.parameters())
        return torch.stack(
            [normal(self.seed, draw, indices, count, weight.device, weight.dtype) for draw in draws]
        )

    def _advance(self, descents: int) -> None:
        if self.progress is not None:
            self.progress(descents)
