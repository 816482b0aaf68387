"""The loss and the importance-weighted bound, as functions of a bound's terms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mrvae.models import Elbo
from mrvae.objectives import importance_bound, training_loss


def log_weights(samples: int, batch: int, seed: int = 0) -> Tensor:
    stream = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(samples, batch, generator=stream, dtype=torch.float64) - 90


def test_one_sample_is_the_weight_itself() -> None:
    weights = log_weights(1, 5)
    assert torch.equal(importance_bound(weights), weights[0])


def test_equal_weights_are_their_own_bound() -> None:
    weights = log_weights(1, 5).expand(7, 5)
    torch.testing.assert_close(importance_bound(weights), weights[0], rtol=1e-14, atol=0)


def test_it_is_the_logarithm_of_the_mean_weight() -> None:
    weights = log_weights(50, 4)
    expected = [math.log(sum(math.exp(w) for w in column) / 50) for column in weights.T.tolist()]
    assert importance_bound(weights).tolist() == pytest.approx(expected, rel=1e-14)


def test_it_lies_between_the_mean_and_the_largest_weight() -> None:
    weights = log_weights(50, 4)
    bound = importance_bound(weights)
    assert bool((weights.mean(0) < bound).all())
    assert bool((bound < weights.max(0).values).all())


def test_it_knows_neither_order_nor_scale() -> None:
    weights = log_weights(50, 4)
    bound = importance_bound(weights)
    torch.testing.assert_close(importance_bound(weights.flip(0)), bound)
    torch.testing.assert_close(importance_bound(weights + 5), bound + 5)
    torch.testing.assert_close(importance_bound(weights.repeat(3, 1)), bound)


def test_no_weight_is_too_small_or_too_large() -> None:
    for shift in (-1e6, 1e6):
        weights = torch.zeros(3, 2) + shift
        assert importance_bound(weights).tolist() == [shift, shift]
    half = torch.tensor([[0.0], [-math.inf]], dtype=torch.float64)
    assert importance_bound(half).item() == pytest.approx(-math.log(2))


def test_it_grows_with_the_number_of_samples_in_expectation() -> None:
    """Log-normal weights: E w = exp(σ²/2), which the bound approaches from below."""
    weights = 1.5 * torch.randn(
        64, 4000, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    means = [float(importance_bound(weights[:k]).mean()) for k in (1, 2, 4, 16, 64)]
    assert means == sorted(means)
    assert abs(means[0]) < 0.1
    assert 1.0 < means[-1] < 1.125


@pytest.mark.parametrize("shape", [(), (3,), (0, 2), (2, 3, 4)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(K, B\)"):
        importance_bound(torch.zeros(shape))


def elbo() -> Elbo:
    stream = torch.Generator().manual_seed(0)
    kl = torch.rand(6, 3, generator=stream, dtype=torch.float64)
    return Elbo(-100 * torch.rand(6, generator=stream, dtype=torch.float64), kl)


def test_the_loss_is_the_mean_over_images_per_dimension() -> None:
    terms = elbo()
    by_hand = [
        -ll + sum(kl)
        for ll, kl in zip(terms.log_likelihood.tolist(), terms.kl.tolist(), strict=True)
    ]
    assert training_loss(terms, dims=64).item() == pytest.approx(sum(by_hand) / 6 / 64, rel=1e-12)
    assert torch.equal(terms.value, -terms.nats)


def test_the_loss_of_a_batch_is_the_mean_of_its_parts() -> None:
    terms = elbo()
    parts = [Elbo(terms.log_likelihood[k : k + 2], terms.kl[k : k + 2]) for k in (0, 2, 4)]
    mean = sum(training_loss(part, 8).item() for part in parts) / 3
    assert training_loss(terms, 8).item() == pytest.approx(mean, rel=1e-12)
