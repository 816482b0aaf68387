r"""Attacks on the latents: how far a small change of the image moves the top posteriors.

For an image u on [0, 1] an attacker looks for ũ = u + ε, with |ε| ≤ r at every pixel and ũ on
[0, 1], that maximises the symmetric divergence of the posteriors of the top m latents
(Kuzina et al. 2022; Kuzina & Tomczak 2023, appendix H),

    f(ũ) = Σ_{l ≤ m} ½ KL(q̃_l ‖ q_l) + ½ KL(q_l ‖ q̃_l),
    q_l = q(z_l | μ_<l, u),    q̃_l = q(z_l | μ̃_<l, ũ),

each image with the means of its own posteriors above, as it is encoded without noise: f draws
nothing. The result is the similarity (MS-SSIM) of the two reconstructions from the top m latents,
those below being the prior's means (equation 8). It is high for a robust model.

A context is one of the m. It is a deterministic function of the image, so that its divergence is 0
or infinite, and it is constant but for jumps, so that it has no gradient. In its place f has

    ‖t(ũ) - t(u)‖²,    t = the places of the coefficients on the grid, in spacings,

before rounding. The decoder is conditioned on the rounded ones, with the gradient of t
(straight-through). Neither the paper nor a released code describes an attack on a context; this is
ours. Divergences are reported of the stochastic latents only, and of the context the number of
codes that have changed.

Images are what the model sees, so that binary pixels may become grey by r. The released code clamps
ũ to the range of each image; the range here is that of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mrvae.data import Images, normal
from mrvae.distributions import Gaussian
from mrvae.evaluation.memory import Progress, rows_within
from mrvae.evaluation.quality.similarity import usual
from mrvae.evaluation.robustness.ascent import Ascent
from mrvae.evaluation.robustness.box import Box, check_radius
from mrvae.evaluation.statistics import standard_error
from mrvae.models import HVAE
from mrvae.models.elbo import sum_per_image

# The graph of a gradient keeps tensors that a forward pass without one frees.
_GRAPH = 4


@dataclass(frozen=True, eq=False)
class AttackReport:
    """Results of K attacks on each of N images; all tensors are (N, K), float64, on the CPU.

    Attributes:
        objective: f, the context's part included.
        nats: symmetric divergence of the stochastic latents among the top m.
        moved: number of the context's codes that changed, if it is among the top m.
        similarity: of the reconstructions of u and of ũ, by the model's ``usual`` measure.
        input_similarity: of u and ũ.
        distance: max |ũ - u|.
        images: ũ in pixel values 0 … bins-1, (N, K, C, H, W), in the type of the weights.
    """

    objective: Tensor
    nats: Tensor
    moved: Tensor
    similarity: Tensor
    input_similarity: Tensor
    distance: Tensor
    images: Tensor

    @property
    def strongest(self) -> Tensor:
        """The attack of each image that has the largest objective, int64 (N,)."""
        return self.objective.argmax(dim=1)

    def worst(self, values: Tensor) -> Tensor:
        """Return values (N, K, …) of each image's strongest attack, (N, …)."""
        return values[torch.arange(len(values)), self.strongest]

    def summary(self) -> dict[str, int | float | None]:
        """Return means over images and attacks, as published, and over the strongest ones only.

        Standard errors are over images, of each image's mean over its attacks.
        """
        nats, similarity = self.nats.mean(dim=1), self.similarity.mean(dim=1)
        return {
            "images": len(self.nats),
            "restarts": self.nats.shape[1],
            "symmetric_kl": float(nats.mean()),
            "symmetric_kl_se": standard_error(nats),
            "symmetric_kl_worst": float(self.worst(self.nats).mean()),
            "context_moved": float(self.moved.mean()),
            "objective": float(self.objective.mean()),
            "similarity": float(similarity.mean()),
            "similarity_se": standard_error(similarity),
            "similarity_worst": float(self.worst(self.similarity).mean()),
            "similarity_inputs": float(self.input_similarity.mean()),
            "largest_change": float(self.distance.max()),
        }


