"""The flow among the bands of a level: its inverse, its determinant and its density."""

from __future__ import annotations

import math

import torch
from model_tools import posterior_trace
from msgspec.structs import replace
from torch import Tensor
from torch.autograd.functional import jacobian
from wavelet_tools import SMALL, pictures, small, stirred, stream

from mrvae.data import Images
from mrvae.distributions import Gaussian
from mrvae.evaluation import band_report
from mrvae.models.build import make_wavelet_vae
from mrvae.models.wavelet.couplings import CoupledDistribution, CouplingFlow, CouplingPrior
from mrvae.recipes import wavelet as spec

FLOW = replace(SMALL, prior=spec.Couplings(steps=4, width=8, blocks=1))


def flow(steps: int = 4) -> CouplingFlow:
    """A flow over two channels whose parameters are all far from their first values."""
    torch.manual_seed(0)
    scale = torch.full((6, 1, 1), 0.3).log()
    result = CouplingFlow(2, steps, width=8, blocks=1, kernel=3, log_scale=scale).double()
    with torch.no_grad():
        for parameter in result.parameters():
            noise = torch.randn(parameter.shape, generator=stream(1), dtype=torch.float64)
            parameter.add_(noise, alpha=0.3)
    return result


def approximations(count: int, seed: int = 2) -> Tensor:
    return torch.rand(count, 2, 2, 2, generator=stream(seed), dtype=torch.float64)


def drawn(count: int, seed: int = 3) -> Tensor:
    return torch.randn(count, 6, 2, 2, generator=stream(seed), dtype=torch.float64)


def test_the_inverse_returns_the_noise_of_details() -> None:
    transform, conditioning, noise = flow(), approximations(3), drawn(3)
    with torch.no_grad():
        details = transform(noise, conditioning)
        back, _ = transform.inverse(details, conditioning)
    torch.testing.assert_close(back, noise, rtol=1e-12, atol=1e-12)
    # And it is no mere scale: every band was moved.
    plain = noise * transform.log_scale.detach().exp()
    moved = torch.unflatten(details - plain, 1, (2, 3)).abs().amax(dim=(0, 1, 3, 4))
    assert (moved > 1e-2).all()


def test_its_density_is_that_of_the_noise_over_autograds_determinant() -> None:
    prior, h, noise = CouplingPrior(flow(), depth=1), approximations(1), drawn(1)
    distribution = prior(h)
    assert isinstance(distribution, CoupledDistribution)

    def forward(flat: Tensor) -> Tensor:
        return distribution.sample(flat.view(1, 6, 2, 2)).flatten()

    matrix = jacobian(forward, noise.flatten())  # type: ignore[no-untyped-call]
    assert isinstance(matrix, Tensor)
    _, determinant = torch.linalg.slogdet(matrix)
    expected = -0.5 * (noise.square() + math.log(2 * math.pi)).sum() - determinant
    log_prob = distribution.log_prob(distribution.sample(noise)).sum()
    torch.testing.assert_close(log_prob, expected, rtol=1e-12, atol=1e-12)
    # Bands depend on one another, so that the matrix is not diagonal.
    assert (matrix - matrix.diagonal().diag()).abs().max() > 1e-2


def test_it_depends_on_the_approximation() -> None:
    prior, z = CouplingPrior(flow(), depth=1), drawn(2)
    first, second = (prior(approximations(2, seed)).log_prob(z) for seed in (4, 5))
    assert (first - second).abs().max() > 1e-3


def test_it_begins_as_a_gaussian() -> None:
    scale = torch.linspace(-1, 1, 6, dtype=torch.float64).view(6, 1, 1)
    initial = CouplingFlow(2, 3, width=8, blocks=1, kernel=1, log_scale=scale).double()
    distribution, z = CouplingPrior(initial, depth=2)(approximations(2)), drawn(2)
    expected = Gaussian(torch.zeros_like(scale), scale).log_prob(z)
    torch.testing.assert_close(distribution.log_prob(z), expected)
    torch.testing.assert_close(distribution.sample(z, 0.5), 0.5 * z * scale.exp())


def test_the_divergence_in_the_bound_is_the_ratio_at_the_draw() -> None:
    model, x = small(FLOW), pictures(3)
    noise = model.noise(3, stream())
    with torch.no_grad():
        kl, steps = model.elbo(x, noise).kl, posterior_trace(model, x, noise).steps
    assert [step.prior.exact_kl for step in steps] == [True, False, False]
    for column, step in zip(kl.T[1:], steps[1:], strict=True):
        assert step.posterior is not None
        ratio = step.posterior.log_prob(step.z) - step.prior.log_prob(step.z)
        torch.testing.assert_close(column, ratio.flatten(1).sum(1))


def test_every_coupling_learns_from_the_bound() -> None:
    model = stirred(make_wavelet_vae(FLOW), size=0.05)
    torch.autograd.backward(model.elbo(pictures(2), model.noise(2, stream())).nats.sum())
    flows = [m for m in model.modules() if isinstance(m, CouplingFlow)]
    assert len(flows) == 2
    slopes = [p.grad for each in flows for p in each.parameters()]
    assert all(slope is not None and slope.abs().max() > 0 for slope in slopes)


def test_bands_of_a_flow_have_no_scale() -> None:
    images = Images(pictures(4), "made up", "test", bins=17)
    bands = band_report(small(FLOW), images).bands
    assert [band.prior_scale is None for band in bands] == [False] + [True] * 6
    assert all(band.noise > 0 for band in bands)
