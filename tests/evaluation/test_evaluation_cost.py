"""What a model costs is what PyTorch's own counter says."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import mrvae
from mrvae.evaluation import describe
from mrvae.recipes import ALL


@pytest.mark.parametrize("name", ["digits-vdvae", "digits-dct", "digits-wavelet"])
def test_operations_are_counted_as_pytorch_counts_them(name: str) -> None:
    """On real tensors, where nothing is left to the shapes alone."""
    recipe = mrvae.recipe(name)
    model = mrvae.build(recipe)
    x = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8) % 17
    model.context.fit(x)
    counter = FlopCounterMode(display=False)
    with counter:
        model.elbo(x)
    assert describe(recipe).flops_per_image == counter.get_total_flops() > 0


QUICK = [each.name for each in ALL if each.name.startswith("kuzina2023")]
SLOW = [pytest.param(each.name, marks=pytest.mark.slow) for each in ALL if each.name not in QUICK]


@pytest.mark.parametrize("name", [*QUICK, *SLOW])
def test_every_recipe_is_described_as_it_says(name: str) -> None:
    """Its parameters and depth, and over all resolutions as many latents as the model has."""
    recipe = mrvae.recipe(name)
    with torch.device("meta"):
        model = mrvae.build(recipe)
    found = describe(recipe)
    assert (found.parameters, found.stochastic_depth) == (recipe.parameters, recipe.depth)
    context = sum(channels * height * width for channels, height, width in model.context.shapes)
    assert sum(level["latents"] for level in found.levels) == model.latent_noise_size + context
