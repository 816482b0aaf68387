"""``mrvae inspect``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from mrvae.cli import collapse, wavelets
from mrvae.cli.answer import Answer, table
from mrvae.cli.options import (
    Best,
    DataDir,
    Json,
    MaybeFile,
    Number,
    RunPath,
    Seed,
    Split,
    Whole,
    check_picture,
    check_positive,
    check_seed,
    check_temperature,
)
from mrvae.report import norms_figure, write_figure

if TYPE_CHECKING:
    from mrvae.cli.collapse import Found
    from mrvae.cli.runs import Run
    from mrvae.data import Images


@dataclass(frozen=True)
class Inspect:
    """Look inside a trained model: where its nats are, and how its state grows.

    latents: KL and active units of each latent, coarse to fine, and how the nats are spread over
    units. partial: how alike images are to what their top 1, 2, … latents tell, the others being
    drawn from the prior. norms: the norm of the residual state after every block, on the way up and
    on the way down. wavelets: what each band of a wavelet VAE holds, and what images are without.
    """

    run_path: RunPath
    what: Positional[Literal["latents", "partial", "norms", "wavelets"]]
    """what to look at"""
    split: Split = "test"
    limit: Whole = 512
    """number of images to average over"""
    draws: Whole = 8
    """latents: draws of the latents above a unit, whose noise is subtracted from 2 on"""
    temperature: Number = 1.0
    """partial: of the prior; 0 takes its means"""
    means: Annotated[
        bool, arg(help="partial: keep the posterior's means, not draws", help_behavior_hint="")
    ] = False
    seed: Seed = 0
    data_dir: DataDir = None
    out: MaybeFile = None
    """picture to write; by default the name of what is looked at, such as latents.png"""
    best: Best = False
    json: Json = False

    def run(self) -> Answer:
        """Measure, and write the picture."""
        check_positive(limit=self.limit, draws=self.draws)
        check_seed(self.seed)
        check_temperature((self.temperature,))
        out = self.out or Path(f"{self.what}.png")
        check_picture(out)
        from mrvae.cli.runs import open_run

        run = open_run(self.run_path, self.best)
        images = run.images(self.split, self.data_dir, self.limit)
        match self.what:
            case "latents":
                found, figure, text = collapse.latents(run, images, self.draws, self.seed)
            case "partial":
                from mrvae.evaluation import Partial

                how = Partial(0.0 if self.means else 1.0, self.temperature, self.seed)
                found, figure, text = collapse.partial(run, images, how)
            case "norms":
                found, figure, text = _norms(run, images, self.seed)
            case "wavelets":
                found, figure, text = wavelets.wavelets(run, images)
        write_figure(out, figure)
        values = {
            "run": str(self.run_path),
            "split": self.split,
            "images": len(images),
            **found,
            "out": str(out),
        }
        return Answer(values, f"{text}\n\nwrote {out}")


def _norms(run: Run, images: Images, seed: int) -> Found:
    """Measure the norm of the state after every block."""
    from mrvae.evaluation import state_norms

    up, down = state_norms(run.model, images, seed=seed)
    passes = {"encoder": up, "decoder": down}
    figure = norms_figure({n: (p.sizes, p.means, p.deviations) for n, p in passes.items()})
    head = ["pass", "block", "resolution", "mean norm", "sd"]
    rows = [
        [name, index, f"{size}×{size}", f"{mean:.2f}", f"{deviation:.2f}"]
        for name, p in passes.items()
        for index, (size, mean, deviation) in enumerate(
            zip(p.sizes, p.means, p.deviations, strict=True), start=1
        )
    ]
    return {name: asdict(p) for name, p in passes.items()}, figure, table([head, *rows])
