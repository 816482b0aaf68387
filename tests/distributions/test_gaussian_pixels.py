"""Rounded Gaussians as the pixels of an image."""

from __future__ import annotations

import pytest
import torch

from helpers.members import for_all
from mrvae.distributions import GaussianPixels


def pixels(levels: int) -> GaussianPixels:
    stream = torch.Generator().manual_seed(levels)
    mean = torch.rand(2, 3, 2, 2, generator=stream, dtype=torch.float64) * 3 - 1.5
    log_scale = torch.tensor([-3.0, -1.0, 1.0], dtype=torch.float64)[:, None, None]
    return GaussianPixels(mean, log_scale, levels)


@for_all("levels", [2, 17, 256])
def test_masses_sum_to_one_and_are_what_is_scored(levels: int) -> None:
    law = pixels(levels)
    pmf = law.pmf()
    torch.testing.assert_close(pmf.sum(-1), torch.ones_like(pmf[..., 0]), rtol=0, atol=1e-12)
    x = torch.randint(0, levels, (2, 3, 2, 2), generator=torch.Generator().manual_seed(1)).byte()
    picked = pmf.gather(-1, x.long().unsqueeze(-1)).log().sum(dim=(1, 2, 3, 4))
    torch.testing.assert_close(law.log_prob(x), picked, rtol=1e-10, atol=1e-10)
    mean = (pmf * torch.arange(levels)).sum(-1)
    torch.testing.assert_close(law.mean(), mean, rtol=1e-12, atol=1e-12)


def test_draws_have_the_masses() -> None:
    mean = torch.full((40_000, 1, 1, 1), 0.3, dtype=torch.float64)
    law = GaussianPixels(mean, torch.tensor(-0.5, dtype=torch.float64), 3)
    counts = law.sample(torch.Generator().manual_seed(0)).flatten().long().bincount(minlength=3)
    assert ((counts / 40_000 - law.pmf()[0, 0, 0, 0]).abs() < 0.012).all()


def test_only_images_of_its_shape_are_scored() -> None:
    with pytest.raises(ValueError, match=r"expected torch\.uint8"):
        pixels(3).log_prob(torch.zeros(2, 3, 2, 2))
