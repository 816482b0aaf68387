"""A hierarchy of three scalar latents that is linear and Gaussian throughout, as a real HVAE.

With u the image, standardised and flattened, and all values float64,

    p(z) : A z = a + s ε,    p(u | z) = N(W z + b, σ²),    q(z | u) : L z = Q u + c + r ε,

A and L unit lower triangular, so that log p(u), the posterior and every bound have closed forms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, kl_divergence

from mrvae.data import Images
from mrvae.distributions import Gaussian
from mrvae.models import HVAE, Decoder, ImageFrame, Level
from mrvae.models.hierarchy.walk import Cell, Shape

LATENTS = 3
FRAME = ImageFrame(channels=1, size=2, network_size=2, mean=128.0, std=32.0)


@dataclass(frozen=True)
class Conditionals:
    """z = inside z + outside u + offset + scale ε, with ``inside`` strictly lower triangular."""

    inside: Tensor
    outside: Tensor
    offset: Tensor
    scale: Tensor

    def joint(self, u: Tensor) -> MultivariateNormal:
        """Return the distribution of z (3,) given u (B, 4)."""
        solve = torch.linalg.inv(torch.eye(LATENTS, dtype=torch.float64) - self.inside)
        mean = (u @ self.outside.T + self.offset) @ solve.T
        return MultivariateNormal(mean, solve @ torch.diag(self.scale**2) @ solve.T)


@dataclass(frozen=True)
class Problem:
    """A prior, a likelihood and a posterior."""

    prior: Conditionals
    loading: Tensor
    offset: Tensor
    noise: float
    posterior: Conditionals

    def log_evidence(self, x: Tensor) -> Tensor:
        """Return log p(x) of uint8 images."""
        u = standardised(x)
        z = self.prior.joint(torch.zeros(1, FRAME.dims, dtype=torch.float64))
        noise = torch.eye(FRAME.dims, dtype=torch.float64) * self.noise**2
        covariance = self.loading @ z.covariance_matrix[0] @ self.loading.T + noise
        mean: Tensor = z.mean @ self.loading.T + self.offset
        distance: Tensor = torch.linalg.solve(covariance, (u - mean).T).T
        volume: Tensor = torch.logdet(2 * math.pi * covariance)
        return -0.5 * (((u - mean) * distance).sum(dim=1) + volume)

    def elbo(self, x: Tensor) -> Tensor:
        """Return the exact ELBO of uint8 images, log p(x) - KL(q(z|x) ‖ p(z|x))."""
        u = standardised(x)
        true = replace(self, posterior=self.true_posterior()).posterior.joint(u)
        return self.log_evidence(x) - kl_divergence(self.posterior.joint(u), true)

    def true_posterior(self) -> Conditionals:
        """Return p(z | u), conditional by conditional."""
        a = torch.eye(LATENTS, dtype=torch.float64) - self.prior.inside
        weight = torch.diag(self.prior.scale**-2)
        precision = a.T @ weight @ a + self.loading.T @ self.loading / self.noise**2
        information = a.T @ weight @ self.prior.offset
        information = information - self.loading.T @ self.offset / self.noise**2
        # precision = Lᵀ D L with L unit lower triangular: L z has independent components.
        flipped = torch.linalg.cholesky(precision.flip(0, 1)).flip(0, 1)
        root = flipped.diagonal()
        lower = (flipped / root).T
        solve = torch.diag(root**-2) @ torch.linalg.inv(lower.T)
        return Conditionals(
            torch.eye(LATENTS, dtype=torch.float64) - lower,
            solve @ self.loading.T / self.noise**2,
            solve @ information,
            1 / root,
        )

    def model(self) -> HVAE:
        """Build the hierarchy, one stage for each latent."""
        cells = [ScalarCell(self.prior, self.posterior, index) for index in range(LATENTS)]
        decoder = Decoder([ScalarStage(cell) for cell in cells])
        return HVAE(Flatten(), decoder, GaussianHead(self.loading, self.offset, self.noise), FRAME)


def problem(seed: int = 0) -> Problem:
    """Make up a prior and a likelihood, with the true posterior."""
    stream = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=stream, dtype=torch.float64)

    inside = draw(LATENTS, LATENTS).tril(-1)
    outside = torch.zeros(LATENTS, FRAME.dims, dtype=torch.float64)
    prior = Conditionals(inside, outside, draw(LATENTS), draw(LATENTS).exp())
    started = Problem(prior, draw(FRAME.dims, LATENTS), draw(FRAME.dims), 0.7, prior)
    return replace(started, posterior=started.true_posterior())


def crude(exact: Problem, width: float = 1.4, shift: float = 0.3) -> Problem:
    """Return the problem with a posterior that is too wide, off, and blind to the latents above."""
    q = exact.posterior
    posterior = Conditionals(0.8 * q.inside, q.outside, q.offset + shift, width * q.scale)
    return replace(exact, posterior=posterior)


def standardised(x: Tensor) -> Tensor:
    """Return what the network sees of uint8 images, (B, 4)."""
    return FRAME.prepare(x, torch.float64).flatten(start_dim=1)


def pictures(count: int, seed: int = 0) -> Images:
    """Draw ``count`` random images."""
    stream = torch.Generator().manual_seed(seed)
    shape = (count, *FRAME.shape)
    pixels = torch.randint(64, 192, shape, generator=stream, dtype=torch.uint8)
    return Images(pixels, "noise", "test")


class Flatten(nn.Module):
    """The encoder: every stage has the whole image. It counts the images."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        self.seen += len(x)
        return (x.reshape(len(x), FRAME.dims, 1, 1),) * LATENTS


