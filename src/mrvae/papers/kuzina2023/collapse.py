"""The measures of posterior collapse that tables 1 and 4 and figure 1 share, of trained cells.

Active units are counted as in :mod:`mrvae.evaluation.units`: over all images of the budget, and
without the noise of the latents above, which the published estimate has in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrvae.papers.cells import Cell, Made
from mrvae.papers.desk import Desk
from mrvae.papers.outcome import Budget, Row

if TYPE_CHECKING:
    from mrvae.evaluation import UnitReport

IDLE = 0.01
"""nats below which a unit's KL is called almost zero in the findings; the paper names no number."""


@dataclass(frozen=True)
class Plan:
    """What a budget allows: test images (None: all), and draws of the parents."""

    images: int | None
    draws: int


PLANS: dict[Budget, Plan] = {
    "smoke": Plan(images=20, draws=2),
    "cpu": Plan(images=None, draws=2),
    "paper": Plan(images=None, draws=16),
}


def units(desk: Desk, cell: Cell) -> UnitReport:
    """Return what every unit of a trained cell carries, over the budget's test images."""
    from mrvae.evaluation import unit_report

    desk.say(f"units of {cell.job.name}")
    plan = PLANS[desk.budget]
    images = desk.images(cell.job.recipe, "test", plan.images)
    return unit_report(desk.model(cell.job), images, draws=plan.draws)


def reports(desk: Desk, found: Sequence[Made]) -> dict[str, UnitReport | None]:
    """Return the units of every made cell by its name; None if its training diverged."""
    return {one.cell.name: None if one.measures is None else units(desk, one.cell) for one in found}


def active(report: UnitReport | None) -> Row:
    """Return the columns on active units, with the context's own and without; δ = 0.01."""
    whole, below = (None, None) if report is None else (report.whole, report.without_context)
    return {
        "active_units": None if whole is None else whole.active,
        "active_units_se": None if whole is None else whole.active_se,
        "active_percent": None if whole is None else 100 * whole.share,
        "surely_active_units": None if whole is None else whole.surely_active,
        "active_without_context": None if below is None else below.active,
        "active_percent_without_context": None if below is None else 100 * below.share,
    }


def carried(report: UnitReport | None) -> Row:
    """Return the columns on nats per unit, with the context's own and without."""
    totals = () if report is None else (report.whole, report.without_context)
    means: list[float | None] = [total.nats_per_unit for total in totals] or [None, None]
    errors: list[float | None] = [
        None if total.nats_se is None else total.nats_se / total.units for total in totals
    ] or [None, None]
    return {
        "kl_per_unit": means[0],
        "kl_per_unit_se": errors[0],
        "kl_per_unit_without_context": means[1],
        "kl_per_unit_without_context_se": errors[1],
    }
