"""``mrvae sample``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mrvae.cli.checks import check_picture, check_positive, check_seed, check_temperature
from mrvae.cli.command import Answer
from mrvae.cli.declaration import Option
from mrvae.cli.options import Best, Device, Json, Picture, RunPath, Seed


@dataclass(frozen=True)
class Sample:
    """Draw images from a trained model and write them as one picture.

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
        from mrvae.cli.runs import check_grid, draw, open_run, write_images

        run = open_run(self.run_path, self.best, device=self.device)
        check_grid(self.n, run.model.frame.size)
        images = draw(run, self.n, self.temperature, self.seed, self.mean)
        write_images(self.out, images, run.levels)
        values = {"run": str(self.run_path), "n": self.n, "out": str(self.out)}
        return Answer(values, f"wrote {self.n} samples to {self.out}")
