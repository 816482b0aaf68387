r"""Figure 4 (section 5.3.1): how alike images are to what their top m latents tell (Eq. 8).

On CIFAR-10, of 29 latents, the paper's VDVAE knows next to nothing by its top 5, and its MS-SSIM
rises from 0.6 to 0.8 between the 5th and the 10th; the context alone gives DCT-VAE more than 0.8.
Our cells are models of MNIST. ``ms_ssim_paper`` is by the formula that the paper is likely to have
used, which is no MS-SSIM proper, and ``ms_ssim`` by the usual one for small images
(:mod:`mrvae.evaluation.quality.similarity`). An inverse DCT of the context alone already gives
MS-SSIM of 0.8 and more on photographs: the figure shows what the context holds, more than what a
model learnt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mrvae.papers.entries import Entry, chosen
from mrvae.papers.item import Item
from mrvae.papers.kuzina2023.runs import mnist
from mrvae.papers.outcome import Budget, Outcome, Row
from mrvae.papers.workspace import Measures, Workspace
from mrvae.report import keep_figure

IMAGES: dict[Budget, int | None] = {"smoke": 10, "cpu": 1000, "paper": None}
_NAMES = ("ms_ssim_paper", "ms_ssim", "ssim", "psnr")


@dataclass(frozen=True)
class _Shown:
    """A cell's similarities: means and standard errors for every m; and the number of images."""

    curves: Mapping[str, tuple[list[float], list[float]]]
    images: int


def work(workspace: Workspace) -> Outcome:
    """Reconstruct test images from their top latents, for every m and each model."""
    found = {}
    for cell in chosen(mnist(workspace.budget), workspace.only):
        workspace.trained(cell.job)
        found[cell.name] = _measure(workspace, cell)
    rows = tuple(row for name, shown in found.items() for row in _rows(name, shown))
    measures = [n for n in _NAMES if any(n in shown.curves for shown in found.values())]
    panels = {
        measure: {name: shown.curves[measure] for name, shown in found.items()}
        for measure in measures
    }
    said = findings(panels[measures[0]], measures[0])
    return Outcome(rows, tuple(said), {"figure4": keep_figure(panels, {})})


def _measure(workspace: Workspace, cell: Entry) -> _Shown:
    """Return the curves of a trained cell, measured now or before."""
    limit = IMAGES[workspace.budget]

    def measure() -> Measures:
        from mrvae.evaluation import Partial, partial_report

        workspace.say(f"partial reconstructions of {cell.job.name}")
        images = workspace.images(cell.job.recipe, "test", limit)
        report = partial_report(workspace.model(cell.job), images, Partial())
        return {"images": len(images), "curves": report.summary()}

    found: dict[str, Any] = workspace.kept(f"partial-n{limit or 'all'}", cell.job, measure)
    curves = {name: (each["mean"], each["se"]) for name, each in found["curves"].items()}
    return _Shown(curves, found["images"])


def _rows(name: str, shown: _Shown) -> Iterator[Row]:
    """Yield a row for each m; a measure that is not defined for images so small has no number."""
    curves = shown.curves
    depth = len(next(iter(curves.values()))[0])
    for m in range(depth):
        row: dict[str, str | int | float | None] = {"cell": name, "m": m + 1, "of": depth}
        row["images"] = shown.images
        for measure in _NAMES:
            mean, se = curves.get(measure, ([None] * depth, [None] * depth))
            row |= {measure: mean[m], f"{measure}_se": se[m]}
        yield row


def findings(curves: Mapping[str, tuple[list[float], list[float]]], measure: str) -> list[str]:
    """Say what one latent tells, and how many are needed for half of what all of them tell.

    Example:
        >>> findings({"dct": ([0.5, 0.6, 0.9], [0.0, 0.0, 0.0])}, "ms_ssim")[0]
        'dct: ms_ssim is 0.500 ± 0.000 with 1 latent and 0.900 ± 0.000 with all 3; half of ...'
    """
    return [_said(name, measure, means, errors) for name, (means, errors) in curves.items()]


def _said(name: str, measure: str, means: list[float], errors: list[float]) -> str:
    half = (means[0] + means[-1]) / 2
    rising = means[-1] > means[0]
    first = next(m for m, mean in enumerate(means, start=1) if mean >= half) if rising else None
    way = f"half of the way is made by {first}" if first else "more latents do not make it larger"
    return (
        f"{name}: {measure} is {means[0]:.3f} ± {errors[0]:.3f} with 1 latent and "
        f"{means[-1]:.3f} ± {errors[-1]:.3f} with all {len(means)}; {way}"
    )


ITEM = Item("figure4", "similarity of images and what their top latents tell", work, mnist)
