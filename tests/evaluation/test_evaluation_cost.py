"""What a model costs is what PyTorch's own counter says."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import mrvae
from mrvae.evaluation import describe


@pytest.mark.parametrize("name", ["digits-vdvae", "digits-dct", "digits-wavelet"])
def test_operations_are_counted_as_pytorch_counts_them(name: str) -> None:
    """On real tensors, where nothing is left to the shapes alone."""
    recipe = mrvae.recipe(name)
    model = mrvae.build(recipe)
    x = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8) % 17
    model.top.fit(x)
    counter = FlopCounterMode(display=False)
    with counter:
        model.elbo(x)
    assert describe(recipe).flops_per_image == counter.get_total_flops() > 0
