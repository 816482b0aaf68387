"""A model before its first step: priors of variance one, and a state that no depth blows up."""

from __future__ import annotations

import pytest
import torch
from model_tools import COLOUR, GREY, LIKELIHOODS, images, make, noise, posterior_trace
from torch import Tensor

from helpers.narrow import gaussian
from mrvae.distributions import Gaussian
from mrvae.models import HVAE, Encoder
from mrvae.models.hierarchy.walk import from_prior
from mrvae.recipes.schema import Likelihood, SoftplusScaleSpec


@pytest.mark.parametrize("scale", [None, SoftplusScaleSpec()])
def test_every_prior_begins_as_a_standard_normal_and_adds_nothing(
    scale: SoftplusScaleSpec | None,
) -> None:
    model = make(GREY, scale=scale, seed=None)
    x, given = images(model, 2), noise(model, 2)
    standard = Gaussian(torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    for step in posterior_trace(model, x, given).steps:
        assert gaussian(step.prior).kl(standard).abs().max() < 1e-12
    for stage in model.stages:
        h = torch.randn(2, 8, stage.shapes[0][1], stage.shapes[0][1], dtype=torch.float64)
        for cell in stage.visits:
            assert torch.equal(cell.prior(h)[1], h)


def state_variance(depth: int) -> float:
    """Return the variance of the last state of samples from new models of one level."""
    found = []
    for seed in range(4):
        torch.manual_seed(seed)
        model = make(encoder="4x1", decoder=f"4x{depth}", width=[32], latent=[8], seed=None, size=4)
        with torch.no_grad():
            drawn = noise(model, 16, seed=seed)
            h = model.trace(model.condition(()), from_prior(), drawn).state
        found.append(float(h.var()))
    return sum(found) / len(found)


def test_the_initial_state_has_a_variance_that_does_not_depend_on_depth() -> None:
    variances = [state_variance(depth) for depth in (2, 8, 32)]
    assert max(variances) / min(variances) < 1.35
    assert min(variances) > 0.1


@pytest.mark.parametrize("repeat", [1, 4])
def test_residual_terms_shrink_with_the_root_of_their_number(repeat: int) -> None:
    """Encoder blocks too, a shared one counted as often as it is applied."""

    def spread(count: int) -> float:
        torch.manual_seed(0)
        encoder = make(encoder=f"4x{count}r{repeat}", decoder="4x1", size=4, seed=None).encoder
        assert isinstance(encoder, Encoder)
        weights = [p for name, p in encoder.named_parameters() if name.endswith("leave.weight")]
        return float(torch.cat([w.detach().flatten() for w in weights]).std())

    fan = 4  # inner width; PyTorch draws from ±1/√fan
    for count in (2, 8, 32):
        assert spread(count) == pytest.approx((3 * fan * count * repeat) ** -0.5, rel=0.15)


@pytest.mark.parametrize(
    ("likelihood", "repeats"), list(zip(LIKELIHOODS, ("", "r3", "r3"), strict=True))
)
def test_every_parameter_receives_a_gradient(likelihood: Likelihood, repeats: str) -> None:
    model = make(
        likelihood, encoder=f"8x2{repeats},8d2,4d4,1x1", decoder=f"1x1,4m1,8m4,8x2{repeats}"
    )
    x = images(model, 3)
    model.elbo(x, noise(model, 3)).nats.mean().backward()  # type: ignore[no-untyped-call]
    missing = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert missing == []


def padded() -> tuple[HVAE, Tensor]:
    model = make(COLOUR, size=6)
    x = images(model, 3)
    return model, x


def test_every_parameter_receives_a_gradient_where_the_image_is_padded() -> None:
    model, x = padded()
    model.elbo(x, noise(model, 3)).nats.mean().backward()  # type: ignore[no-untyped-call]
    missing = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert missing == []


def test_the_image_is_padded_with_black_and_scored_on_its_own_pixels() -> None:
    """Padding by hand gives the same features, and padded states do not enter the score."""
    model, x = padded()
    full = make(COLOUR, size=8)
    black = torch.nn.functional.pad(x, (1, 1, 1, 1))
    for ours, theirs in zip(model.features(x), full.features(black), strict=True):
        assert torch.equal(ours, theirs)
    h = torch.randn(3, 8, 8, 8, dtype=torch.float64)
    inside = torch.zeros(8, 8, dtype=torch.float64)
    inside[1:7, 1:7] = 1
    assert torch.equal(model.head(h).log_prob(x), model.head(h * inside).log_prob(x))
    assert model.head(h).mean().shape == x.shape
    frame = model.frame
    assert torch.equal(frame.crop(black), x)
    odd = make(GREY, size=5).frame
    y = torch.arange(25, dtype=torch.uint8).view(1, 1, 5, 5)
    assert torch.equal(odd.crop(odd.prepare(y, torch.float64)) * odd.std + odd.mean, y.double())