class ScalarCell(nn.Module):
    """One latent; the state is all latents above it, (B, l, 1, 1)."""

    def __init__(self, p: Conditionals, q: Conditionals, index: int) -> None:
        super().__init__()
        self.index = index
        self.prior_weight = nn.Parameter(p.inside[index, :index])
        self.prior_offset = nn.Parameter(p.offset[index])
        self.prior_log_scale = nn.Parameter(p.scale[index].log())
        self.weight = nn.Parameter(torch.cat([q.inside[index, :index], q.outside[index]]))
        self.offset = nn.Parameter(q.offset[index])
        self.log_scale = nn.Parameter(q.scale[index].log())

    def prior(self, h: Tensor) -> tuple[Gaussian, Tensor]:
        mean = (h * self.prior_weight[:, None, None]).sum(1, keepdim=True) + self.prior_offset
        return Gaussian(mean, self.prior_log_scale.expand_as(mean)), h

    def posterior(self, h: Tensor, features: Tensor) -> Gaussian:
        both = torch.cat([h, features], dim=1)
        mean = (both * self.weight[:, None, None]).sum(1, keepdim=True) + self.offset
        return Gaussian(mean, self.log_scale.expand_as(mean))

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        return torch.cat([h, z], dim=1)


class ScalarStage(nn.Module):
    """A stage of one cell."""

    def __init__(self, cell: ScalarCell) -> None:
        super().__init__()
        self.cell = cell
        self.level = Level(size=1, width=1, latent=1, blocks=0, cells=1)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return ((1, 1, 1),)

    @property
    def visits(self) -> Sequence[Cell]:
        return (self.cell,)

    def enter(self, h: Tensor | None, batch: int) -> Tensor:
        return self.cell.offset.new_zeros(batch, 0, 1, 1) if h is None else h


class GaussianHead(nn.Module):
    """p(u | z) as a density of the standardised pixels."""

    def __init__(self, loading: Tensor, offset: Tensor, noise: float) -> None:
        super().__init__()
        self.loading = nn.Parameter(loading)
        self.offset = nn.Parameter(offset)
        self.noise = noise

    def forward(self, h: Tensor) -> GaussianPixels:
        return GaussianPixels(h.flatten(start_dim=1) @ self.loading.T + self.offset, self.noise)


@dataclass(frozen=True)
class GaussianPixels:
    """Independent Gaussians; only what a bound asks of a likelihood."""

    center: Tensor
    scale: float

    def log_prob(self, x: Tensor) -> Tensor:
        standard = (standardised(x) - self.center) / self.scale
        constant = FRAME.dims * math.log(2 * math.pi * self.scale**2)
        return -0.5 * (standard.square().sum(dim=1) + constant)
