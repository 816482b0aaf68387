"""``mrvae sample``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mrvae.cli.checks import (
    check_at_most,
    check_new_folder,
    check_picture,
    check_positive,
    check_seed,
    check_temperature,
)
from mrvae.cli.coding_bar import counted, progress_bar
from mrvae.cli.command import Answer
from mrvae.cli.declaration import Option
from mrvae.cli.options import Best, Device, Each, Json, Picture, Quiet, RunPath, Seed

_MOST_IMAGES = 1_000_000


@dataclass(frozen=True)
class Sample:
    """Draw images or signals from a trained model, as one picture or each as a file.

    With --each DIR each image becomes a PNG file, each signal a WAV file. The picture of signals
    has their waveforms and spectrograms.

    The temperature multiplies the standard deviations of the prior: one number, or one for each
    resolution, coarse to fine, as in --temperature 1,1,0.9,0.8.
    """

    run_path: RunPath
    n: Annotated[int, Option("number of images")] = 64
    temperature: Annotated[
        tuple[float, ...],
        Option("temperature of the prior; below 1 for likelier, less varied images"),
    ] = (1.0,)
    mean: Annotated[
        bool, Option("show the mean of every pixel given the latents, instead of a draw")
    ] = False
    seed: Seed = 0
    each: Each = None
    out: Picture = Path("samples.png")
    quiet: Quiet = False
    best: Best = False
    device: Device = None
    json: Json = False

    def run(self) -> Answer:
        """Sample, and write the picture."""
        check_positive(n=self.n)
        check_temperature(self.temperature)
        check_seed(self.seed)
        check_at_most(_MOST_IMAGES, n=self.n)
        if self.each is None:
            check_picture(self.out)
        else:
            check_new_folder(self.each, "--each")
        import torch

        from mrvae.cli.runs import check_grid, draws, open_run

        run = open_run(self.run_path, self.best, device=self.device)
        if self.each is None:
            check_grid(self.n, run)
        with progress_bar("sample", self.n, "images", self.quiet) as advance:
            batches = counted(draws(run, self.n, self.temperature, self.seed, self.mean), advance)
            if self.each is None:
                run.show(self.out, torch.cat(list(batches)))
            else:
                width = len(str(self.n))
                names = [f"sample-{number:0{width}}" for number in range(1, self.n + 1)]
                run.write_each(self.each, names, batches)
        place = self.out if self.each is None else self.each
        values = {"run": str(self.run_path), "n": self.n, "out": str(place)}
        return Answer(values, f"wrote {self.n} samples to {place}")
