"""Partial reconstructions and interpolation in the top latents, as one picture each.

    python examples/latents.py RUN --out pictures/

RUN is a run directory, or a model that ships with mrvae (``digits-vdvae``). The first picture has
one row for each number of kept latents: reconstructions from the top 1, 2, … latents, the rest
being the prior's means. In the second each row goes from one image to another: their top latents
are mixed, and everything below is drawn anew from the prior given the mixture.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from torch import Tensor

import mrvae
from mrvae.data import images_for
from mrvae.models import HVAE
from mrvae.models.build.weights import locate, read_recipe
from mrvae.reports.image_grid import arrange, write_png


@dataclass(frozen=True)
class Options:
    """Which model, which images, and where the pictures go."""

    run: tyro.conf.Positional[str]
    out: Path = Path()
    images: int = 8
    """number of test images"""
    top: int = 2
    """number of top latents that the interpolation mixes"""


def partial_reconstructions(model: HVAE, x: Tensor) -> Tensor:
    """Return x, then x from its top 1, 2, … latents: (1 + layers) * len(x) images."""
    latents = model.encode(x)
    rows = [model.decode(latents[:keep]) for keep in range(1, len(latents) + 1)]
    return torch.cat([x, *rows])


def interpolation(model: HVAE, x: Tensor, y: Tensor, top: int, steps: int = 7) -> Tensor:
    """Return for each pair of images a row from x to y in their top latents."""
    start, end = model.encode(x)[:top], model.encode(y)[:top]
    columns = []
    for weight in torch.linspace(0, 1, steps).tolist():
        mixed = [torch.lerp(a, b, weight) for a, b in zip(start, end, strict=True)]
        columns.append(model.decode(mixed))
    return torch.stack([x, *columns, y], dim=1).flatten(0, 1)


def main(options: Options) -> None:
    """Write both pictures."""
    model = mrvae.load(options.run)
    recipe = read_recipe(locate(options.run))
    bins = recipe.model.likelihood.bins
    x = images_for(recipe, "test").take(torch.arange(2 * options.images))
    options.out.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        first, second = x[: options.images], x[options.images :]
        pictures = {
            "partial.png": (partial_reconstructions(model, first), options.images),
            "interpolation.png": (interpolation(model, first, second, options.top), 9),
        }
    for name, (images, columns) in pictures.items():
        write_png(options.out / name, arrange(images.numpy(), bins, columns))
        print(options.out / name)


if __name__ == "__main__":
    main(tyro.cli(Options))
