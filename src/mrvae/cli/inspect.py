"""``mrvae inspect``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from mrvae.cli import collapse, wavelets
from mrvae.cli.checks import (
    check_at_most,
    check_picture,
    check_positive,
    check_seed,
    check_temperature,
)
from mrvae.cli.coding_bar import progress_bar
from mrvae.cli.command import Answer
from mrvae.cli.declaration import Argument, Option
from mrvae.cli.forecast import forecast
from mrvae.cli.inputs import CutLarger, Fit, InputOptions, Paths
from mrvae.cli.options import Best, DataDir, Device, Json, Quiet, RunPath, Seed, Split
from mrvae.cli.pictures import draw_picture
from mrvae.cli.tables import table
from mrvae.reports.figures import norms_figure, write_figure
from mrvae.sizes import sides

if TYPE_CHECKING:
    from mrvae.cli.collapse import Measurement
    from mrvae.cli.runs import Run
    from mrvae.data import Images


_MOST_DRAWS = 100_000


@dataclass(frozen=True)
class Inspect:
    """Look inside a trained model: where its nats are, and how its state grows.

    latents: KL and active units of each latent, coarse to fine, and the distribution of nats over
    units. partial: similarity of images to their reconstructions from the top 1, 2, … latents, the
    others being drawn from the prior. norms: the norm of the residual state after every block, in
    the encoder and the decoder. wavelets: energy, sparsity and prior of each band of a wavelet VAE,
    and the error of reconstructions without it.
    """

    run_path: RunPath
    what: Annotated[Literal["latents", "partial", "norms", "wavelets"], Argument("what to measure")]
    paths: Paths = ()
    split: Split = "test"
    limit: Annotated[int, Option("number of images to average over")] = 512
    draws: Annotated[
        int,
        Option("latents: draws of the latents above a unit; from 2 on their noise is subtracted"),
    ] = 8
    temperature: Annotated[
        float, Option("partial: temperature of the prior; 0 takes its means")
    ] = 1.0
    means: Annotated[bool, Option("partial: keep the posterior's means, not draws")] = False
    seed: Seed = 0
    data_dir: DataDir = None
    fit: Fit = False
    cut: CutLarger = False
    out: Annotated[
        Path | None,
        Option("picture to write; by default named after the measurement, such as latents.png"),
    ] = None
    quiet: Quiet = False
    best: Best = False
    device: Device = None
    json: Json = False

    def run(self) -> Answer:
        """Measure, and write the picture."""
        check_positive(limit=self.limit, draws=self.draws)
        check_at_most(_MOST_DRAWS, draws=self.draws)
        check_seed(self.seed)
        check_temperature((self.temperature,))
        out = self.out or Path(f"{self.what}.png")
        check_picture(out)
        inputs = InputOptions(self.paths, self.split, self.data_dir, self.limit, self.fit, self.cut)
        inputs.check(out)
        from mrvae.cli.runs import open_run

        run = open_run(self.run_path, self.best, device=self.device)
        images = inputs.read(run).images
        with progress_bar("inspect", len(images), "images", self.quiet) as advance:
            values, draw, text = self._measure(run, images, advance)
        problems = draw_picture(out, lambda: write_figure(out, draw()))
        answer = {
            "run": str(self.run_path),
            "paths": list(self.paths),
            "split": self.split,
            "images": len(images),
            **values,
            "out": None if problems else str(out),
        }
        return Answer(answer, text if problems else f"{text}\n\nwrote {out}", problems)

    def _measure(self, run: Run, images: Images, advance: Callable[[int], None]) -> Measurement:
        """Return what was measured, as values, a figure and a text."""
        match self.what:
            case "latents":
                forecast(run.model, images, 1 + self.draws)
                return collapse.latents(run, images, self.draws, self.seed, advance)
            case "partial":
                from mrvae.evaluation import Partial

                how = Partial(0.0 if self.means else 1.0, self.temperature, self.seed)
                forecast(run.model, images, 1 + run.model.stochastic_depth)
                return collapse.partial(run, images, how, advance)
            case "norms":
                return _norms(run, images, self.seed, advance)
            case "wavelets":
                return wavelets.wavelets(run, images, advance)


def _norms(run: Run, images: Images, seed: int, progress: Callable[[int], None]) -> Measurement:
    """Measure the norm of the state after every block."""
    from mrvae.evaluation import state_norms

    up, down = state_norms(run.model, images, seed=seed, progress=progress)
    passes = {"encoder": up, "decoder": down}
    draw = partial(norms_figure, {n: (p.sizes, p.means, p.deviations) for n, p in passes.items()})
    head = ["pass", "block", "resolution", "mean norm", "sd"]
    rows = [
        [name, index, "×".join(map(str, sides(size))), f"{mean:.2f}", f"{deviation:.2f}"]
        for name, p in passes.items()
        for index, (size, mean, deviation) in enumerate(
            zip(p.sizes, p.means, p.deviations, strict=True), start=1
        )
    ]
    return {name: asdict(p) for name, p in passes.items()}, draw, table([head, *rows])
