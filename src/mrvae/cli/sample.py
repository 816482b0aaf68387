"""``mrvae sample``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mrvae.cli.checks import (
    check_folder,
    check_picture,
    check_positive,
    check_seed,
    check_temperature,
)
from mrvae.cli.command import Answer
from mrvae.cli.declaration import Option
from mrvae.cli.options import Best, Device, Each, Json, Picture, RunPath, Seed


@dataclass(frozen=True)
class Sample:
    """Draw images or signals from a trained model and write them as one picture.

    With --each DIR they are written there, too: as PNG files, signals as WAV files. The picture of
    signals has their waveforms and spectrograms.

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
    best: Best = False
    device: Device = None
    json: Json = False

    def run(self) -> Answer:
        """Sample, and write the picture."""
        check_positive(n=self.n)
        check_temperature(self.temperature)
        check_seed(self.seed)
        check_picture(self.out)
        if self.each is not None:
            check_folder(self.each, "--each")
        from mrvae.cli.runs import check_grid, draw, open_run

        run = open_run(self.run_path, self.best, device=self.device)
        check_grid(self.n, run)
        images = draw(run, self.n, self.temperature, self.seed, self.mean)
        files = []
        if self.each is not None:
            names = [f"sample-{index:04}" for index in range(self.n)]
            files = [str(path) for path in run.write_each(self.each, names, images)]
        run.show(self.out, images)
        values = {"run": str(self.run_path), "n": self.n, "out": str(self.out), "files": files}
        beside = f", and each to {self.each}" if files else ""
        return Answer(values, f"wrote {self.n} samples to {self.out}{beside}")
