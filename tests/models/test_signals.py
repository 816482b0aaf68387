"""What is special about a model of 1 × T samples: its kernels and its padding."""

from __future__ import annotations

import math

import torch
from torch import nn

import mrvae
from mrvae.models import HVAE, ImageFrame, parse_levels
from mrvae.models.build import build, hierarchy
from mrvae.recipes.schema import LogisticMixturePixels

T, PADDED = 60, 64


def padded() -> HVAE:
    """Return a model of 60 samples on a ladder of 64, with random weights."""
    torch.manual_seed(1)
    levels = parse_levels("64x1,64d8,8x1", "8x1,64m8", [8], [2], image=(1, T))
    frame = ImageFrame(1, (1, T), (1, PADDED), 127.5, 64.0, 256)
    likelihood = LogisticMixturePixels(bins=256, components=2)
    model = hierarchy(levels, frame, likelihood, bottleneck=0.5).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def test_as_many_places_of_the_state_are_scored_as_there_are_samples() -> None:
    model = padded()
    stream = torch.Generator().manual_seed(2)
    x = torch.randint(256, (1, 1, 1, T), generator=stream, dtype=torch.uint8)
    h = torch.randn(1, 8, 1, PADDED, generator=stream, dtype=torch.float64)
    with torch.no_grad():
        before = model.pixels(h).log_prob(x)
        scored = 0
        for place in range(PADDED):
            changed = h.clone()
            changed[..., place] += 1.0
            scored += int(not torch.equal(model.pixels(changed).log_prob(x), before))
        pmf = model.pixels(h).pmf(x)
    assert scored == T
    assert pmf.shape == (1, 1, 1, T, 256)
    assert torch.allclose(pmf.sum(-1), torch.ones(()).double())
    chosen = pmf.gather(-1, x.long()[..., None]).log().sum()
    assert math.isclose(float(before), float(chosen), rel_tol=1e-9)


def test_no_weight_of_a_signal_lies_across_time() -> None:
    for name in ("ecg-vdvae", "fsdd-vdvae"):
        model = build(mrvae.recipe(name))
        kernels = [m.kernel_size for m in model.modules() if isinstance(m, nn.Conv2d)]
        assert {height for height, _ in kernels} == {1}
        assert max(width for _, width in kernels) == 3
