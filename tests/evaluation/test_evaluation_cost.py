"""What a model costs is what PyTorch's own counter says."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import mrvae
from mrvae.evaluation import describe
from mrvae.recipes import ALL, Recipe


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


QUICK = ["digits-dct", "digits-wavelet", "kuzina2023-mnist-dct"]


@pytest.mark.parametrize("name", QUICK)
def test_a_recipe_is_described_as_it_says(name: str) -> None:
    check(mrvae.recipe(name))


@pytest.mark.slow
def test_every_recipe_is_described_as_it_says() -> None:
    for recipe in ALL:
        if recipe.name not in QUICK:
            check(recipe)


def check(recipe: Recipe) -> None:
    """Compare parameters, depth, and the number of latents over all resolutions."""
    with torch.device("meta"):
        model = mrvae.build(recipe)
    found = describe(recipe)
    assert (found.parameters, found.stochastic_depth) == (recipe.parameters, recipe.depth)
    context = sum(channels * height * width for channels, height, width in model.context.shapes)
    listed = sum(int(str(level["latents"])) for level in found.levels)
    assert listed == found.latents == model.latent_noise_size + context
