"""What each defect of the published estimator is worth, in nats on trained models.

Kuzina & Tomczak 2023 report 78.27 nats for their baseline on MNIST and 76.62 for DCT-VAE, by an
estimator that is no bound (:mod:`mrvae.evaluation.published`). Here one model is measured on the
same images with the same draws, by the valid bound, with each of the four defects, and with all of
them; so that the difference to the valid bound is paired, image by image. The baseline has no
context, and of the four only D1 can touch it. What a defect adds to the *gain* of the context
over the baseline is its difference on the one less that on the other.

The defects do not add up exactly: D3 and D4 act inside the mean that D2 takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from torch import Tensor

from mrvae.evaluation import KUZINA2023, Defects, LikelihoodReport, evaluate
from mrvae.evaluation.statistics import standard_error
from mrvae.papers import bounds
from mrvae.papers.engine import Item
from mrvae.papers.entries import Entry, by_default, measured
from mrvae.papers.kuzina2023.runs import MEASURED, mnist
from mrvae.papers.outcome import Outcome, Row, number
from mrvae.papers.workspace import Measures, Workspace

# Nats on MNIST, table 2 of the paper.
PUBLISHED: Mapping[str, float] = {"vdvae": 78.27, "dct": 76.62, "downsample": 77.52}
_BASE, _CONTEXT = "vdvae", "dct"
ESTIMATORS: Mapping[str, Defects] = {
    "valid": Defects(),
    "D1": Defects(analytic=True),
    "D2": Defects(averaged=True),
    "D3": Defects(open_end=True),
    "D4": Defects(wide_bins=True),
    "all": KUZINA2023,
}


entries = by_default(mnist, _BASE, _CONTEXT)


def rows_of(name: str, report: LikelihoodReport) -> list[Row]:
    """Return a row for each estimator, with its difference to the valid bound."""
    valid = report.estimates[0]
    return [
        {
            "cell": name,
            "estimator": estimator,
            "bound": estimator == "valid",
            "images": len(valid),
            "importance_samples": report.samples,
            **_moments("nats", nats),
            **_moments("difference", nats - valid),
            "paper_nats": PUBLISHED.get(name) if estimator == "all" else None,
        }
        for estimator, nats in zip(ESTIMATORS, report.estimates, strict=True)
    ]


def make(workspace: Workspace, entries: Sequence[Entry]) -> Outcome:
    """Measure each model by every estimator."""
    rows = [row for part in measured(workspace, entries, estimates).values() for row in part]
    return Outcome(rows, findings(rows))


def findings(rows: Sequence[Row]) -> list[str]:
    """Return what all defects come to on each model, and what each adds to the context's gain.

    Example:
        >>> def row(cell, estimator, nats, difference):
        ...     return {"cell": cell, "estimator": estimator, "nats": nats,
        ...             "difference": difference, "difference_se": 0.01}
        >>> base = [row("vdvae", name, 80.0, 0.0) for name in ESTIMATORS]
        >>> dct = [row("dct", name, 79.0, -0.33) for name in ESTIMATORS]
        >>> for sentence in findings([*base, *dct]): print(sentence)
        vdvae: the published estimator is 0.00 ± 0.01 nats above the valid bound
        dct: the published estimator is 0.33 ± 0.01 nats below the valid bound
        dct gains 1.00 nats on vdvae by valid bounds, 1.00 by the published estimator, 1.65 in print
        D1 alone adds 0.33 ± 0.01 nats to the gain, 20% of the 1.65 in print
        D2 alone adds 0.33 ± 0.01 nats to the gain, 20% of the 1.65 in print
        D3 alone adds 0.33 ± 0.01 nats to the gain, 20% of the 1.65 in print
        D4 alone adds 0.33 ± 0.01 nats to the gain, 20% of the 1.65 in print
        all adds 0.33 ± 0.01 nats to the gain, 20% of the 1.65 in print
    """
    found = {(str(row["cell"]), str(row["estimator"])): row for row in rows}
    names = dict.fromkeys(cell for cell, _ in found)
    sums = [_summed(name, found[name, "all"]) for name in names]
    if _BASE not in names or _CONTEXT not in names:
        return sums
    gains = [
        number(found[_BASE, name], "nats") - number(found[_CONTEXT, name], "nats")
        for name in ("valid", "all")
    ]
    return [
        *sums,
        f"{_CONTEXT} gains {gains[0]:.2f} nats on {_BASE} by valid bounds, {gains[1]:.2f} by the"
        f" published estimator, {_printed():.2f} in print",
        *(
            _added(name, found[_BASE, name], found[_CONTEXT, name])
            for name in ESTIMATORS
            if name != "valid"
        ),
    ]


def estimates(workspace: Workspace, entry: Entry) -> list[Row]:
    """Return the rows of a trained entry, one for each estimator, measured or recalled.

    All estimators take the same draws, and the valid bounds come with them: they are kept for the
    other items.
    """
    extent = MEASURED[workspace.budget]
    samples, limit = extent.draws, extent.images

    def measure() -> Measures:
        workspace.log(f"estimators of {entry.job.name}")
        report = evaluate(
            workspace.model(entry.job),
            workspace.images(entry.job, limit),
            samples=samples,
            estimators=tuple(ESTIMATORS.values()),
        )
        if bounds.recalled(workspace, entry.job, samples=samples, limit=limit) is None:
            bounds.keep(workspace, entry.job, report, limit)
        return {"rows": rows_of(entry.name, report)}

    name = f"estimates-k{samples}-n{limit or 'all'}"
    return cast(list[Row], workspace.kept(name, entry.job, measure)["rows"])


def _moments(name: str, values: Tensor) -> dict[str, float | None]:
    return {name: float(values.mean()), f"{name}_se": standard_error(values)}


def _summed(name: str, row: Row) -> str:
    """Return how far the published estimator is from the valid bound."""
    apart, error = number(row, "difference"), number(row, "difference_se", 0.0)
    side = "below" if apart < 0 else "above"
    return (
        f"{name}: the published estimator is {abs(apart):.2f} ± {error:.2f} nats {side} the valid"
        " bound"
    )


def _added(name: str, base: Row, context: Row) -> str:
    """Return what a defect adds to the gain of the context over the baseline."""
    gain = number(base, "difference") - number(context, "difference")
    error = sum(number(row, "difference_se", 0.0) ** 2 for row in (base, context)) ** 0.5
    title = "all" if name == "all" else f"{name} alone"
    return (
        f"{title} adds {gain:.2f} ± {error:.2f} nats to the gain,"
        f" {gain / _printed():.0%} of the {_printed():.2f} in print"
    )


def _printed() -> float:
    """Return the gain that the paper reports."""
    return PUBLISHED[_BASE] - PUBLISHED[_CONTEXT]


ITEM = Item("defects", make, entries)
