"""Small models with random weights, as the coder takes them, and pictures for them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from helpers.tiny_vdvae import tiny_vdvae
from mrvae.compression import Codec, CodingModel, CodingNetwork
from mrvae.compression.coding.latents import all_active, units_of
from mrvae.models import HVAE, ImageFrame, parse_levels
from mrvae.models.build import hierarchy
from mrvae.recipes.context import Context
from mrvae.recipes.schema import CategoricalPixels, LogisticMixturePixels


def tiny_colour() -> HVAE:
    """Build a model of 4×4 RGB pixels, whose channels depend on each other."""
    torch.manual_seed(5)
    levels = parse_levels("4x1,4d4,1x1", "1x1,4m1", [8], [2])
    frame = ImageFrame(3, 4, 4, 127.5, 127.5, 256)
    likelihood = LogisticMixturePixels(bins=256, components=2, autoregressive=True)
    model = hierarchy(levels, frame, likelihood, bottleneck=0.5).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


@cache
def known(colour: bool = False) -> CodingModel:
    """Return a tiny model under a made-up name."""
    network = CodingNetwork.of(tiny_colour() if colour else tiny_vdvae())
    return CodingModel(Path("tiny-colour" if colour else "tiny"), bytes(range(32)), network)


def codec(colour: bool = False, rows: int = 64, sixteenths: int = 4) -> Codec:
    """Return a codec that codes every unit, and sees ``rows`` images at once."""
    network = CodingNetwork(known(colour).network.model, rows)
    active = all_active(network.shapes)
    return Codec(network, units_of(active, 16), units_of(active, sixteenths))


def images(n: int, colour: bool = False, seed: int = 0) -> Tensor:
    """Return random images of a tiny model."""
    stream = torch.Generator().manual_seed(seed)
    shape, levels = ((3, 4, 4), 256) if colour else ((1, 8, 8), 17)
    return torch.randint(0, levels, (n, *shape), generator=stream, dtype=torch.uint8)


def draw_pictures(folder: Path, sizes: list[tuple[int, int]]) -> tuple[Path, ...]:
    """Write grey pictures of 17 levels, of the given heights and widths."""
    stream = torch.Generator().manual_seed(1)
    paths = []
    for index, (height, width) in enumerate(sizes):
        levels = torch.randint(0, 17, (height, width), generator=stream, dtype=torch.uint8)
        paths.append(folder / f"picture {index}.png")
        Image.fromarray(levels.numpy()).save(paths[-1])
    return tuple(paths)


def tiny_context(context: Context) -> CodingNetwork:
    """Return a model of digits with random weights below a context, which is fitted."""
    levels = parse_levels("8x1,8d2,4x1", "4x1,8m4,8x1", [8], [2])
    frame = ImageFrame(1, 8, 8, 8.0, 8.0, 17)
    likelihood = CategoricalPixels(bins=17)
    model = hierarchy(levels, frame, likelihood, bottleneck=0.5, context=context).double()
    stream = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=stream, dtype=torch.float64)
            parameter.add_(0.2 * noise)
    model.context.fit(images(100, seed=3))
    return CodingNetwork.of(model)
