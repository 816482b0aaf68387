"""``mrvae inspect``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from mrvae.cli.answer import Answer, table
from mrvae.cli.options import (
    Best,
    DataDir,
    Json,
    MaybeFile,
    RunPath,
    Seed,
    Split,
    Whole,
    check_picture,
    check_positive,
    check_seed,
)
from mrvae.report import groups, latents_figure, norms_figure, write_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mrvae.cli.runs import Run
    from mrvae.data import Images


@dataclass(frozen=True)
class Inspect:
    """Look inside a trained model: where its nats are, and how its state grows.

    latents: KL of each latent, coarse to fine. norms: the norm of the residual state after every
    block, on the way up and on the way down.
    """

    run_path: RunPath
    what: Positional[Literal["latents", "norms"]]
    """what to look at"""
    split: Split = "test"
    limit: Whole = 512
    """number of images to average over"""
    seed: Seed = 0
    data_dir: DataDir = None
    out: MaybeFile = None
    """picture to write; by default latents.png or norms.png"""
    best: Best = False
    json: Json = False

    def run(self) -> Answer:
        """Measure, and write the picture."""
        check_positive(limit=self.limit)
        check_seed(self.seed)
        out = self.out or Path(f"{self.what}.png")
        check_picture(out)
        from mrvae.cli.runs import open_run

        run = open_run(self.run_path, self.best)
        images = run.images(self.split, self.data_dir, self.limit)
        match self.what:
            case "latents":
                found, figure, text = _latents(run, images, self.seed)
            case "norms":
                found, figure, text = _norms(run, images, self.seed)
        write_figure(out, figure)
        values = {
            "run": str(self.run_path),
            "split": self.split,
            "images": len(images),
            **found,
            "out": str(out),
        }
        return Answer(values, f"{text}\n\nwrote {out}")


Found = tuple[dict[str, object], "Figure", str]


def _latents(run: Run, images: Images, seed: int) -> Found:
    """Measure KL per latent."""
    from mrvae.evaluation import layer_nats

    kl = list(layer_nats(run.model, images, seed=seed))
    sizes = [height for _, height, _ in run.model.shapes]
    return {"kl": kl, "sizes": sizes}, latents_figure(kl, sizes), _summary(kl, sizes)


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


def _summary(kl: list[float], sizes: list[int]) -> str:
    """Write the nats of each resolution as a table."""
    rows: list[list[object]] = [["resolution", "layers", "nats"]]
    for group in groups(sizes):
        nats = sum(kl[group.start : group.stop])
        rows.append([f"{group.size}×{group.size}", group.stop - group.start, round(nats, 2)])
    rows.append(["all", len(kl), round(sum(kl), 2)])
    return table(rows)
