"""What commands on a finished run share: its model, its images, its pictures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mrvae.files import atomic

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


def open_run(path: Path, best: bool = False, repeat: int | None = None, large: bool = False) -> Run:
    """Load a run, or a shipped model, onto the fastest device that there is.

    ``repeat`` changes how often its blocks and cells are visited; ``large`` allows any number.

    Raises:
        ValueError: if it is no run, or its weights are missing, damaged or another model's.

    """
    import torch

    from mrvae.devices import choose_device
    from mrvae.models.build.weights import load, locate, read_recipe

    model, folder = load(path, best, repeat, large), locate(path)
    # Convolutions are fastest with the channels innermost, and a saved model does not say so.
    model = model.to(  # type: ignore[call-overload]
        choose_device(), memory_format=torch.channels_last
    )
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
    """Return n samples, or their mean levels."""
    import torch

    return torch.cat(list(draws(run, n, temperature, seed, mean)))


def draws(
    run: Run, n: int, temperature: tuple[float, ...], seed: int, mean: bool = False
) -> Iterator[Tensor]:
    """Yield n samples, or their mean levels, in chunks to bound the memory."""
    import torch

    value = temperature[0] if len(temperature) == 1 else temperature
    generator = run.generator(seed)
    for start in range(0, n, _CHUNK):
        with torch.inference_mode():
            pixels = run.model.draw(min(_CHUNK, n - start), value, generator)
            yield (pixels.mean() if mean else pixels.sample(generator)).cpu()


def write_each(
    folder: Path, names: Sequence[str], batches: Iterable[Tensor], levels: int
) -> tuple[Path, ...]:
    """Write images (b, C, H, W) of levels, or of mean levels, each as a PNG file of its own size.

    Names of files are made of the names: all different, in the folder itself. All files are
    written, or none.

    Raises:
        ValueError: if there is a file of such a name already.

    """
    from mrvae.compression.format.header import PictureEntry
    from mrvae.compression.format.new_files import new_files
    from mrvae.compression.format.unpacking import file_names

    files = file_names([PictureEntry(name, 1, 1) for name in names])
    with new_files(folder, files) as temporaries:
        images = (image for batch in batches for image in batch)
        for path, image in zip(temporaries, images, strict=True):
            _save(path, image, levels)
    return tuple(folder / name for name in files)


def write_single(path: Path, image: Tensor, levels: int) -> None:
    """Write an image (C, H, W) of levels, or of mean levels, as PNG of its own size, atomically."""
    with atomic(path) as temporary:
        _save(temporary, image, levels)


def _save(path: Path, image: Tensor, levels: int) -> None:
    import torch

    from mrvae.data.files.image_files import from_tensor
    from mrvae.image_grid import grey

    # A mean may leave the range of the levels by a rounding error.
    pixels = grey(image.clamp(0, levels - 1).numpy(), levels)
    from_tensor(torch.from_numpy(pixels)).save(path, format="PNG")


def write_images(path: Path, images: Tensor, levels: int, columns: int | None = None) -> None:
    """Write images (N, C, H, W) of levels, or of mean levels, as one picture."""
    from mrvae.image_grid import arrange, write_png

    # A mean may leave the range of the levels by a rounding error.
    write_png(path, arrange(images.clamp(0, levels - 1).numpy(), levels, columns))
