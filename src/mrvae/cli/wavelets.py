"""``mrvae inspect RUN wavelets``: what the bands hold, and the error without them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from mrvae.cli.tables import table
from mrvae.reports.figures import band_figure

if TYPE_CHECKING:
    from mrvae.cli.collapse import Measurement
    from mrvae.cli.runs import Run
    from mrvae.data import Images
    from mrvae.evaluation import Band


def wavelets(run: Run, images: Images, progress: Callable[[int], None]) -> Measurement:
    """Measure energy, sparsity, noise and prior of each band, and the error without it."""
    from mrvae.evaluation import band_report

    report = band_report(run.model, images, progress=progress)
    head = ["band", "depth", "energy", "share", "sparsity", "MSE without", "s", "scale", "λ"]
    text = table([head, *map(_line, report.bands)])
    values: dict[str, object] = {"bands": [asdict(b) for b in report.bands], "mse": report.mse}
    maps = [each.tolist() for each in (report.average, *report.examples)]
    draw = partial(band_figure, maps, report.bands[0].depth)
    return values, draw, f"{text}\n\nMSE with all bands: {report.mse:.3g}"


def _line(band: Band) -> list[object]:
    return [
        band.name,
        band.depth,
        f"{band.energy:.4g}",
        f"{band.share:.2%}",
        "–" if band.sparsity is None else f"{band.sparsity:.3f}",
        *(f"{value:.3g}" for value in (band.mse_without, band.noise)),
        *("–" if v is None else f"{v:.3g}" for v in (band.prior_scale, band.rate)),
    ]
