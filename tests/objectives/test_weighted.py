"""What the loss makes of KL: closed forms, and where its gradient is zero."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mrvae.objectives import weighted_kl

SIZES = (4, 16, 1)


def some_kl() -> Tensor:
    stream = torch.Generator().manual_seed(0)
    return 3 * torch.rand(50, 3, generator=stream, dtype=torch.float64)


def test_with_nothing_asked_it_is_kl_bit_for_bit() -> None:
    """Also where rounding has made a KL negative."""
    kl = torch.cat([some_kl(), torch.tensor([[-1e-9, 0.0, 1e-9]], dtype=torch.float64)])
    assert torch.equal(weighted_kl(kl), kl)


@pytest.mark.parametrize("free", [0.5, 2.0, 9.0])
def test_no_layer_costs_less_than_its_free_nats_and_below_them_no_gradient_flows(
    free: float,
) -> None:
    kl = some_kl().requires_grad_()
    costs = weighted_kl(kl, free=free)
    assert bool((costs >= free).all())
    (gradient,) = torch.autograd.grad(costs.sum(), kl)
    below = kl < free
    assert bool(below.any())
    assert torch.equal(gradient, (~below).double())
    assert torch.equal(costs[~below], kl[~below])
    # Kingma et al. take the maximum of the mean over the batch, which lies below ours.
    assert bool((costs.mean(0) >= kl.mean(0).clamp(min=free)).all())


@pytest.mark.parametrize("beta", [0.0, 0.25, 1.0])
def test_beta_weighs_the_cost_and_its_gradient(beta: float) -> None:
    kl = some_kl().requires_grad_()
    costs = weighted_kl(kl, beta=beta)
    assert torch.equal(costs, beta * kl)
    (gradient,) = torch.autograd.grad(costs.sum(), kl)
    assert torch.equal(gradient, torch.full_like(kl, beta))


def test_balancing_follows_the_nats_of_each_value_and_keeps_the_mean_weight() -> None:
    kl = some_kl().requires_grad_()
    costs = weighted_kl(kl, sizes=SIZES)
    rates = kl.detach() / torch.tensor(SIZES)
    expected = 3 * rates / rates.sum(1, keepdim=True)
    (gradient,) = torch.autograd.grad(costs.sum(), kl)
    # The weights are constants to the gradient, so it is the weights themselves.
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(gradient.mean(1), torch.ones(50).double(), rtol=1e-12, atol=0)
    torch.testing.assert_close(costs.detach(), gradient * kl.detach(), rtol=1e-12, atol=0)
    silent = torch.zeros(2, 3, dtype=torch.float64)
    assert torch.equal(weighted_kl(silent, sizes=SIZES), silent)


def test_an_image_costs_the_same_in_any_batch() -> None:
    kl = some_kl()
    whole = weighted_kl(kl, beta=0.3, free=1.0, sizes=SIZES)
    parts = [weighted_kl(part, beta=0.3, free=1.0, sizes=SIZES) for part in torch.split(kl, 7)]
    assert torch.equal(torch.cat(parts), whole)


def test_sizes_of_other_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="2 sizes for 3 layers; give one for each"):
        weighted_kl(some_kl(), sizes=(1, 2))
