"""``mrvae describe``: a model's size and cost, without building it in memory.

The model is built on torch's meta device, whose tensors have shapes and no values, so that a model
of any size is described in seconds. One image is scored there: ``flops_per_image`` counts its
convolutions, a multiply-add as 2 (a training step takes about three times that), and
``bytes_per_image`` is what autograd keeps for the backward pass.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrvae.cli.answer import Answer, table
from mrvae.cli.options import Json, Overrides, RecipeName, read_recipe
from mrvae.recipes import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from mrvae.models import HVAE, Level


@dataclass(frozen=True)
class Describe:
    """Count a recipe's parameters, latents, floating-point operations and memory."""

    recipe: RecipeName
    overrides: Overrides = ()
    json: Json = False

    def run(self) -> Answer:
        """Build the model on the meta device and count."""
        recipe = read_recipe(self.recipe, self.overrides)
        values = describe(recipe)
        lines = [
            ["recipe", recipe.name],
            ["about", recipe.about],
            ["parameters", f"{values.parameters:,}"],
            ["stochastic layers", str(values.stochastic_depth)],
            ["latents per image", f"{values.latents:,}"],
            ["FLOPs per image", f"{values.flops_per_image:,} (one bound, forward)"],
            ["memory per image", f"{values.bytes_per_image / 2**20:,.1f} MiB (training)"],
        ]
        text = "\n".join(f"{name:<18} {value}" for name, value in lines)
        head = ["resolution", "width", "latent channels", "layers", "latents"]
        rows = [[level[key] for key in _COLUMNS] for level in values.levels]
        return Answer(vars(values), f"{text}\n\n{table([head, *rows])}")


_COLUMNS = ("size", "width", "latent", "layers", "latents")


@dataclass(frozen=True)
class Description:
    """What there is to know of a model without training it."""

    recipe: str
    parameters: int
    stochastic_depth: int
    latents: int
    levels: list[dict[str, int]]
    flops_per_image: int
    bytes_per_image: int


def describe(recipe: Recipe) -> Description:
    """Return the counts of a recipe's model.

    Raises:
        ValueError: if the recipe's blocks do not make a model.

    Example:
        >>> import mrvae
        >>> describe(mrvae.recipe("falck2022-mnist-x1")).stochastic_depth
        9

    """
    import torch

    from mrvae.models import build, parse_levels

    with torch.device("meta"):
        model = build(recipe)
    blocks = recipe.model
    levels = parse_levels(blocks.encoder, blocks.decoder, blocks.width, blocks.latent)
    described = _levels(model, levels)
    flops, held = _cost(model)
    return Description(
        recipe.name,
        sum(p.numel() for p in model.parameters() if p.requires_grad),
        model.stochastic_depth,
        sum(level["latents"] for level in described),
        described,
        flops,
        held,
    )


def _levels(model: HVAE, levels: tuple[Level, ...]) -> list[dict[str, int]]:
    """Describe each resolution, coarse to fine."""
    return [
        {
            "size": level.size,
            "width": level.width,
            "latent": level.latent,
            "layers": len(rung.shapes),
            "latents": sum(c * h * w for c, h, w in rung.shapes),
        }
        for level, rung in zip(levels, model.decoder.rungs, strict=True)
    ]


def _cost(model: HVAE) -> tuple[int, int]:
    """Return the FLOPs of one image's bound, and the bytes that its backward pass needs."""
    import torch
    from torch.autograd.graph import saved_tensors_hooks
    from torch.utils.flop_counter import FlopCounterMode

    weights = {_identity(p) for p in model.parameters()}
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    frame = model.frame
    x = torch.zeros(1, frame.channels, frame.size, frame.size, dtype=torch.uint8, device="meta")
    counter = FlopCounterMode(display=False)
    with counter, saved_tensors_hooks(keep, lambda tensor: tensor):
        model(x, model.noise(1))
    storages = {_identity(t): t.untyped_storage().nbytes() for t in kept}
    held = sum(size for storage, size in storages.items() if storage not in weights)
    return counter.get_total_flops(), held


def _identity(tensor: Tensor) -> Hashable:
    """Return what two tensors share if they share their memory; on meta, addresses do not tell."""
    from torch.multiprocessing.reductions import StorageWeakRef

    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
