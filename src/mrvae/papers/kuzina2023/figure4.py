r"""Figure 4 (section 5.3.1): similarity of images and what their top m latents encode (Eq. 8).

On CIFAR-10, of 29 latents, the paper's VDVAE knows next to nothing by its top 5, and its MS-SSIM
rises from 0.6 to 0.8 between the 5th and the 10th; the context gives DCT-VAE more than 0.8.
Ours are models of MNIST. ``ms_ssim_paper`` is by the formula that the paper is likely to have
used, which is no MS-SSIM proper, and ``ms_ssim`` by the usual one for small images
(:mod:`mrvae.evaluation.quality.similarity`). An inverse DCT of the context already gives MS-SSIM
of 0.8 and more on photographs: the figure shows what the context holds, more than what a model
learnt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mrvae.evaluation import Partial, partial_report
from mrvae.papers.engine import Item
from mrvae.papers.entries import Entry, measured
from mrvae.papers.kuzina2023.runs import mnist
from mrvae.papers.outcome import Budget, Outcome, Row, Value
from mrvae.papers.workspace import Measures, Workspace
from mrvae.reports.figures import keep_figure

IMAGES: dict[Budget, int | None] = {"smoke": 10, "cpu": 1000, "paper": None}
_NAMES = ("ms_ssim_paper", "ms_ssim", "ssim", "psnr")
Curve = tuple[list[float], list[float]]


class SimilarityCurves(NamedTuple):
    """Means and standard errors of each similarity for every m; and the number of images."""

    curves: Mapping[str, Curve]
    images: int


def measure(workspace: Workspace, entry: Entry) -> SimilarityCurves:
    """Reconstruct test images from their top latents, for every m."""
    limit = IMAGES[workspace.budget]

    def make() -> Measures:
        workspace.log(f"partial reconstructions of {entry.job.name}")
        images = workspace.images(entry.job, limit)
        report = partial_report(workspace.model(entry.job), images, Partial())
        return {"images": len(images), "curves": report.summary()}

    found: dict[str, Any] = workspace.kept(f"partial-n{limit or 'all'}", entry.job, make)
    curves = {name: (each["mean"], each["se"]) for name, each in found["curves"].items()}
    return SimilarityCurves(curves, found["images"])


def make(workspace: Workspace, entries: Sequence[Entry]) -> Outcome:
    """Reconstruct test images from their top latents, for every m and each model."""
    found = measured(workspace, entries, measure)
    rows = [row for name, curves in found.items() for row in _rows(name, curves)]
    panels = {
        measure: {name: shown.curves[measure] for name, shown in found.items()}
        for measure in _NAMES
        if any(measure in shown.curves for shown in found.values())
    }
    first, curves = next(iter(panels.items()))
    return Outcome(rows, findings(curves, first), {"figure4": keep_figure(panels, {})})


def _rows(name: str, shown: SimilarityCurves) -> Iterator[Row]:
    """Yield a row for each m; a measure that is not defined for images so small has no number."""
    curves, images = shown
    depth = len(next(iter(curves.values()))[0])
    for m in range(depth):
        row: dict[str, Value] = {"cell": name, "m": m + 1, "of": depth, "images": images}
        for measure in _NAMES:
            mean, se = curves.get(measure, ([None] * depth, [None] * depth))
            row |= {measure: mean[m], f"{measure}_se": se[m]}
        yield row


def findings(curves: Mapping[str, Curve], measure: str) -> list[str]:
    """Return the value with one latent, and how many are needed for half of the way to all.

    Example:
        >>> findings({"dct": ([0.5, 0.6, 0.9], [0.0, 0.0, 0.0])}, "ms_ssim")[0]
        'dct: ms_ssim is 0.500 ± 0.000 with 1 latent and 0.900 ± 0.000 with all 3; half of ...'
    """
    return [_finding(name, measure, means, errors) for name, (means, errors) in curves.items()]


def _finding(name: str, measure: str, means: list[float], errors: list[float]) -> str:
    half = (means[0] + means[-1]) / 2
    rising = means[-1] > means[0]
    first = next(m for m, mean in enumerate(means, start=1) if mean >= half) if rising else None
    way = f"half of the way is made by {first}" if first else "more latents do not make it larger"
    return (
        f"{name}: {measure} is {means[0]:.3f} ± {errors[0]:.3f} with 1 latent and "
        f"{means[-1]:.3f} ± {errors[-1]:.3f} with all {len(means)}; {way}"
    )


ITEM = Item("figure4", make, mnist)
