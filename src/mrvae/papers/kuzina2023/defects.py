"""What each defect of the published estimator is worth, in nats on trained models.

Kuzina & Tomczak 2023 report 78.27 nats for their baseline on MNIST and 76.62 for DCT-VAE, by an
estimator that is no bound (:mod:`mrvae.evaluation.published`). Here one model is measured on the
same images with the same draws, by the valid bound, with each of the four defects alone, and with
all of them; so that the difference to the valid bound is paired, image by image. The baseline has
no context, and of the four only D1 can touch it. What a defect adds to the *gain* of the context
over the baseline is its difference on the one less that on the other.

The defects do not add up exactly: D3 and D4 act inside the mean that D2 takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from mrvae.papers.entries import Entry, chosen, with_defaults
from mrvae.papers.item import Item
from mrvae.papers.kuzina2023.runs import MEASURED, mnist
from mrvae.papers.outcome import Budget, Outcome, Row
from mrvae.papers.workspace import Workspace

if TYPE_CHECKING:
    from torch import Tensor

    from mrvae.evaluation import Defects, LikelihoodReport

# Nats on MNIST, table 2 of the paper.
PUBLISHED: Mapping[str, float] = {"vdvae": 78.27, "dct": 76.62, "downsample": 77.52}
_BASE, _CONTEXT = "vdvae", "dct"
ESTIMATORS = ("valid", "D1", "D2", "D3", "D4", "all")


def cells(budget: Budget) -> list[Entry]:
    """Return the models of the paper's runs, the baseline and the DCT by default."""
    return with_defaults(mnist(budget), (_BASE, _CONTEXT))


def work(workspace: Workspace) -> Outcome:
    """Train what is not trained, and measure each model by every estimator."""
    rows: list[Row] = []
    for cell in chosen(cells(workspace.budget), workspace.only):
        workspace.trained(cell.job)
        rows += estimates(workspace, cell)
    return Outcome(tuple(rows), tuple(findings(rows)))


def estimators() -> dict[str, Defects]:
    """Return the defects that are switched on, by the name of an estimator."""
    from mrvae.evaluation import KUZINA2023, Defects

    each = (
        Defects(),
        Defects(analytic=True),
        Defects(averaged=True),
        Defects(open_end=True),
        Defects(wide_bins=True),
        KUZINA2023,
    )
    return dict(zip(ESTIMATORS, each, strict=True))


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


def findings(rows: Sequence[Row]) -> list[str]:
    """Say what all defects come to on each model, and what each adds to the context's gain.

    Example:
        >>> def row(cell, estimator, nats, difference):
        ...     return {"cell": cell, "estimator": estimator, "nats": nats,
        ...             "difference": difference, "difference_se": 0.01}
        >>> base = [row("vdvae", name, 80.0, 0.0) for name in ESTIMATORS]
        >>> dct = [row("dct", name, 79.0, -0.33) for name in ESTIMATORS]
        >>> for said in findings([*base, *dct]): print(said)
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
    said = [_summed(name, found[name, "all"]) for name in names]
    if _BASE not in names or _CONTEXT not in names:
        return said
    gains = [
        _number(found[_BASE, one], "nats") - _number(found[_CONTEXT, one], "nats")
        for one in ("valid", "all")
    ]
    return [
        *said,
        f"{_CONTEXT} gains {gains[0]:.2f} nats on {_BASE} by valid bounds, {gains[1]:.2f} by the"
        f" published estimator, {_printed():.2f} in print",
        *(_added(name, found[_BASE, name], found[_CONTEXT, name]) for name in ESTIMATORS[1:]),
    ]


def estimates(workspace: Workspace, cell: Entry) -> list[Row]:
    """Return the rows of a finished cell, measured now or before.

    All estimators take the same draws, and so the valid bounds come with them: the desk remembers
    them for the other items.
    """
    plan = MEASURED[workspace.budget]

    def measure() -> dict[str, object]:
        from mrvae.evaluation import evaluate

        workspace.say(f"estimators of {cell.job.name}")
        images = workspace.images(cell.job.recipe, "test", plan.limit)
        wanted = tuple(estimators().values())
        report = evaluate(
            workspace.model(cell.job), images, samples=plan.samples, estimators=wanted
        )
        if workspace.remembered(cell.job, samples=plan.samples, limit=plan.limit) is None:
            workspace.remember(cell.job, report, plan.limit)
        return {"rows": rows_of(cell.name, report)}

    name = f"estimates-k{plan.samples}-n{plan.limit or 'all'}"
    return cast(list[Row], workspace.kept(name, cell.job, measure)["rows"])


def _moments(name: str, values: Tensor) -> dict[str, float | None]:
    from mrvae.evaluation.statistics import standard_error

    return {name: float(values.mean()), f"{name}_se": standard_error(values)}


def _summed(name: str, row: Row) -> str:
    """Say how far the published estimator is from the valid bound."""
    apart, error = _number(row, "difference"), _number(row, "difference_se")
    side = "below" if apart < 0 else "above"
    return (
        f"{name}: the published estimator is {abs(apart):.2f} ± {error:.2f} nats {side} the valid"
        " bound"
    )


def _added(name: str, base: Row, context: Row) -> str:
    """Say what a defect adds to the gain of the context over the baseline."""
    gain = _number(base, "difference") - _number(context, "difference")
    error = (_number(base, "difference_se") ** 2 + _number(context, "difference_se") ** 2) ** 0.5
    title = "all" if name == "all" else f"{name} alone"
    return (
        f"{title} adds {gain:.2f} ± {error:.2f} nats to the gain,"
        f" {gain / _printed():.0%} of the {_printed():.2f} in print"
    )


def _printed() -> float:
    """Return the gain that the paper reports."""
    return PUBLISHED[_BASE] - PUBLISHED[_CONTEXT]


def _number(row: Row, name: str) -> float:
    """Return a number of a row; 0 for an error that is not known."""
    value = row[name]
    return float(value) if isinstance(value, int | float) else 0.0


ITEM = Item("defects", "nats that each defect of the published estimator is worth", work, cells)
