r"""Figure 1: test images by each model of table 1, and what each draws from its prior.

The paper shows reconstructions by its two models, and no samples: its Wavelet-VAE has no prior to
sample from. Here the priors are the bound's own, or, for the paper's loss, fitted beside it. The
rows say how far samples are from test images, and what the bound is: an independent Laplace prior
beside one that goes from coarse to fine.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from torch import Tensor

from mrvae.papers.columns import COURSE
from mrvae.papers.engine import Item
from mrvae.papers.entries import Entry, with_bounds
from mrvae.papers.kiruluta2025 import runs
from mrvae.papers.kiruluta2025.quality import originals, quality, reconstructions, samples
from mrvae.papers.outcome import Outcome, Row
from mrvae.papers.workspace import Workspace
from mrvae.reports.image_grid import arrange

_COUNT = 8
_COLUMNS = ("mse", "ssim", "band_frechet_reconstructed", "band_frechet")


def make(workspace: Workspace, entries: Sequence[Entry]) -> Outcome:
    """Show the first test images by each model, and as many samples."""
    rows: list[Row] = []
    shown: dict[str, Tensor] = {}
    drawn: dict[str, Tensor] = {}
    for run in with_bounds(workspace, entries, runs.MEASURED[workspace.budget], quality):
        if run.value is None:
            continue
        numbers = {k: v for k in _COLUMNS if isinstance(v := run.value[k], float)}
        rows.append({"cell": run.name, **numbers, **{k: of(run) for k, of in COURSE.items()}})
        images, model = (
            workspace.images(run.entry.job, _COUNT),
            workspace.model(run.entry.job),
        )
        shown.setdefault("images", originals(images))
        shown[run.name] = reconstructions(model, images, 1.0).clamp(0, 1)
        (drawn[run.name],) = samples(model, _COUNT)
    figures = {"figure1": _figure(shown), "figure1_samples": _figure(drawn)} if rows else {}
    return Outcome(rows, findings(rows), figures)


def findings(rows: Sequence[Row]) -> list[str]:
    """Return whether a prior conditioned on the coarser levels has the better bound and samples.

    Example:
        >>> row = {"bits_per_dim": 5.0, "band_frechet": 0.2}
        >>> better = {"cell": "wavelet-coarse-to-fine", "bits_per_dim": 4.0, "band_frechet": 0.1}
        >>> findings([{"cell": "wavelet-elbo", **row}, better])
        ['coarse to fine 4.000 bits/dim, proxy Fréchet 0.1000; independent 5.000 and 0.2000']
    """
    known = {str(row["cell"]): row for row in rows}
    names = ("wavelet-coarse-to-fine", "wavelet-elbo")
    if not set(names) <= set(known):
        return ["the models with a bound are not both finished; nothing to compare"]
    conditional, independent = (known[name] for name in names)
    return [
        f"coarse to fine {conditional['bits_per_dim']:.3f} bits/dim, proxy Fréchet "
        f"{conditional['band_frechet']:.4f}; independent {independent['bits_per_dim']:.3f} and "
        f"{independent['band_frechet']:.4f}"
    ]


def _figure(pictures: dict[str, Tensor]) -> Figure:
    """Draw images, a row for each name."""
    size = (1.1 * _COUNT, 1.3 * len(pictures))
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    grid = figure.subplots(len(pictures), 1, squeeze=False)[:, 0]
    for axes, (name, images) in zip(grid, pictures.items(), strict=True):
        # Values on [0, 1] are the two ends of a scale of two values, and what lies between.
        axes.imshow(arrange(images.numpy(), bins=2, columns=len(images)))
        axes.set_title(name, fontsize=7)
        axes.set_axis_off()
    return figure


ITEM = Item("figure1", make, runs.table)
