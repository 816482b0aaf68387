"""Explicit priors of contexts: probabilities that sum to one, and samples that have them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from mrvae.distributions import Grid, MidRise, MidTread
from mrvae.layers import UNet
from mrvae.models.context.priors.autoregressive import AutoregressivePrior, raster, zigzag
from mrvae.models.context.priors.base import (
    ContextPrior,
    ExplicitPrior,
    FixedLattice,
)
from mrvae.models.context.priors.diffusion import DiffusionPrior, PredictStart
from mrvae.models.context.priors.factorised import FactorisedPrior
from mrvae.models.context.priors.schedule import LinearSchedule
from mrvae.models.context.transforms import DCTContext

ALIKE = FixedLattice((1, 2, 2), MidRise(2).grid(torch.ones(())))
# Of 5, 3, 3 and 1 levels, as coefficients of falling magnitude have.
RAGGED = FixedLattice((1, 2, 2), MidTread(1.0).grid(torch.tensor([[[2.0, 1.2], [0.9, 0.1]]])))
COLOUR = FixedLattice((2, 1, 2), Grid.unit(3))
LATTICES = {"ragged": RAGGED, "colour": COLOUR}


def normal_prior(lattice: FixedLattice) -> FactorisedPrior:
    prior = FactorisedPrior(lattice).double()
    g = torch.Generator().manual_seed(0)
    nn.init.normal_(prior.mean, std=0.5, generator=g)
    nn.init.normal_(prior.log_scale, std=0.5, generator=g)
    return prior


def autoregressive_prior(lattice: FixedLattice) -> AutoregressivePrior:
    order = zigzag(lattice.shape)
    prior = AutoregressivePrior(lattice, order, hidden=16, components=3).double()
    g = torch.Generator().manual_seed(1)
    for weight in prior.parameters():
        nn.init.normal_(weight, std=0.7, generator=g)
    return prior


Make = Callable[[FixedLattice], ExplicitPrior]
every_prior = pytest.mark.parametrize("make", [normal_prior, autoregressive_prior])
every_lattice = pytest.mark.parametrize("lattice", LATTICES.values(), ids=LATTICES.keys())


def states(lattice: FixedLattice) -> Tensor:
    """Return every state of a lattice, (number of states, C, h, w)."""
    last = lattice.grid.last(torch.zeros(())).expand(lattice.shape).flatten()
    every = itertools.product(*[range(int(top) + 1) for top in last])
    return torch.tensor(list(every)).view(-1, *lattice.shape)


@every_lattice
@every_prior
def test_probabilities_of_all_states_sum_to_one(make: Make, lattice: FixedLattice) -> None:
    total = make(lattice).log_pmf(states(lattice)).exp().sum()
    assert total.item() == pytest.approx(1, abs=1e-12)


@every_lattice
@every_prior
def test_samples_have_the_probabilities(make: Make, lattice: FixedLattice) -> None:
    prior, every = make(lattice), states(lattice)
    c = prior.sample(20_000, torch.Generator().manual_seed(2))
    lattice.grid.check(c)
    observed = (c.flatten(1)[:, None] == every.flatten(1)).all(2).sum(0)
    with torch.no_grad():
        expected = prior.log_pmf(every).exp() * 20_000
    rare = expected < 5
    merged = [torch.cat((t[~rare], t[rare].sum().view(1))) for t in (observed.double(), expected)]
    kept = merged[1] > 0
    assert stats.chisquare(merged[0][kept].numpy(), merged[1][kept].numpy()).pvalue > 1e-3


def test_independent_levels_are_scipys_gaussians_between_the_edges() -> None:
    prior = normal_prior(ALIKE)
    mean, scale = prior.mean.detach().numpy(), prior.log_scale.exp().detach().numpy()
    edges = [-math.inf, -0.5, 0.0, 0.5, math.inf]
    masses = torch.as_tensor(np.diff([stats.norm.cdf(e, mean, scale) for e in edges], axis=0))
    every = states(ALIKE)
    each = masses.gather(0, every)
    torch.testing.assert_close(prior.log_pmf(every), each.log().sum(dim=(1, 2, 3)))


@every_prior
def test_an_explicit_prior_is_its_own_bound(make: Make) -> None:
    prior: ContextPrior = make(ALIKE)
    c = states(ALIKE)[:7]
    expected = make(ALIKE).log_pmf(c)
    assert torch.equal(prior.bound(c, torch.zeros(7, prior.draws, *ALIKE.shape)), expected)
    one = torch.ones(7, dtype=torch.int64)
    assert torch.equal(prior.estimate(c, one, torch.zeros(7, *ALIKE.shape)), expected)


@pytest.mark.parametrize("order", [raster((2, 2, 3)), zigzag((2, 2, 3))], ids=["raster", "zigzag"])
def test_a_level_depends_on_all_before_it_and_on_nothing_else(order: tuple[int, ...]) -> None:
    lattice = FixedLattice((2, 2, 3), Grid.unit(5))
    prior = AutoregressivePrior(lattice, order, hidden=64, components=2).double()
    g = torch.Generator().manual_seed(0)
    c = torch.randint(0, 5, (1, 2, 2, 3), generator=g)
    base = prior.conditionals(c)[1].mean.flatten(2)
    for i, place in enumerate(order):
        moved = c.clone()
        moved.view(1, -1)[0, place] = (moved.view(1, -1)[0, place] + 2) % 5
        changed = (prior.conditionals(moved)[1].mean.flatten(2) != base).any(1)[0]
        assert not changed[list(order[: i + 1])].any()
        assert changed[list(order[i + 1 :])].all()


def test_the_diagonals_are_those_of_jpeg() -> None:
    """ITU-T T.81, figure A.6."""
    expected = [0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48]
    expected += [41, 34, 27, 20, 13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22]
    expected += [15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55]
    assert list(zigzag((1, 8, 8))) == [*expected, 62, 63]


def test_what_depends_is_learnt_by_the_one_that_can() -> None:
    """Two levels that are always equal: log 2 nats, of which independent ones need 2 log 2."""
    lattice = FixedLattice((1, 1, 2), Grid.unit(2))
    c = torch.tensor([[0, 0], [1, 1]]).view(2, 1, 1, 2)
    torch.manual_seed(0)
    results = []
    for prior in (
        FactorisedPrior(lattice),
        AutoregressivePrior(lattice, raster(lattice.shape), hidden=8, components=2),
    ):
        optimiser = torch.optim.Adam(prior.parameters(), lr=0.1)
        for _ in range(100):
            optimiser.zero_grad()
            loss = -prior.log_pmf(c).mean()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        results.append(loss.item() / math.log(2))
    assert results == pytest.approx([2, 1], abs=0.02)


@every_prior
def test_every_weight_learns(make: Make) -> None:
    prior = make(ALIKE)
    prior.log_pmf(states(ALIKE)[::5]).sum().backward()  # type: ignore[no-untyped-call]
    for name, weight in prior.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 0, name


def test_priors_stand_on_contexts() -> None:
    """The grid is the context's own, so a mid-tread one may be fitted after the prior is built."""
    context = DCTContext((1, 8, 8), 4, MidTread(1.0))
    priors = FactorisedPrior(context), AutoregressivePrior(context, zigzag(context.shape), 16, 2)
    g = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (50, 1, 8, 8), generator=g, dtype=torch.uint8)
    context.fit(x)
    for prior in priors:
        assert torch.isfinite(prior.log_pmf(context.encode(x))).all()
        context.grid.check(prior.sample(10, g))


