"""What commands on a finished run share: its model, its images, its pictures."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mrvae.data import Images
    from mrvae.models import HVAE
    from mrvae.recipes import Recipe

_CHUNK = 64


@dataclass(frozen=True)
class Run:
    """A trained model, its recipe, and the device on which it is used."""

    path: Path
    recipe: Recipe
    model: HVAE

    @property
    def trained_here(self) -> bool:
        """Whether this is a run directory that may be written to, not a shipped model."""
        return (self.path / "state").is_dir() and os.access(self.path, os.W_OK)

    @property
    def levels(self) -> int:
        """Number of values of a pixel."""
        return self.recipe.model.likelihood.bins

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    def generator(self, seed: int) -> torch.Generator:
        """Return the random stream of a seed on the model's device."""
        import torch

        return torch.Generator(self.device).manual_seed(seed)

    def images(self, split: str, data_dir: Path | None, limit: int | None = None) -> Images:
        """Return the first ``limit`` images of a split, as the model sees them."""
        from mrvae.data import images_for

        images = images_for(self.recipe, split, data_dir)
        if images.bins != self.levels:
            # The grey training images of a binary recipe, which training draws anew each step.
            images = images.binarised(0)
        return images.first(limit)


def open_run(
    path: Path,
    best: bool = False,
    repeat: int | None = None,
    large: bool = False,
    device: str | None = None,
) -> Run:
    """Load a run, or a shipped model, onto a device, by default the fastest that there is.

    ``repeat`` changes how often its blocks and cells are visited; ``large`` allows any number.

    Raises:
        ValueError: if it is no run, its weights are missing, damaged or another model's, or there
            is no such device.

    """
    import torch

    from mrvae.devices import check_float64, choose_device
    from mrvae.models.build.weights import load, locate, read_recipe

    place = choose_device(device)
    model, folder = load(path, best, repeat, large), locate(path)
    check_float64(place, bool(model.context.shapes))
    # Convolutions are fastest with the channels innermost, and a saved model does not say so.
    model = model.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Run(folder, read_recipe(folder), model)


def check_grid(count: int, side: int) -> None:
    """Refuse more images of ``side`` pixels than one picture can hold.

    Raises:
        ValueError: if there are more; the message has the largest number.

    """
    from mrvae.image_grid import most_images

    most = most_images(side, side)
    if count > most:
        raise ValueError(
            f"--n is {count}; a picture holds at most {most:,} images of {side}×{side} pixels: "
            "draw them in parts, with another --seed and --out each"
        )


def draw(run: Run, n: int, temperature: tuple[float, ...], seed: int, mean: bool = False) -> Tensor:
    """Return n samples, or their mean levels, in chunks to bound the memory."""
    import torch

    value = temperature[0] if len(temperature) == 1 else temperature
    generator = run.generator(seed)
    parts = []
    with torch.inference_mode():
        for start in range(0, n, _CHUNK):
            pixels = run.model.draw(min(_CHUNK, n - start), value, generator)
            parts.append((pixels.mean() if mean else pixels.sample(generator)).cpu())
    return torch.cat(parts)


def write_images(path: Path, images: Tensor, levels: int, columns: int | None = None) -> None:
    """Write images (N, C, H, W) of levels, or of mean levels, as one picture."""
    from mrvae.image_grid import arrange, write_png

    # A mean may leave the range of the levels by a rounding error.
    write_png(path, arrange(images.clamp(0, levels - 1).numpy(), levels, columns))
