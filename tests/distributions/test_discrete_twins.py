"""Bernoulli and categorical pixels against scipy and torch's own losses."""

from __future__ import annotations

import torch
from scipy import stats
from torch.nn import functional

from mrvae.distributions import Bernoulli, Categorical


def test_bernoulli_is_scipys() -> None:
    g = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(3, 2, 4, 4, generator=g, dtype=torch.float64)
    x = torch.randint(0, 2, logits.shape, generator=g, dtype=torch.uint8)
    masses = torch.as_tensor(stats.bernoulli.logpmf(x.numpy(), torch.sigmoid(logits).numpy()))
    torch.testing.assert_close(Bernoulli(logits).log_prob(x), masses.sum(dim=(1, 2, 3)))


def test_categorical_is_cross_entropy_with_bins_next_to_each_other() -> None:
    g = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(3, 2, 4, 4, 17, generator=g, dtype=torch.float64)
    x = torch.randint(0, 17, (3, 2, 4, 4), generator=g, dtype=torch.uint8)
    losses = functional.cross_entropy(logits.movedim(-1, 1), x.long(), reduction="none")
    parameters = logits.movedim(-1, 2).reshape(3, 34, 4, 4)
    actual = Categorical(parameters, 2, 17).log_prob(x)
    torch.testing.assert_close(actual, -losses.sum(dim=(1, 2, 3)), rtol=1e-12, atol=1e-12)
