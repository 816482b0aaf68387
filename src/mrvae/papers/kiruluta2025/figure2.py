r"""Figure 2 (section 5): the coefficients of the Wavelet-VAE in nested quadrants, band by band.

The paper shows the map of one image and calls what is bright important. Here are the mean over test
images and a few of them, and of every band how much of the energy it has, and the error of the
image without it: what importance would mean.
"""

from __future__ import annotations

from dataclasses import asdict

from mrvae.evaluation import band_report
from mrvae.papers.engine import Item, per_entry
from mrvae.papers.entries import Entry, with_defaults
from mrvae.papers.kiruluta2025.quality import measured_images
from mrvae.papers.kiruluta2025.runs import table, wavelet_vae
from mrvae.papers.outcome import Budget, Outcome
from mrvae.papers.workspace import Workspace
from mrvae.reports.figures import band_figure


def entries(budget: Budget) -> list[Entry]:
    """Return the models that have bands; by default the paper's only.

    Example:
        >>> [entry.name for entry in entries("smoke")]
        ['wavelet', 'wavelet-elbo', 'wavelet-coarse-to-fine']
    """
    bands = [entry for entry in table(budget) if wavelet_vae(entry) is not None]
    return with_defaults(bands, ["wavelet"])


def measure(workspace: Workspace, entry: Entry) -> Outcome:
    """Measure the bands of a model, and draw the maps of test images."""
    report = band_report(workspace.model(entry.job), measured_images(workspace, entry))
    maps = [each.tolist() for each in (report.average, *report.examples)]
    top, *details = report.bands
    finding = (
        f"{entry.name}: the approximation has {top.share:.1%} of the energy; without it the MSE "
        f"is {top.mse_without:.4f}, with all bands {report.mse:.6f}, and without any one band "
        f"of details {max(band.mse_without for band in details):.6f} at most"
    )
    return Outcome(
        [{"cell": entry.name, "mse": report.mse, **asdict(band)} for band in report.bands],
        [finding],
        {f"figure2-{entry.name}": band_figure(maps, top.depth)},
    )


ITEM = Item("figure2", per_entry(measure), entries)
