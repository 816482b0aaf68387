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
samples are cut into chunks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mrvae.data import Images, all_batches, normal
from mrvae.evaluation.memory import rows_within
from mrvae.models import HVAE, bits_per_dim

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

    def summary(self) -> dict[str, int | float | None | list[float]]:
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

    Raises:
        ValueError: if samples or memory is not positive, or the images are not the model's.

    Example:
        >>> import mrvae
        >>> from mrvae.data import load
        >>> images = load("digits", "validation").subset(torch.arange(3))
        >>> torch.manual_seed(0)
        <torch._C.Generator object at ...>
        >>> report = evaluate(mrvae.build(mrvae.recipe("digits-vdvae")), images, samples=2)
        >>> report.nats.shape, report.kl.shape
        (torch.Size([3]), torch.Size([3, 8]))
    """
    if samples < 1:
        raise ValueError(f"samples is {samples}; the importance-weighted bound needs at least 1")
    rows = rows_within(memory, model)
    chunks = []
    for indices, x in all_batches(images, rows):
        chunks.append(_chunk(model, x, indices, samples, seed, rows, progress or _silent))
    nats, importance_nats, kl = (torch.cat(parts) for parts in zip(*chunks, strict=True))
    return LikelihoodReport(nats, importance_nats, kl, samples, model.frame.dims)


def draws(images: int, samples: int) -> int:
    """Return how many draws of all latents :func:`evaluate` makes: K + 1 an image."""
    return images * (samples + 1)


def standard_error(values: Tensor) -> float | None:
    """Return sd/√N of the mean of N values, sd with N - 1; None for a single one.

    Example:
        >>> standard_error(torch.tensor([1.0, 3.0]))
        1.0
    """
    if len(values) < 2:
        return None
    return float(values.std()) / math.sqrt(len(values))


def _chunk(
    model: HVAE,
    x: Tensor,
    indices: Sequence[int],
    samples: int,
    seed: int,
    rows: int,
    progress: Progress,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return nats (B,), importance_nats (B,) and kl (B, layers) of a few images."""
    model.frame.check(x)
    weight = next(model.parameters())
    count = model.decoder.noise_size
    x = x.to(weight.device)
    features = model.features(x)

    def noise(draw: int) -> Tensor:
        return normal(seed, draw, indices, count, weight.device, weight.dtype)

    log_likelihood, kl = (term.double().cpu() for term in model.terms(features, x, noise(0)))
    progress(len(x))
    log_sum = torch.full((len(x),), -math.inf, dtype=torch.float64)
    together = max(rows // len(x), 1)
    for start in range(0, samples, together):
        part = range(start, min(start + together, samples))
        # Draw 0 is that of the other bound.
        weights = model.weigh(features, x, torch.stack([noise(k + 1) for k in part]))
        log_sum = torch.logaddexp(log_sum, weights.double().cpu().logsumexp(dim=0))
        progress(len(part) * len(x))
    return kl.sum(dim=1) - log_likelihood, math.log(samples) - log_sum, kl


def _silent(draws: int) -> None:
    """Tell nobody."""
