"""``mrvae inspect``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from mrvae.cli.answer import Answer, table
from mrvae.cli.options import (
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

if TYPE_CHECKING:
    from torch import Tensor

    from mrvae.cli.runs import Run
    from mrvae.data import Images

_BATCH = 64


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
    json: Json = False

    def run(self) -> Answer:
        """Measure KL per latent, and write the picture."""
        check_positive(limit=self.limit)
        check_seed(self.seed)
        check_picture(self.out)
        from mrvae.cli.runs import open_run

        run = open_run(self.run_path)
        images = run.images(self.split, self.data_dir, self.limit)
        kl = mean_kl(run, images, self.seed)
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


def mean_kl(run: Run, images: Images, seed: int) -> list[float]:
    """Return KL(q‖p) of each latent in nats, coarse to fine, averaged over the images."""
    import torch

    from mrvae.data import all_batches, normal

    total: Tensor = torch.zeros(run.model.stochastic_depth, dtype=torch.float64)
    count = run.model.decoder.noise_size
    with torch.inference_mode():
        for indices, x in all_batches(images, _BATCH):
            noise = normal(seed, 0, indices, count, run.device)
            total += run.model.elbo(x.to(run.device), noise).kl.sum(dim=0).cpu().double()
    return [value / len(images) for value in total.tolist()]


def _summary(kl: list[float], sizes: list[int]) -> str:
    """Write the nats of each resolution as a table."""
    rows: list[list[object]] = [["resolution", "layers", "nats"]]
    for group in groups(sizes):
        nats = sum(kl[group.start : group.stop])
        rows.append([f"{group.size}×{group.size}", group.stop - group.start, round(nats, 2)])
    rows.append(["all", len(kl), round(sum(kl), 2)])
    return table(rows)