@pytest.mark.slow
def test_context_and_priors_compile_to_one_graph() -> None:
    context = DCTContext((1, 8, 8), 4, MidTread(1.0))
    g = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (5, 1, 8, 8), generator=g, dtype=torch.uint8)
    context.fit(x)
    unet = UNet(4, channels=1, outputs=2, width=8, scales=1, blocks=1, groups=4)
    priors: tuple[ContextPrior, ...] = (
        FactorisedPrior(context),
        AutoregressivePrior(context, zigzag(context.shape), 16, 2),
        DiffusionPrior(context, unet, LinearSchedule.scaled(3), PredictStart()),
    )
    for prior in priors:
        noise = torch.randn(5, prior.draws, *context.shape, generator=g)
        torch.compiler.reset()
        compiled = torch.compile(
            lambda x, noise, prior=prior: prior.bound(context.encode(x), noise),
            fullgraph=True,
            backend="eager",
        )
        expected = prior.bound(context.encode(x), noise)
        torch.testing.assert_close(compiled(x, noise), expected)


def test_what_cannot_be_is_refused() -> None:
    for order in ((0, 1, 2), (0, 1, 2, 2), (1, 2, 3, 4)):
        with pytest.raises(ValueError, match="order is"):
            AutoregressivePrior(ALIKE, order, hidden=4, components=2)
    with pytest.raises(ValueError, match="hidden is 0"):
        AutoregressivePrior(ALIKE, (0, 1, 2, 3), hidden=0, components=2)
    for make in (normal_prior, autoregressive_prior):
        with pytest.raises(ValueError, match="n is 0"):
            make(ALIKE).sample(0)