def attack(
    model: HVAE,
    images: Images,
    ascent: Ascent,
    *,
    radius: float,
    keep: int | None = None,
    restarts: int = 5,
    seed: int = 0,
    memory: int = 1 << 30,
    progress: Progress | None = None,
) -> AttackReport:
    """Attack the top ``keep`` latents of every image, from several starts.

    The start of attack k on image i is a function of (seed, k, i); images and attacks go through
    the model together, as many as fit into ``memory`` bytes, about.

    Args:
        model: in evaluation mode.
        images: of its shape and number of bins.
        ascent: how to climb.
        radius: r, on [0, 1].
        keep: m, a context counted; all latents by default.
        restarts: K.
        seed: of the starts.
        memory: bytes that activations may take.
        progress: called with the number of gradients just computed, one for each attack and step.

    Raises:
        ValueError: if the radius is not in 0 … 1, there are not as many latents, restarts or
            memory is not positive, or the images are not the model's.

    Example:
        >>> import mrvae
        >>> from mrvae.data import load
        >>> from mrvae.evaluation.robustness.ascent import SignGradient
        >>> images = load("digits", "test").subset(torch.arange(2))
        >>> model = mrvae.load("digits-vdvae")
        >>> report = attack(model, images, SignGradient(steps=2), radius=0.1, keep=1, restarts=3)
        >>> report.nats.shape, bool((report.distance <= 0.1).all())
        (torch.Size([2, 3]), True)
    """
    check_radius(radius)
    if restarts < 1:
        raise ValueError(f"restarts is {restarts}; at least one is needed")
    once = _Attack(model, images, ascent, radius, model.check_keep(keep), restarts, seed, progress)
    together = max(rows_within(memory, model) // _GRAPH, 1)
    rows = torch.arange(len(images) * restarts)
    chunks = [once.chunk(part) for part in torch.split(rows, together)]
    flat = (torch.cat(parts) for parts in zip(*chunks, strict=True))
    return AttackReport(*(values.view(-1, restarts, *values.shape[1:]) for values in flat))


class Reading(NamedTuple):
    """The top latents of a batch of images, and their posteriors.

    Attributes:
        latents: a context's codes and the posterior means, coarse to fine; no gradient.
        places: a context's places on its grid before rounding; one tensor or none.
        posteriors: of the stochastic latents, given the means above.
    """

    latents: tuple[Tensor, ...]
    places: tuple[Tensor, ...]
    posteriors: tuple[Gaussian, ...]


def read(model: HVAE, u: Tensor, keep: int) -> Reading:
    """Return the top ``keep`` latents of images on [0, 1], differentiable in the images.

    Args:
        model: the model.
        u: real numbers (B, C, H, W), in the type of the weights.
        keep: how many, a context counted.

    Raises:
        ValueError: if the images have another shape or leave [0, 1].

    Example:
        >>> import mrvae
        >>> model = mrvae.build(mrvae.recipe("digits-vdvae"))
        >>> [tuple(q.mean.shape) for q in read(model, torch.zeros(1, 1, 8, 8), 2).posteriors]
        [(1, 4, 1, 1), (1, 4, 4, 4)]
    """
    x = u * (model.frame.bins - 1)
    model.frame.check_real(x)
    codes, places = model.context.place(x)
    context = tuple(straight_through(c, t) for c, t in zip(codes, places, strict=True))
    depth = keep - len(codes)
    steps = model.posterior_means(model.observe(x, context), depth) if depth else ()
    latents = (*codes, *(step.z.detach() for step in steps))
    return Reading(latents, places, tuple(s.posterior for s in steps if s.posterior is not None))


def reconstruction(model: HVAE, latents: Sequence[Tensor]) -> Tensor:
    """Return the mean images on [0, 1] that top latents give, the prior's means below.

    Raises:
        ValueError: if a latent has not the shape of its layer, or none is given.
    """
    return model.likelihood(latents).mean() / (model.frame.bins - 1)


def straight_through(codes: Tensor, places: Tensor) -> Tensor:
    """Return the codes as real numbers, with the gradient of the places.

    Example:
        >>> t = torch.tensor([0.4, 1.4], requires_grad=True)
        >>> (3 * straight_through(t.round().long(), t)).sum().backward()
        >>> t.grad
        tensor([3., 3.])
    """
    return codes.to(places.dtype) + (places - places.detach())


def symmetric_kl(a: Reading, b: Reading) -> Tensor:
    """Return Σ_l ½ KL(a_l ‖ b_l) + ½ KL(b_l ‖ a_l) of the stochastic latents, (B,)."""
    total = torch.zeros(len(a.latents[0]), device=a.latents[0].device)
    for q, p in zip(a.posteriors, b.posteriors, strict=True):
        total = total + sum_per_image(q.kl(p) + p.kl(q)) / 2
    return total


def context_distance(a: Reading, b: Reading) -> Tensor:
    """Return the squared distance of the contexts' places in spacings, (B,); 0 without one."""
    total = torch.zeros(len(a.latents[0]), device=a.latents[0].device)
    for t, s in zip(a.places, b.places, strict=True):
        total = total + sum_per_image((t - s).square())
    return total


@dataclass(frozen=True)
class _Attack:
    """A set of attacks, made a few at a time."""

    model: HVAE
    images: Images
    ascent: Ascent
    radius: float
    keep: int
    restarts: int
    seed: int
    progress: Progress | None

    def chunk(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Return the fields of :class:`AttackReport` for attacks i·K + k, flat."""
        u = self._images(rows)
        with torch.no_grad():
            before = read(self.model, u, self.keep)

        def objective(moved: Tensor) -> Tensor:
            now = read(self.model, moved, self.keep)
            if self.progress is not None:
                self.progress(len(moved))
            return symmetric_kl(now, before) + context_distance(now, before)

        box = Box.around(u, self.radius)
        end = self.ascent.climb(objective, box.start(u, self._noise(rows, u)), box)
        return self._measure(u, before, end)

    @torch.no_grad()
    def _measure(self, u: Tensor, before: Reading, end: Tensor) -> tuple[Tensor, ...]:
        after = read(self.model, end, self.keep)
        nats = symmetric_kl(after, before)
        pictures = [reconstruction(self.model, r.latents) for r in (after, before)]
        measure = usual(self.model.frame.size)
        numbers = (
            nats + context_distance(after, before),
            nats,
            _moved(self.model, after, before),
            measure(*pictures),
            measure(end, u),
            (end.double() - u.double()).abs().flatten(1).amax(1),
        )
        attacked = end * (self.model.frame.bins - 1)
        return (*(number.cpu().double() for number in numbers), attacked.cpu())

    def _images(self, rows: Tensor) -> Tensor:
        """Return the image of each attack, on [0, 1]."""
        weight = next(self.model.parameters())
        x = self.images.take(rows // self.restarts)
        self.model.frame.check(x)
        return x.to(weight.device, weight.dtype) / (self.model.frame.bins - 1)

    def _noise(self, rows: Tensor, like: Tensor) -> Tensor:
        """Return the noise of each attack, by its image and its number."""
        pairs = [divmod(row, self.restarts) for row in rows.tolist()]
        count = self.model.frame.dims
        noise = [normal(self.seed, k, [i], count, like.device, like.dtype) for i, k in pairs]
        return torch.cat(noise).view_as(like)


def _moved(model: HVAE, a: Reading, b: Reading) -> Tensor:
    """Return how many codes of the context differ, (B,)."""
    total = torch.zeros(len(a.latents[0]), device=a.latents[0].device)
    for c, d in zip(a.latents[: len(a.places)], b.latents, strict=False):
        total = total + (c != d).flatten(1).sum(1)
    return total
