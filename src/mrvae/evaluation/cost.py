"""A model's size and cost, without building a large one in memory.

The model is built on torch's meta device, whose tensors have shapes and no values, so that a model
of any size is described in seconds. One image is scored there, or in memory if the model is small:
``flops_per_image`` counts its convolutions, a multiply-add as 2 (a training step takes about three
times that), and ``bytes_per_image`` is what is alive between the forward and the backward pass: the
image, its noise and what autograd keeps, which is less where the recipe has blocks computed again.
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

_SMALL = 1 << 31
"""Parameters times pixels of a model whose image is scored in memory."""


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
    flops, kept = _cost(_allocated(recipe) if _is_small(model) else model)
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


def _is_small(model: HVAE) -> bool:
    """Return whether one image takes less time than torch takes to import what meta tensors need.

    Operations on meta tensors import its compiler, for as long as half of ``import torch``.
    """
    parameters = sum(p.numel() for p in model.parameters())
    # A context has to be fitted to images before it can be computed.
    return not model.context.shapes and parameters * math.prod(model.frame.sides) <= _SMALL


def _allocated(recipe: Recipe) -> HVAE:
    """Return the model in memory; the global random stream stays as it was."""
    with torch.random.fork_rng(devices=[]):
        model = build(recipe)
    if recipe.training.activation_checkpointing:
        model.enable_activation_checkpointing()
    return model


def _cost(model: HVAE) -> tuple[int, int]:
    """Return the FLOPs of one image's bound, and the bytes that its backward pass needs."""
    frame = model.frame
    with Meter() as meter, next(model.parameters()).device:
        x = torch.zeros(1, *frame.shape, dtype=torch.uint8)
        bound = model(x, torch.zeros(1, model.noise_size))
    kept = meter.now
    del bound
    return meter.flops, kept
