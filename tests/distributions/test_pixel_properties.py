"""Properties of a distribution of images, checked for all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from helpers.members import for_all
from helpers.pmf import (
    check_causal,
    check_chain_rule,
    check_mean,
    check_normalised,
    check_samples,
    check_total,
)
from mrvae.distributions import (
    Bernoulli,
    Categorical,
    DiscretizedLogisticMixture,
    PixelDistribution,
)


@dataclass(frozen=True)
class Member:
    """A likelihood and the images it is of."""

    name: str
    channels: int
    bins: int
    parameters: int
    build: Callable[[Tensor], PixelDistribution]
    bits_back: bool = False

    def random_parameters(self, *sides: int, batch: int = 2, seed: int = 0) -> Tensor:
        g = torch.Generator().manual_seed(seed)
        shape = (batch, self.parameters, *sides)
        return torch.randn(shape, generator=g, dtype=torch.float64) * 1.5 - 0.4

    def random_image(self, *sides: int, batch: int = 2, seed: int = 1) -> Tensor:
        g = torch.Generator().manual_seed(seed)
        shape = (batch, self.channels, *sides)
        return torch.randint(0, self.bins, shape, generator=g, dtype=torch.uint8)


def mixture(channels: int, bins: int, autoregressive: bool) -> Member:
    return Member(
        f"mixture-{channels}-{bins}-{'bits_back' if autoregressive else 'free'}",
        channels,
        bins,
        DiscretizedLogisticMixture.parameter_channels(channels, 3, autoregressive),
        lambda p: DiscretizedLogisticMixture(p, channels, bins, autoregressive),
        bits_back=autoregressive and channels > 1,
    )


def bernoulli(channels: int) -> Member:
    parameters = Bernoulli.parameter_channels(channels)
    return Member(f"bernoulli-{channels}", channels, 2, parameters, Bernoulli)


def categorical(channels: int, levels: int) -> Member:
    return Member(
        f"categorical-{channels}-{levels}",
        channels,
        levels,
        Categorical.parameter_channels(channels, levels),
        lambda p: Categorical(p, channels, levels),
    )


MEMBERS = [
    bernoulli(1),
    bernoulli(3),
    categorical(1, 17),
    categorical(2, 5),
    mixture(1, 256, True),
    mixture(1, 17, False),
    mixture(2, 4, True),
    mixture(2, 4, False),
    mixture(3, 2, True),
    mixture(3, 256, True),
    mixture(3, 32, False),
    mixture(4, 17, True),
]
every_member = for_all("member", MEMBERS)
small_member = for_all("member", [m for m in MEMBERS if m.bins**m.channels <= 256])


@every_member
def test_probabilities_sum_to_one(member: Member) -> None:
    p = member.build(member.random_parameters(3, 5))
    pmf = p.pmf(member.random_image(3, 5))
    assert pmf.shape == (2, member.channels, 3, 5, member.bins)
    check_normalised(pmf)


@for_all("dtype", [torch.float32, torch.float64])
@every_member
def test_probabilities_sum_to_one_at_extreme_parameters(member: Member, dtype: torch.dtype) -> None:
    """Logits, means and log-scales up to 10⁸ either way, with scales of 10^±8 among them."""
    values = torch.tensor([0.0, 1.0, -1.0, 18.4, -18.4, 300.0, -300.0, 1e8, -1e8], dtype=dtype)
    g = torch.Generator().manual_seed(4)
    choice = torch.randint(len(values), (16, member.parameters, 4, 4), generator=g)
    pmf = member.build(values[choice]).pmf(member.random_image(4, 4, batch=16))
    # The sum itself is taken with all digits.
    check_normalised(pmf.double(), tolerance=1e-6)


@every_member
def test_conditionals_multiply_to_the_joint(member: Member) -> None:
    check_chain_rule(member.build(member.random_parameters(3, 5)), member.random_image(3, 5))


@every_member
def test_a_channel_depends_on_earlier_channels_only(member: Member) -> None:
    p = member.build(member.random_parameters(2, 3).float())
    check_causal(p, member.random_image(2, 3), member.random_image(2, 3, seed=9))


@every_member
def test_mean_is_that_of_the_pmf(member: Member) -> None:
    """In a chain, of the conditional pmf with the earlier channels at their rounded means."""
    p = member.build(member.random_parameters(3, 5))
    mean = p.mean()
    check_mean(mean, p.pmf(mean.round().to(torch.uint8) if member.bits_back else None))


@small_member
def test_samples_follow_the_pmf(member: Member) -> None:
    parameters = member.random_parameters(1, 1, batch=1, seed=3)
    probabilities = check_total(member.build(parameters), member.channels, member.bins)
    many = member.build(parameters.expand(1, -1, 100, 200).contiguous())
    samples = many.sample(torch.Generator().manual_seed(5))
    assert samples.dtype == torch.uint8
    check_samples(probabilities, samples, member.bins)


@every_member
def test_the_same_generator_draws_the_same_image(member: Member) -> None:
    p = member.build(member.random_parameters(4, 4))
    draws = [p.sample(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@every_member
def test_gradients_are_exact(member: Member) -> None:
    parameters = member.random_parameters(1, 2).requires_grad_()
    x = member.random_image(1, 2)
    assert torch.autograd.gradcheck(lambda p: member.build(p).log_prob(x), parameters)


@every_member
def test_images_of_a_batch_are_independent(member: Member) -> None:
    parameters, x = member.random_parameters(3, 3, batch=4), member.random_image(3, 3, batch=4)
    together = member.build(parameters).log_prob(x)
    alone = [member.build(parameters[i : i + 1]).log_prob(x[i : i + 1]) for i in range(4)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-12, atol=1e-12)


@every_member
def test_half_precision_is_widened(member: Member) -> None:
    narrow = member.random_parameters(3, 3).bfloat16()
    x = member.random_image(3, 3)
    log_prob = member.build(narrow).log_prob(x)
    assert log_prob.dtype == torch.float32
    assert torch.equal(log_prob, member.build(narrow.float()).log_prob(x))
    assert member.build(narrow.double()).log_prob(x).dtype == torch.float64


@every_member
def test_the_memory_format_of_parameters_is_of_no_consequence(member: Member) -> None:
    parameters, x = member.random_parameters(4, 4), member.random_image(4, 4)
    last = parameters.to(memory_format=torch.channels_last)
    torch.testing.assert_close(member.build(parameters).log_prob(x), member.build(last).log_prob(x))
    torch.testing.assert_close(member.build(parameters).pmf(x), member.build(last).pmf(x))


@for_all("member", [bernoulli(3), categorical(2, 5), mixture(2, 4, False), mixture(4, 17, True)])
def test_log_prob_compiles_to_one_graph(member: Member) -> None:
    torch.compiler.reset()
    compiled = torch.compile(
        lambda p, x: member.build(p).log_prob(x), fullgraph=True, backend="eager"
    )
    parameters, x = member.random_parameters(2, 2), member.random_image(2, 2)
    torch.testing.assert_close(compiled(parameters, x), member.build(parameters).log_prob(x))


@every_member
def test_log_prob_is_finite_at_extreme_parameters(member: Member) -> None:
    g = torch.Generator().manual_seed(2)
    values = torch.tensor([0.0, 1.0, -7.0, 10.0, -10.0, 95.0, 300.0, -300.0, 1e4, -1e4])
    choice = torch.randint(len(values), (64, member.parameters, 4, 4), generator=g)
    parameters = values[choice].requires_grad_()
    ends = torch.tensor([0, member.bins - 1], dtype=torch.uint8).repeat(32).view(64, 1, 1, 1)
    for x in (ends.expand(64, member.channels, 4, 4), member.random_image(4, 4, batch=64)):
        log_prob = member.build(parameters).log_prob(x)
        (gradient,) = torch.autograd.grad(log_prob.sum(), parameters)
        assert torch.isfinite(log_prob).all()
        assert torch.isfinite(gradient).all()
    samples = member.build(values[choice]).sample(g)
    assert samples.max().item() < member.bins


@every_member
def test_what_is_no_image_is_refused(member: Member) -> None:
    p, x = member.build(member.random_parameters(3, 3)), member.random_image(3, 3)
    with pytest.raises(ValueError, match=r"float32.*uint8"):
        p.log_prob(x.float())
    with pytest.raises(ValueError, match=r"shape \(1, "):
        p.log_prob(x[:1])


@every_member
def test_a_sample_does_not_depend_on_how_the_parameters_lie_in_memory(member: Member) -> None:
    parameters = member.random_parameters(4, 4)
    rearranged = parameters.contiguous(memory_format=torch.channels_last)
    draws = [
        member.build(each).sample(torch.Generator().manual_seed(0))
        for each in (parameters, rearranged)
    ]
    assert torch.equal(*draws)
