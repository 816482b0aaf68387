"""``mrvae inspect``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from mrvae.cli.answer import Answer, table
from mrvae.cli.options import (
    Best,
    DataDir,
    File,
    Json,
    RunPath,
    Seed,
    Split,
    Whole,
    check_picture,
    check_positive,
    check_seed,
)
from mrvae.report import groups, latents_figure, write_figure


@dataclass(frozen=True)
class Inspect:
    """Look inside a trained model: where in the hierarchy its nats are."""

    run_path: RunPath
    what: Positional[Literal["latents"]]
    """latents: KL of each latent, coarse to fine"""
    split: Split = "test"
    limit: Whole = 512
    """number of images to average over"""
    seed: Seed = 0
    data_dir: DataDir = None
    out: File = Path("latents.png")
    """picture to write"""
    best: Best = False
    json: Json = False

    def run(self) -> Answer:
        """Measure KL per latent, and write the picture."""
        check_positive(limit=self.limit)
        check_seed(self.seed)
        check_picture(self.out)
        from mrvae.cli.runs import open_run
        from mrvae.evaluation import layer_nats

        run = open_run(self.run_path, self.best)
        images = run.images(self.split, self.data_dir, self.limit)
        kl = list(layer_nats(run.model, images, seed=self.seed))
        sizes = [height for _, height, _ in run.model.decoder.shapes]
        write_figure(self.out, latents_figure(kl, sizes))
        values = {
            "run": str(self.run_path),
            "split": self.split,
            "images": len(images),
            "kl": kl,
            "sizes": sizes,
            "out": str(self.out),
        }
        return Answer(values, f"{_summary(kl, sizes)}\n\nwrote {self.out}")


def _summary(kl: list[float], sizes: list[int]) -> str:
    """Write the nats of each resolution as a table."""
    rows: list[list[object]] = [["resolution", "layers", "nats"]]
    for group in groups(sizes):
        nats = sum(kl[group.start : group.stop])
        rows.append([f"{group.size}×{group.size}", group.stop - group.start, round(nats, 2)])
    rows.append(["all", len(kl), round(sum(kl), 2)])
    return table(rows)
