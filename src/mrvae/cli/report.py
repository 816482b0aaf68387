"""``mrvae report``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mrvae.cli.checks import check_at_most, check_output, check_positive, check_seed
from mrvae.cli.command import Answer
from mrvae.cli.declaration import Option
from mrvae.cli.forecast import forecast
from mrvae.cli.options import Best, DataDir, Device, Json, RunPath, Seed, Split
from mrvae.files import atomic, is_stream

_MOST_SAMPLES = 1_000_000


@dataclass(frozen=True)
class Report:
    """Write one HTML page about a trained model, to read anywhere and to send to anyone.

    It shows the loss, both likelihood bounds, samples at three temperatures, reconstructions from
    the top latents, and the nats and active units of each latent. The page holds everything inside
    itself and needs no network.
    """

    run_path: RunPath
    split: Split = "test"
    limit: Annotated[int, Option("number of images that are measured, from the first")] = 256
    importance_samples: Annotated[int, Option("draws K of the importance-weighted bound")] = 16
    seed: Seed = 0
    data_dir: DataDir = None
    out: Annotated[Path, Option("page to write")] = Path("report.html")
    best: Best = False
    device: Device = None
    json: Json = False

    def run(self) -> Answer:
        """Measure, and write the page."""
        check_positive(limit=self.limit, importance_samples=self.importance_samples)
        check_at_most(_MOST_SAMPLES, importance_samples=self.importance_samples)
        check_seed(self.seed)
        if self.out.suffix.lower() not in (".html", ".htm") and not is_stream(self.out):
            raise ValueError(f"--out is {self.out}; a page is HTML, so end its name in .html")
        check_output(self.out)
        from mrvae.cli.report_page import ReportOptions, made_page
        from mrvae.cli.runs import open_run
        from mrvae.reports.page import render

        run = open_run(self.run_path, self.best, device=self.device)
        images = run.images(self.split, self.data_dir, self.limit)
        # Both bounds, the units, and the partial reconstructions.
        forecast(run.model, images, 1 + self.importance_samples + 2 * run.model.stochastic_depth)
        options = ReportOptions(
            self.run_path, self.split, self.limit, self.importance_samples, self.seed
        )
        page, values = made_page(run, images, options)
        with atomic(self.out) as temporary:
            temporary.write_text(render(page), encoding="utf-8")
        text = f"wrote {self.out}: {len(page.sections)} sections on {len(images)} images"
        return Answer({"run": str(self.run_path), **values, "out": str(self.out)}, text)
