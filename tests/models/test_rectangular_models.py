"""Models of rectangles and signals: a transposed model is the same model, and padding is free."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import mrvae
from helpers.members import for_all
from mrvae.models import HVAE
from mrvae.models.build.resize import resized
from mrvae.models.build.size import size_of
from mrvae.models.image import ImageFrame
from mrvae.recipes import Recipe, override
from mrvae.recipes.automatic import ImageFacts, automatic

SIZES = ((28, 20), (48, 32), (1, 64), (30, 7))
CELLS = ("vdvae", "nvae", "markov", "plain", "top_down")
CONTEXTS = ("none", "dct", "pooled")


def recipe_of(size: tuple[int, int], *changes: str) -> Recipe:
    facts = ImageFacts(channels=1, size=size, bins=17, mean=8.0, deviation=8.0)
    small = ("width=8", "latent=2", "bottleneck=0.5", "model.cell=vdvae")
    return override(automatic("x.npy", facts, "small"), [*small, *changes])


def built(size: tuple[int, int], *changes: str) -> HVAE:
    torch.manual_seed(0)
    return mrvae.build(recipe_of(size, *changes)).double()


def images(size: tuple[int, int]) -> Tensor:
    return torch.randint(0, 17, (3, 1, *size), generator=torch.manual_seed(1)).byte()


def transposed(model: HVAE, size: tuple[int, int], *changes: str) -> HVAE:
    """Return the model of the transposed images, its weights those of the model transposed."""
    other = built((size[1], size[0]), *changes)
    state = {k: v.mT if v.dim() == 4 else v for k, v in model.state_dict().items()}
    other.load_state_dict(state)
    return other


def bound_at_means(model: HVAE, x: Tensor) -> Tensor:
    return model.elbo(x, torch.zeros(len(x), model.noise_size, dtype=torch.float64)).value


@for_all("size", SIZES)
@for_all("cell", CELLS)
def test_a_transposed_model_has_the_bound_of_transposed_images(
    size: tuple[int, int], cell: str
) -> None:
    changes = (f"model.cell={cell}",)
    model, x = built(size, *changes), images(size)
    other = transposed(model, size, *changes)
    assert torch.allclose(bound_at_means(model, x), bound_at_means(other, x.mT), atol=1e-9)


@for_all("size", ((28, 20), (1, 64)))
@for_all("context", CONTEXTS)
def test_every_recipe_of_a_rectangle_has_the_size_that_is_counted(
    size: tuple[int, int], context: str
) -> None:
    recipe = recipe_of(size, f"model.context={context}")
    model = mrvae.build(recipe)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained == size_of(recipe.model).parameters
    assert size[0] > 1 or all(p.shape[-2] == 1 for p in model.parameters() if p.dim() == 4), (
        "a kernel extends along the axis of one pixel"
    )


def test_only_the_image_itself_is_scored() -> None:
    frame = ImageFrame(1, (5, 3), (8, 4), mean=0.5, std=0.5)
    x = torch.rand(2, 1, 5, 3)
    padded = frame.pad(x, black=-1.0)
    assert padded.shape[2:] == (8, 4)
    assert torch.equal(frame.crop(padded), x)
    assert int((padded == -1).sum()) == 2 * (8 * 4 - 5 * 3)
    torch.manual_seed(0)
    model = built((30, 7))
    h = torch.randn(2, 8, *model.stages[-1].level.sides, dtype=torch.float64)
    outside = model.frame.pad(torch.zeros(2, 1, 30, 7), black=1.0) * torch.randn(2, 1, 1, 1)
    likelihoods = [model.pixels(state).log_prob(images((30, 7))[:2]) for state in (h, h + outside)]
    assert torch.equal(*likelihoods)


def test_a_size_alone_rebuilds_the_ladder_and_keeps_blocks_and_cells() -> None:
    model = override(mrvae.recipe("vdvae-cifar10"), ["model.size=64"]).hierarchy
    larger = resized(model)
    assert larger.encoder == "64x11,64d2,32x11,32d2,16x6,16d2,8x6,8d2,4x3,4d4,1x3"
    assert larger.decoder == "1x1,4m1,4x2,8m4,8x5,16m8,16x10,32m16,32x21,64m32,64x21"
    widths = override(mrvae.recipe("mnist-vdvae"), ["model.size=1x64"]).hierarchy
    assert resized(widths).width == (128, 128, 32, 16)


def test_images_larger_than_the_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="images of 28x40 pixels do not fit"):
        mrvae.build(override(mrvae.recipe("digits-vdvae"), ["model.size=28x40"]))
