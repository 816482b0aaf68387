r"""Posterior collapse, unit by unit (Kuzina & Tomczak 2023, section 3.1).

A *unit* is one scalar of a latent. Over the images x and draws of the latents above it, a unit
carries (Eq. 3)

    kl_u = E_x E_{q(z_<l | x)} KL(q(z_u | z_<l, x) ‖ p(z_u | z_<l)),

in closed form given z_<l (under a prior without one, its estimate at the drawn z), and is *active*
if (Eq. 4 and 5, with δ = 0.01)

    A_u = Var_x m_u(x) > δ,   m_u(x) = E_{q(z_<l | x)} μ_u(z_<l, x),

μ_u the mean of q(z_u | z_<l, x). The sum of kl_u over all units is the KL of the bound. Coarse
latents have the smaller indices here; in the paper, the larger ones.

**The noise of the parents.** m_u(x) is estimated by the mean of S draws, μ̄(x) = (1/S) Σ_s μ_s(x),
and the variance of that over N images is too large: with v(x) the variance of μ_u over the parents
of one image,

    E[(1/N) Σ_i (μ̄_i - mean of μ̄)²] = A_u + (1 - 1/N)·(1/S)·(1/N) Σ_i v(x_i).

A unit that does not depend on the image, but copies a parent of variance 1, so has 1/S in the place
of 0, and counts as active for every S < 100. From S = 2 on, v(x) has the unbiased estimate s²(x),
the variance of the S draws with S - 1, and

    Â_u = (1/N) Σ_i (μ̄_i - mean of μ̄)² - (1 - 1/N)·(1/S)·(1/N) Σ_i s²_i

is an unbiased estimate of A_u: the analysis of variance of N groups of S. It may be negative. With
S = 1 there is nothing to subtract; that is the published estimator, which moreover takes the
variance within single batches.

Unbiased is not exact: of a unit with A_u = 0 and parents' noise v, Â_u is spread by about v·√(2/(N
S (S-1))), and with few images or draws some idle units pass the threshold. So besides those with
Â_u > δ are counted those that are so by two standard errors (:mod:`mrvae.evaluation.statistics`),
and :func:`mrvae.evaluation.latent_units` counts without any draws.

**A context's units** have no parents and no posterior but a point: A_u is the variance of their
values on [-1, 1]. Their prior is of all of them together, so that they have nats as a layer, but
no kl_u of their own. Every total can be had with the context and without.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mrvae.data import Images, normal
from mrvae.evaluation.latents.unit_sums import RunningMoments, UnitBatch, VarianceSums
from mrvae.evaluation.memory import Progress, batches_within
from mrvae.evaluation.statistics import GROUPS, jackknife_error, standard_error
from mrvae.models import HVAE
from mrvae.models.finite import check_finite
from mrvae.models.hierarchy.walk import Shape, Step, from_posterior

THRESHOLD = 0.01


@dataclass(frozen=True)
class UnitTotal:
    """Units of one or more neighbouring layers.

    Attributes:
        units: their number.
        active: how many have Â_u > 0.01.
        active_se: standard error of that count over images; None for one image.
        surely_active: how many have Â_u > 0.01 by two standard errors of Â_u.
        nats: KL of these layers per image.
        nats_se: its standard error over images; None for one image.

    Example:
        >>> UnitTotal(4, 1, active_se=0.5, surely_active=1, nats=2.0, nats_se=0.1).nats_per_unit
        0.5
    """

    units: int
    active: int
    active_se: float | None
    surely_active: int
    nats: float
    nats_se: float | None

    @property
    def share(self) -> float:
        """Part of the units that is active (Eq. 5)."""
        return self.active / self.units

    @property
    def nats_per_unit(self) -> float:
        """KL per image and unit: the mean of kl_u."""
        return self.nats / self.units

    def summary(self) -> dict[str, int | float | None]:
        """Return all numbers by name."""
        se = None if self.nats_se is None else self.nats_se / self.units
        return {
            "latent_units": self.units,
            "active_units": self.active,
            "active_units_se": self.active_se,
            "surely_active_units": self.surely_active,
            "active_share": self.share,
            "nats": self.nats,
            "nats_se": self.nats_se,
            "nats_per_unit": self.nats_per_unit,
            "nats_per_unit_se": se,
        }


@dataclass(frozen=True, eq=False)
class UnitReport:
    """Statistics of every unit of a model over N images; float64 on the CPU.

    Attributes:
        shapes: of every stochastic layer, a context first, then coarse to fine.
        contexts: how many of these are a context's: 0 or 1.
        draws: S.
        nats: KL of every layer, the mean over draws, shape (N, layers).
        kl: kl_u in nats of every unit that a cell draws, shape (units without the context's,).
        kl_se: its standard error over images; not a number for one image.
        variance: Â_u of every unit, the context's first, shape (units,).
        variance_se: its standard error over images; not a number for one image.
        left: active units of every layer without each group of images, shape (groups, layers).
    """

    shapes: tuple[Shape, ...]
    contexts: int
    draws: int
    nats: Tensor
    kl: Tensor
    kl_se: Tensor
    variance: Tensor
    variance_se: Tensor
    left: Tensor

    @property
    def whole(self) -> UnitTotal:
        """Total over all layers, the context among them."""
        return self._over(range(len(self.shapes)))

    @property
    def without_context(self) -> UnitTotal:
        """Total over the layers that a cell draws."""
        return self._over(range(self.contexts, len(self.shapes)))

    @property
    def layers(self) -> tuple[UnitTotal, ...]:
        """Every layer by itself."""
        return tuple(self._over(range(layer, layer + 1)) for layer in range(len(self.shapes)))

    def quantiles(self, parts: Sequence[float]) -> list[float]:
        """Return the values of kl_u below which these parts of the units lie."""
        return torch.quantile(self.kl, torch.tensor(parts, dtype=self.kl.dtype)).tolist()

    def share_below(self, nats: float) -> float:
        """Return the part of the units whose kl_u is below ``nats``: the empirical CDF."""
        return float((self.kl < nats).double().mean())

    def summary(self) -> dict[str, object]:
        """Return totals, layers and the CDF's quantiles."""
        parts = [part / 20 for part in range(21)]
        layers = self.layers
        return {
            "draws": self.draws,
            "kl": [layer.nats for layer in layers],
            "kl_se": [layer.nats_se for layer in layers],
            "active": [layer.active for layer in layers],
            "units": [layer.units for layer in layers],
            **self.whole.summary(),
            "without_context": self.without_context.summary(),
            "kl_per_unit_cdf": {"level": parts, "nats": self.quantiles(parts)},
        }

    def _over(self, layers: range) -> UnitTotal:
        counts = [math.prod(shape) for shape in self.shapes]
        start, count = sum(counts[: layers.start]), sum(counts[layers.start : layers.stop])
        variance = self.variance[start : start + count]
        surely = variance - 2 * self.variance_se[start : start + count]
        part = slice(layers.start, layers.stop)
        nats = self.nats[:, part].sum(dim=1)
        error = float(jackknife_error(self.left[:, part].sum(dim=1)))
        return UnitTotal(
            units=count,
            active=int((variance > THRESHOLD).sum()),
            active_se=None if math.isnan(error) else error,
            surely_active=int((surely > THRESHOLD).sum()),
            nats=float(nats.mean()),
            nats_se=standard_error(nats),
        )


@torch.no_grad()
def unit_report(
    model: HVAE,
    images: Images,
    *,
    draws: int = 1,
    seed: int = 0,
    memory: int = 1 << 30,
    progress: Progress | None = None,
) -> UnitReport:
    """Measure kl_u and A_u of every unit over all images, with ``draws`` draws of the parents.

    The noise of draw s is a function of (seed, s, image); that of draw 0 is the noise of
    :func:`mrvae.evaluation.layer_nats`, whose numbers are the sums of kl_u over a layer for one
    draw. ``memory`` bounds the activations, in bytes, about; the sums behind the standard errors
    take some 200 numbers a unit besides, however many images there are. ``progress`` is called with
    the number of images just measured.

    Raises:
        ValueError: if draws or memory is not positive, the images are not the model's, the model
            has only a context, or a number that it computes is not finite.

    Source: Kuzina & Tomczak 2023, equations 3 to 5.

    Example:
        >>> import mrvae
        >>> from mrvae.data import load
        >>> images = load("digits", "validation").subset(torch.arange(3))
        >>> model = mrvae.build(mrvae.recipe("digits-vdvae"))
        >>> report = unit_report(model, images, draws=2)
        >>> total = float(report.kl.sum())
        >>> abs(total - report.whole.nats) < 1e-9 * total
        True
    """
    if draws < 1:
        raise ValueError(f"draws is {draws}; the parents of a unit need at least 1")
    if not model.latent_shapes:
        raise ValueError("no cell of this model draws a latent; give one whose posterior is learnt")
    measure = _UnitMeasurement(model, draws, seed)
    units = sum(math.prod(shape) for shape in model.shapes)
    sums = VarianceSums(units, min(GROUPS, len(images)), draws)
    # Half the rows: each also has a few numbers in double precision for each unit.
    nats, kl = [], RunningMoments()
    for indices, x in batches_within(memory, model, images, progress, share=2):
        batch = measure.batch(x, indices)
        nats.append(batch.nats)
        kl.add(batch.kl)
        check_finite(batch.nats, batch.mean)
        sums.add(indices, batch)
    left = sums.left()
    return UnitReport(
        shapes=model.shapes,
        contexts=len(model.context.shapes),
        draws=draws,
        nats=torch.cat(nats),
        kl=kl.mean,
        kl_se=kl.error,
        variance=sums.variance(),
        variance_se=jackknife_error(left),
        left=_by_layer(left > THRESHOLD, model.shapes),
    )


@dataclass(frozen=True)
class _UnitMeasurement:
    """All draws of a few images at a time, each encoded once."""

    model: HVAE
    draws: int
    seed: int

    def batch(self, x: Tensor, indices: range) -> UnitBatch:
        """Return the statistics of the units over the draws for images x."""
        model = self.model
        weight = next(model.parameters())
        model.frame.check(x)
        x = x.to(weight.device)
        observed = model.observe(x)
        context: list[Tensor] = []
        kl, mean = RunningMoments(), RunningMoments()
        for draw in range(self.draws):
            noise = normal(self.seed, draw, indices, model.noise_size, weight.device, weight.dtype)
            steps = model.trace(observed, from_posterior(), noise).steps
            context.append(model.context.nats(observed.context, noise, None).cpu().double())
            kl.add(_kl(steps)[None])
            mean.add(_means(steps)[None])
        values = _flat([*model.context.values(observed.context), x.new_zeros(len(x), 0)])
        nats = torch.cat([torch.stack(context).mean(dim=0), _layers(kl.mean, model)], dim=1)
        within = torch.zeros_like(mean.mean) if self.draws < 2 else mean.variance
        return UnitBatch(
            nats,
            kl.mean,
            torch.cat([values, mean.mean], dim=1),
            torch.cat([torch.zeros_like(values), within], dim=1),
        )


def _kl(steps: Sequence[Step]) -> Tensor:
    """Return KL(q ‖ p) of every unit, or its estimate, (B, units)."""
    return _flat([s.prior.kl_from(s.posterior, s.z) for s in steps if s.posterior is not None])


def _means(steps: Sequence[Step]) -> Tensor:
    """Return the posterior's mean of every unit, (B, units)."""
    return _flat([s.posterior.mean for s in steps if s.posterior is not None])


def _flat(parts: Sequence[Tensor]) -> Tensor:
    """Return (B, units) in double precision on the CPU."""
    return torch.cat([part.flatten(start_dim=1).cpu().double() for part in parts], dim=1)


def _layers(kl: Tensor, model: HVAE) -> Tensor:
    """Sum (B, units) over the units of each layer that a cell draws: (B, layers)."""
    return _by_layer(kl, model.latent_shapes)


def _by_layer(values: Tensor, shapes: Sequence[Shape]) -> Tensor:
    parts = torch.split(values.double(), [math.prod(shape) for shape in shapes], dim=1)
    return torch.stack([part.sum(dim=1) for part in parts], dim=1)
