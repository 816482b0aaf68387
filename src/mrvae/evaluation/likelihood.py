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
in both: it stands outside the mean over samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mrvae.data import Images, all_batches, normal
from mrvae.evaluation.memory import rows_within
from mrvae.models import HVAE, bits_per_dim
from mrvae.processes import joined

Progress = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class LikelihoodReport:
    """Bounds for N images, in nats, float64 on the CPU; lower is better.

    Attributes:
        nats: one-sample -ELBO of each image, shape (N,).
        importance_nats: minus the importance-weighted bound of each image, shape (N,).
        kl: KL of each stochastic layer, coarse to fine, shape (N, layers).
        samples: K of the importance-weighted bound.
        dims: number of values of one image.

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

    def joined(self) -> LikelihoodReport:
        """Return the report of all processes' images, where each measured its own part of them."""
        return replace(
            self,
            nats=joined(self.nats),
            importance_nats=joined(self.importance_nats),
            kl=joined(self.kl),
        )

    def summary(self) -> dict[str, int | float | list[float] | None]:
        """Return means, standard errors (None for a single image) and bits per dimension."""
        nats, importance_nats = float(self.nats.mean()), float(self.importance_nats.mean())
        return {
            "images": len(self.nats),
            "nats": nats,
            "nats_se": standard_error(self.nats),
            "bits_per_dim": bits_per_dim(nats, self.dims),
            "importance_samples": self.samples,
            "importance_nats": importance_nats,
            "importance_nats_se": standard_error(self.importance_nats),
            "importance_bits_per_dim": bits_per_dim(importance_nats, self.dims),
            "kl": self.kl.mean(dim=0).tolist(),
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
    part: range | None = None,
) -> LikelihoodReport:
    """Return both bounds for every image, each image encoded once.

    It runs where the model's weights are, and under ``torch.autocast`` if the caller asks for it.

    Args:
        model: the model.
        images: of its shape and number of levels.
        samples: K of the importance-weighted bound.
        seed: of the latents' noise.
        memory: bytes that activations may take, about; one row at least always goes through.
        progress: told after each chunk how many draws it made, of :func:`draws` in all.
        part: which of the images, in steps of 1; all by default. Each has the bounds that it has
            among all of them.

    Raises:
        ValueError: if samples or memory is not positive, or the images are not the model's.

    Example:
        >>> import mrvae
        >>> from mrvae.data import load
        >>> images = load("digits", "validation").subset(torch.arange(3))
        >>> report = evaluate(mrvae.build(mrvae.recipe("digits-vdvae")), images, samples=2)
        >>> report.nats.shape, report.summary()["importance_samples"]
        (torch.Size([3]), 2)
    """
    if samples < 1:
        raise ValueError(f"samples is {samples}; the importance-weighted bound needs at least 1")
    rows = rows_within(memory, model)
    measure = _Measure(model, samples, seed, rows, progress or _silent)
    none = torch.zeros(0, dtype=torch.float64)
    chunks = [(none, none, none.view(0, model.stochastic_depth))]
    chunks += [measure.chunk(x, indices) for indices, x in all_batches(images, rows, part)]
    nats, importance_nats, kl = (torch.cat(parts) for parts in zip(*chunks, strict=True))
    return LikelihoodReport(nats, importance_nats, kl, samples, model.frame.dims)


def draws(images: int, samples: int) -> int:
    """Return how many draws of all latents :func:`evaluate` makes: K + 1 an image."""
    return images * (samples + 1)


def standard_error(values: Tensor) -> float | None:
    """Return sd/√N of the mean of N values, sd with N - 1; None for a single one.

    Example:
        >>> standard_error(torch.tensor([0.0, 0.0, 4.0, 4.0])) == math.sqrt(4 / 3)
        True
    """
    if len(values) < 2:
        return None
    return float(values.double().std()) / math.sqrt(len(values))


@dataclass(frozen=True)
class _Measure:
    """Both bounds of a few images at a time, of ``rows`` draws at most."""

    model: HVAE
    samples: int
    seed: int
    rows: int
    progress: Progress

    def chunk(self, x: Tensor, indices: range) -> tuple[Tensor, Tensor, Tensor]:
        """Return nats (B,), importance_nats (B,) and kl (B, layers)."""
        self.model.frame.check(x)
        x = x.to(self._weight.device)
        features = self.model.features(x)
        # Draw 0 is the first bound's, draws 1 … K are the second's.
        terms = self.model.terms(features, x, self._noise(0, indices, self.model.noise_size))
        log_likelihood, kl = (term.cpu().double() for term in terms)
        self.progress(len(x))
        # The context is the same in all samples: its nats stand outside their mean.
        above = kl[:, : len(self.model.top.shapes)].sum(dim=1)
        importance_nats = above - self._importance(features, x, indices)
        return kl.sum(dim=1) - log_likelihood, importance_nats, kl

    def _importance(self, features: Sequence[Tensor], x: Tensor, indices: range) -> Tensor:
        """Return the importance-weighted bound (B,) but for the context, in parts that fit."""
        together = max(self.rows // len(x), 1)
        log_sum = torch.full((len(x),), -math.inf, dtype=torch.float64)
        for start in range(0, self.samples, together):
            part = range(start, min(start + together, self.samples))
            count = self.model.decoder.noise_size
            noise = torch.stack([self._noise(sample + 1, indices, count) for sample in part])
            weights = self.model.weigh(features, x, noise).cpu().double()
            log_sum = torch.logaddexp(log_sum, weights.logsumexp(dim=0))
            self.progress(len(part) * len(x))
        return log_sum - math.log(self.samples)

    def _noise(self, draw: int, indices: range, count: int) -> Tensor:
        return normal(self.seed, draw, indices, count, self._weight.device, self._weight.dtype)

    @property
    def _weight(self) -> Tensor:
        """Any weight, for its device and type."""
        return next(self.model.parameters())


def _silent(draws: int) -> None:
    """Tell nobody."""
