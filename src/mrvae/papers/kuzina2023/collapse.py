"""The measures of posterior collapse that tables 1, 2 and 4 and figure 1 share, of trained cells.

Active units are counted as in :mod:`mrvae.evaluation.latents.unit_report`: over all images of the
budget, and without the noise of the latents above, which the published estimate has in it. They are
counted once: what the items need of the count is kept beside the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mrvae.papers.entries import Entry, Result
from mrvae.papers.outcome import Budget, Row
from mrvae.papers.workspace import Measures, Workspace

if TYPE_CHECKING:
    from mrvae.evaluation import UnitReport, UnitTotal

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


@dataclass(frozen=True)
class Units:
    """What is kept of a :class:`mrvae.evaluation.UnitReport`: its totals, and kl_u of every unit.

    Attributes:
        images: their number.
        draws: of the parents.
        latents: stochastic layers that a cell draws.
        whole: total over all layers, the context among them.
        without_context: total over those that a cell draws.
        kl: nats of every unit that a cell draws.
    """

    images: int
    draws: int
    latents: int
    whole: UnitTotal
    without_context: UnitTotal
    kl: tuple[float, ...]

    @classmethod
    def of(cls, report: UnitReport) -> Units:
        """Take from a report what is kept."""
        return cls(
            len(report.nats),
            report.draws,
            len(report.shapes) - report.contexts,
            report.whole,
            report.without_context,
            tuple(report.kl.tolist()),
        )

    @classmethod
    def read(cls, found: Measures) -> Units:
        """Return what :meth:`written` wrote."""
        from mrvae.evaluation import UnitTotal

        values: dict[str, Any] = found
        totals = {name: UnitTotal(**values[name]) for name in ("whole", "without_context")}
        return cls(**{**values, **totals, "kl": tuple(values["kl"])})

    def written(self) -> Measures:
        """Return all of it as JSON has it."""
        return asdict(self)

    @property
    def context(self) -> int:
        """How many units the context has; 0 if there is none."""
        return self.whole.units - self.without_context.units

    def share_below(self, nats: float) -> float:
        """Return the part of the units whose kl_u is below ``nats``: the empirical CDF."""
        return sum(each < nats for each in self.kl) / len(self.kl)


def units(workspace: Workspace, cell: Entry) -> Units:
    """Return what every unit of a trained cell carries, measured now or before."""
    plan = PLANS[workspace.budget]

    def measure() -> Measures:
        from mrvae.evaluation import unit_report

        workspace.say(f"units of {cell.job.name}")
        images = workspace.images(cell.job.recipe, "test", plan.images)
        report = unit_report(workspace.model(cell.job), images, draws=plan.draws)
        return Units.of(report).written()

    name = f"units-s{plan.draws}-n{plan.images or 'all'}"
    return Units.read(workspace.kept(name, cell.job, measure))


def reports(workspace: Workspace, found: Sequence[Result]) -> dict[str, Units | None]:
    """Return the units of every made cell by its name; None if its training diverged."""
    return {
        one.cell.name: None if one.measures is None else units(workspace, one.cell) for one in found
    }


def active(report: Units | None) -> Row:
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


def carried(report: Units | None) -> Row:
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
