r"""Figure 2 (section 5): the coefficients of the Wavelet-VAE in nested quadrants, band by band.

The paper shows the map of one image and calls what is bright important. Here are the mean over test
images and a few of them, and of every band how much of the energy it has, and the error of the
image without it: what importance would mean.
"""

from __future__ import annotations

from dataclasses import asdict

from mrvae.papers.entries import Entry, chosen, with_defaults
from mrvae.papers.item import Item
from mrvae.papers.kiruluta2025.quality import measured_images
from mrvae.papers.kiruluta2025.runs import table, wavelet_vae
from mrvae.papers.outcome import Budget, Outcome, Row
from mrvae.papers.workspace import Workspace


def cells(budget: Budget) -> list[Entry]:
    """Return the models that have bands; by default the paper's alone.

    Example:
        >>> [cell.name for cell in cells("smoke")]
        ['wavelet', 'wavelet-elbo', 'wavelet-coarse-to-fine']
    """
    return with_defaults([c for c in table(budget) if wavelet_vae(c) is not None], ["wavelet"])


def work(workspace: Workspace) -> Outcome:
    """Measure the bands of each model, and draw their maps."""
    from mrvae.evaluation import band_report
    from mrvae.report import band_figure

    rows: list[Row] = []
    said, figures = [], {}
    for cell in chosen(cells(workspace.budget), workspace.only):
        workspace.trained(cell.job)
        report = band_report(workspace.model(cell.job), measured_images(workspace, cell))
        rows += [{"cell": cell.name, "mse": report.mse, **asdict(band)} for band in report.bands]
        maps = [each.tolist() for each in (report.average, *report.examples)]
        figures[f"figure2-{cell.name}"] = band_figure(maps, report.bands[0].depth)
        top, *_ = report.bands
        said.append(
            f"{cell.name}: the approximation has {top.share:.1%} of the energy; without it the MSE "
            f"is {top.mse_without:.4f}, with all bands {report.mse:.6f}, and without any one band "
            f"of details {max(b.mse_without for b in report.bands[1:]):.6f} at most"
        )
    return Outcome(tuple(rows), tuple(said), figures)


ITEM = Item("figure2", "coefficients in nested quadrants, and images without a band", work, cells)
