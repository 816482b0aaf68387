"""The measures of posterior collapse that tables 1, 2 and 4 and figure 1 share.

Active units are counted as in :mod:`mrvae.evaluation.latents.unit_report`: over all images of the
budget, and without the noise of the latents above, which the published estimate has in it. They are
counted once: what the items need of the count is kept beside the run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from mrvae.evaluation import UnitReport, UnitTotal, unit_report
from mrvae.papers.engine import Columns
from mrvae.papers.entries import AnyResult, Entry
from mrvae.papers.outcome import Extent, Extents, Value
from mrvae.papers.workspace import Measures, Workspace

IDLE = 0.01
"""nats below which a unit's KL is called almost zero in the findings; the paper names no number."""


EXTENTS: Extents = {
    "smoke": Extent(images=20, draws=2),
    "cpu": Extent(draws=2),
    "paper": Extent(draws=16),
}


@dataclass(frozen=True)
class UnitCounts:
    """What is kept of a :class:`mrvae.evaluation.UnitReport`: its totals, and kl_u of every unit.

    Attributes:
        images: their number.
        draws: of the parents.
        latents: stochastic layers that the hierarchy draws.
        whole: total over all layers, the context among them.
        without_context: total over those that the hierarchy draws.
        kl: nats of every unit that the hierarchy draws.
    """

    images: int
    draws: int
    latents: int
    whole: UnitTotal
    without_context: UnitTotal
    kl: tuple[float, ...]

    @classmethod
    def of(cls, report: UnitReport) -> UnitCounts:
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
    def read(cls, found: Measures) -> UnitCounts:
        """Return what :meth:`written` wrote."""
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


def units(workspace: Workspace, entry: Entry) -> UnitCounts:
    """Return the KL of every unit of a trained entry and its totals, measured or recalled."""
    extent = EXTENTS[workspace.budget]

    def measure() -> Measures:
        workspace.log(f"units of {entry.job.name}")
        images = workspace.images(entry.job, extent.images)
        report = unit_report(workspace.model(entry.job), images, draws=extent.draws)
        return UnitCounts.of(report).written()

    name = f"units-s{extent.draws}-n{extent.images or 'all'}"
    return UnitCounts.read(workspace.kept(name, entry.job, measure))


def units_of(result: AnyResult) -> UnitCounts | None:
    """Return the counts of a result, which are its value or the first part of it."""
    value = result.value[0] if isinstance(result.value, tuple) else result.value
    return value if isinstance(value, UnitCounts) else None


def _of(number: Callable[[UnitCounts], Value]) -> Callable[[AnyResult], Value]:
    """Return the column of a number of the counts."""

    def column(result: AnyResult) -> Value:
        counts = units_of(result)
        return None if counts is None else number(counts)

    return column


def _error_per_unit(total: UnitTotal) -> float | None:
    return None if total.nats_se is None else total.nats_se / total.units


# Active units, δ = 0.01, and nats per unit, with the context's own and without.
COLUMNS: Columns = {
    "active_units": _of(lambda u: u.whole.active),
    "active_units_se": _of(lambda u: u.whole.active_se),
    "active_percent": _of(lambda u: 100 * u.whole.share),
    "surely_active_units": _of(lambda u: u.whole.surely_active),
    "active_without_context": _of(lambda u: u.without_context.active),
    "active_percent_without_context": _of(lambda u: 100 * u.without_context.share),
    "kl_per_unit": _of(lambda u: u.whole.nats_per_unit),
    "kl_per_unit_se": _of(lambda u: _error_per_unit(u.whole)),
    "kl_per_unit_without_context": _of(lambda u: u.without_context.nats_per_unit),
    "kl_per_unit_without_context_se": _of(lambda u: _error_per_unit(u.without_context)),
}
