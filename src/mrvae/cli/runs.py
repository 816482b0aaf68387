"""What commands on a finished run share: its model, its images or signals, its pictures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mrvae.cli.signals import draw_waves, write_waves
from mrvae.files import atomic
from mrvae.recipes.data import SignalSpec

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
    def seed(self) -> int:
        """The seed of its training; 0 where its file names none."""
        from mrvae.recipes.serial import parse

        written = parse((self.path / "recipe.json").read_text(encoding="utf-8"))
        seed = written.get("seed") if isinstance(written, dict) else None
        return seed if isinstance(seed, int) else 0

    @property
    def levels(self) -> int:
        """Number of values of a pixel."""
        return self.recipe.model.likelihood.bins

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    @property
    def signal(self) -> SignalSpec | None:
        """What its data are if they are signals; None if they are images."""
        signal = self.recipe.data.signal
        return signal if isinstance(signal, SignalSpec) else None

    def show(self, path: Path, images: Tensor, columns: int | None = None) -> None:
        """Write images, or signals as waveforms and spectrograms, as one picture."""
        if self.signal is not None:
            draw_waves(path, images, self.signal, self.levels, columns)
            return
        write_images(path, images, self.levels, columns)

    def write_each(
        self, folder: Path, names: Sequence[str], batches: Iterable[Tensor]
    ) -> tuple[Path, ...]:
        """Write every image as a PNG file of its own, every signal as a WAV file.

        Raises:
            ValueError: if there is a file of one of the names; then none is written.
        """
        if self.signal is not None:
            return write_waves(folder, names, batches, self.signal, self.levels)
        return write_each(folder, names, batches, self.levels)

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


def check_grid(count: int, run: Run) -> None:
    """Refuse more images or signals than one picture can hold.

    Raises:
        ValueError: if there are more; the message has the largest number.

    """
    from mrvae.cli.waveforms import most_signals
    from mrvae.reports.image_grid import most_images

    _, height, width = run.model.frame.shape
    most = most_images(height, width) if run.signal is None else most_signals()
    if count > most:
        raise ValueError(
            f"--n is {count}; a picture holds at most {most:,} images of {height}×{width} pixels: "
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
    from mrvae.reports.image_grid import grey

    # A mean may leave the range of the levels by a rounding error.
    pixels = grey(image.clamp(0, levels - 1).numpy(), levels)
    from_tensor(torch.from_numpy(pixels)).save(path, format="PNG")


def write_images(path: Path, images: Tensor, levels: int, columns: int | None = None) -> None:
    """Write images (N, C, H, W) of levels, or of mean levels, as one picture."""
    from mrvae.reports.image_grid import arrange, write_png

    # A mean may leave the range of the levels by a rounding error.
    write_png(path, arrange(images.clamp(0, levels - 1).numpy(), levels, columns))
