r"""Partial reconstructions from the top m latents (Kuzina & Tomczak 2023, section 5.3.1).

For every m = 1 … L, the top m latents are drawn from the posterior and the others from the prior
(Eq. 8; latents are counted from the top, as everywhere here),

    x̃^m ~ p(x | z) Π_{l≤m} q(z_l | z_<l, x) Π_{l>m} p(z_l | z_<l),

and compared with x. Where the curve is flat, further latents do not change the image. A context is
the first latent, so x̃¹ depends on it only.

Of p(x | z) the mean is taken, since the noise of a draw of pixels would hide the effect of the
latents. The mean is not rounded, so that of a binary image it is the probability of ink. Posterior
and prior have a temperature each, which multiplies their standard deviations: 1 is the paper's, and
0 takes means.

An image is encoded once, and its latents are drawn once: the top m - 1 are the same for m. Latent l
takes the same noise from the prior as from the posterior, for every m, that of
:func:`mrvae.evaluation.evaluate`, so that the errors of neighbouring points of the curve are
correlated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mrvae.data import Images, normal
from mrvae.evaluation.memory import Progress, batches_within
from mrvae.evaluation.quality.similarity import Similarity, fitting
from mrvae.evaluation.statistics import standard_error
from mrvae.models import HVAE
from mrvae.models.finite import check_finite
from mrvae.models.hierarchy.walk import from_posterior, from_prior, given


@dataclass(frozen=True)
class Partial:
    """How the latents of a partial reconstruction are drawn.

    Args:
        posterior: temperature of the top m latents; 0 for means.
        prior: temperature of the others; 0 for means.
        seed: of the noise.

    Raises:
        ValueError: if a temperature is negative or no number.

    Source: Kuzina & Tomczak 2023, equation 8.

    Example:
        >>> Partial(prior=0.0)
        Partial(posterior=1.0, prior=0.0, seed=0)
    """

    posterior: float = 1.0
    prior: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("posterior", "prior"):
            value = getattr(self, name)
            if not (value >= 0 and math.isfinite(value)):
                raise ValueError(f"the {name}'s temperature is {value}; give a number ≥ 0")

    @torch.no_grad()
    def images(
        self, model: HVAE, x: Tensor, indices: Sequence[int], keep: Sequence[int]
    ) -> Iterator[Tensor]:
        """Yield reconstructions of x from its top m latents, m in ``keep``: (B, C, H, W) on [0, 1].

        ``indices`` are those of x in its set, and determine its noise.

        Raises:
            ValueError: if an m is not in 1 … L, x is not a batch of the model's images, or a value
                is not finite.

        Example:
            >>> import mrvae
            >>> model = mrvae.build(mrvae.recipe("digits-vdvae"))
            >>> x = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
            >>> [tuple(y.shape) for y in Partial().images(model, x, range(2), [1, 3])]
            [(2, 1, 8, 8), (2, 1, 8, 8)]
        """
        model.frame.check(x)
        weight = next(model.parameters())
        noise = normal(self.seed, 0, indices, model.noise_size, weight.device, weight.dtype)
        observed = model.observe(x.to(weight.device))
        drawn = model.trace(observed, from_posterior(self.posterior), noise)
        without_features = observed._replace(features=())
        for m in keep:
            kept = model.check_keep(m) - len(observed.context)
            known = [given(step.z) for step in drawn.steps[:kept]]
            choices = [*known, *[from_prior(self.prior)] * (len(drawn.steps) - kept)]
            mean = model.trace(without_features, choices, noise).likelihood.mean()
            check_finite(mean)
            # A mean may leave the range of the bins by a rounding error.
            yield (mean / (model.frame.bins - 1)).clamp(0, 1)


@dataclass(frozen=True, eq=False)
class PartialReport:
    """Similarity of N images to their partial reconstructions, m = 1 … L.

    Attributes:
        values: by the measure's name, float64 on the CPU, shape (L, N).

    Example:
        >>> report = PartialReport({"psnr": torch.tensor([[9.0, 11.0], [20.0, 20.0]])})
        >>> report.curve("psnr")
        ([10.0, 20.0], [1.0, 0.0])
    """

    values: dict[str, Tensor]

    def curve(self, name: str) -> tuple[list[float], list[float]]:
        """Return means over the images for every m, and their standard errors (0 for one image)."""
        values = self.values[name]
        return values.mean(dim=1).tolist(), [standard_error(row) or 0.0 for row in values]

    def summary(self) -> dict[str, dict[str, list[float]]]:
        """Return the curves by name, as ``mean`` and ``se``."""
        curves = {name: self.curve(name) for name in self.values}
        return {name: {"mean": mean, "se": se} for name, (mean, se) in curves.items()}


def partial_report(
    model: HVAE,
    images: Images,
    partial: Partial,
    *,
    measures: Sequence[Similarity] | None = None,
    memory: int = 1 << 30,
    progress: Progress | None = None,
) -> PartialReport:
    """Measure partial reconstructions for every m, over all images.

    Args:
        model: the model.
        images: of its shape and number of bins.
        partial: how latents are drawn.
        measures: of similarity; by default those of :func:`fitting` for this size.
        memory: bytes that activations may take, about.
        progress: called with the number of images just measured.

    Raises:
        ValueError: if memory is not positive, the images are not the model's, or a measure is not
            defined for images so small.

    Source: Kuzina & Tomczak 2023, section 5.3.1 and figure 4.

    Example:
        >>> import mrvae
        >>> from mrvae.data import load
        >>> from mrvae.evaluation import PSNR
        >>> images = load("digits", "validation").subset(torch.arange(3))
        >>> model = mrvae.build(mrvae.recipe("digits-vdvae"))
        >>> report = partial_report(model, images, Partial(), measures=[PSNR()])
        >>> report.values["psnr"].shape == (model.stochastic_depth, 3)
        True
    """
    chosen = fitting(min(images.shape[1:])) if measures is None else measures
    keep = range(1, model.stochastic_depth + 1)
    values: dict[str, list[Tensor]] = {measure.name: [] for measure in chosen}
    for indices, x in batches_within(memory, model, images, progress):
        reconstructions = list(partial.images(model, x, indices, keep))
        for measure in chosen:
            values[measure.name].append(_rows(measure, x, reconstructions, model.frame.bins))
    return PartialReport({name: torch.cat(parts, dim=1) for name, parts in values.items()})


def _rows(measure: Similarity, x: Tensor, reconstructions: Sequence[Tensor], bins: int) -> Tensor:
    """Return the similarity of x to each of its reconstructions, (L, B)."""
    true = x.to(reconstructions[0].device, reconstructions[0].dtype) / (bins - 1)
    return torch.stack([measure(true, y).cpu().double() for y in reconstructions])
