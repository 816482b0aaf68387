"""A model's size and cost, without building it in memory.

The model is built on torch's meta device, whose tensors have shapes and no values, so that a model
of any size is described in seconds. One image is scored there: ``flops_per_image`` counts its
convolutions, a multiply-add as 2 (a training step takes about three times that), and
``bytes_per_image`` is what is alive between the forward and the backward pass: the image, its noise
and what autograd keeps, which is less where the recipe has blocks computed again.
:mod:`mrvae.training.memory.footprint` predicts a whole step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from mrvae.meter import Meter
from mrvae.models import HVAE
from mrvae.models.build import build
from mrvae.recipes import Recipe
from mrvae.sizes import ImageSize, simplest


@dataclass(frozen=True)
class Description:
    """Counts of a model, from its shapes."""

    recipe: str
    parameters: int
    stochastic_depth: int
    latents: int
    levels: list[dict[str, ImageSize]]
    flops_per_image: int
    bytes_per_image: int


def describe(recipe: Recipe, large: bool = False) -> Description:
    """Return the counts of a recipe's model.

    Raises:
        ValueError: if the recipe's blocks do not make a model, or one beyond
            :data:`mrvae.models.build.size.LARGEST` and not ``large``.

    Example:
        >>> import mrvae
        >>> describe(mrvae.recipe("falck2022-mnist-x1")).stochastic_depth
        9

    """
    with torch.device("meta"):
        model = build(recipe, large=large)
    if recipe.training.activation_checkpointing:
        model.enable_activation_checkpointing()
    described = _levels(model)
    flops, kept = _cost(model)
    return Description(
        recipe.name,
        sum(p.numel() for p in model.parameters() if p.requires_grad),
        model.stochastic_depth,
        sum(math.prod(shape) for shape in model.shapes),
        described,
        flops,
        kept,
    )


def _levels(model: HVAE) -> list[dict[str, ImageSize]]:
    """Describe each resolution, coarse to fine, after a context, which has no state."""
    context: list[dict[str, ImageSize]] = [
        {
            "size": simplest((height, width)),
            "width": 0,
            "latent": channels,
            "layers": 1,
            "latents": channels * height * width,
        }
        for channels, height, width in model.context.shapes
    ]
    cells: list[dict[str, ImageSize]] = [
        {
            "size": stage.level.size,
            "width": stage.level.width,
            "latent": stage.level.latent,
            "layers": len(stage.shapes),
            "latents": sum(c * h * w for c, h, w in stage.shapes),
        }
        for stage in model.stages
    ]
    return context + cells


def _cost(model: HVAE) -> tuple[int, int]:
    """Return the FLOPs of one image's bound, and the bytes that its backward pass needs."""
    frame = model.frame
    with Meter() as meter, torch.device("meta"):
        x = torch.empty(1, *frame.shape, dtype=torch.uint8)
        bound = model(x, torch.empty(1, model.noise_size))
    kept = meter.now
    del bound
    return meter.flops, kept
