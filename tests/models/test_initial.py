"""A model before its first step: priors of variance one, and a state that no depth blows up."""

from __future__ import annotations

import pytest
import torch
from model_tools import BINARY, COLOUR, GREY, LIKELIHOODS, images, make, noise, posterior_trace
from torch import Tensor

from helpers.narrow import gaussian
from mrvae.distributions import Gaussian
from mrvae.models import HVAE, Encoder, ImageFrame, parse_levels
from mrvae.models.build import hierarchy
from mrvae.models.heads.pixels import CategoricalFamily, Head
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


def test_binary_pixels_begin_at_the_mean_of_the_recipe() -> None:
    for mean in (0.13, 0.5):
        frame = ImageFrame(1, 8, 8, mean, 0.3, 2)
        model = hierarchy(parse_levels("8x1,8d2,4x1", "4x1,8m4", [8], [2]), frame, BINARY)
        bias = model.head.get_parameter("leave.bias")
        assert bias.sigmoid().item() == pytest.approx(mean, abs=1e-6)


def test_space_to_depth_is_an_order_of_the_pixels() -> None:
    """Pixels come back where they were, and a place has the parameters of its own ones."""
    generator = torch.Generator().manual_seed(0)
    for channels, size, n in ((1, 8, 2), (3, 7, 2), (2, 6, 4)):
        frame = ImageFrame(channels, size, 8, 8.0, 8.0, 17, space_to_depth=n)
        x = torch.randint(17, (2, channels, size, size), generator=generator, dtype=torch.uint8)
        seen = frame.prepare(x, torch.float64)
        assert seen.shape == (2, frame.inputs, 8 // n, 8 // n)
        assert torch.equal(frame.assemble(frame.crop_state(seen)) * 8 + 8, x.double())
        head = Head(5, frame, CategoricalFamily(channels, 17)).double()
        h = torch.randn(2, 5, 8 // n, 8 // n, generator=generator, dtype=torch.float64)
        changed = h.clone()
        changed[:, :, -1, -1] += 1
        moved = (head(changed).mean() - head(h).mean()).abs().sum(dim=(0, 1)) > 0
        own = torch.zeros(8, 8, dtype=torch.bool)
        own[-n:, -n:] = True
        assert torch.equal(moved, frame.crop(own[None, None])[0, 0])


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
