r"""Table 4 (section 5.2): active units and KL per unit, without a context and with one.

The paper counts the context's own units among the active ones and in the latent space; so do our
first columns, and the next ones leave them out. The gain in active units is said to be much larger
than the context. The paper's numbers stand where data and model are its own; its count is over
batches and has the noise of the latents above in it, so that ours may be lower for the same model.
In brackets behind its KL the paper has a number that it does not explain.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mrvae.papers.entries import Result, result
from mrvae.papers.item import Item
from mrvae.papers.kuzina2023 import collapse
from mrvae.papers.kuzina2023.runs import MEASURED, mnist
from mrvae.papers.outcome import Outcome, Row
from mrvae.papers.workspace import Workspace

if TYPE_CHECKING:
    from mrvae.evaluation import UnitTotal

PUBLISHED: dict[str, Row] = {
    f"kuzina2023-{name}": {
        "paper_latent_space": units,
        "paper_context": context,
        "paper_active_units": active,
        "paper_active_percent": percent,
        "paper_kl_per_unit": kl,
    }
    for name, units, context, active, percent, kl in (
        ("mnist-vdvae", 980, 0, 336, 34.4, 0.0229),
        ("mnist-dct", 967, 36, 405, 41.9, 0.0259),
        ("omniglot-vdvae", 980, 0, 494, 50.4, 0.0351),
        ("omniglot-dct", 980, 49, 593, 60.5, 0.0365),
        ("cifar10-vdvae", 105_000, 0, 7500, 7.1, 0.0476),
        ("cifar10-dct", 105_000, 108, 11_300, 10.8, 0.0516),
    )
}
_UNKNOWN: Row = dict.fromkeys(next(iter(PUBLISHED.values())))


def work(workspace: Workspace) -> Outcome:
    """Train and measure the baseline and the models with a context."""
    plan = MEASURED[workspace.budget]
    found = result(workspace, mnist(workspace.budget), samples=plan.samples, limit=plan.limit)
    units = collapse.reports(workspace, found)
    rows = tuple(_row(one, units[one.cell.name]) for one in found)
    return Outcome(rows, tuple(findings(units)))


def _row(one: Result, report: collapse.Units | None) -> Row:
    return {
        "cell": one.cell.name,
        "latent_space": one.cost.latents,
        "context": None if report is None else report.context,
        **one.course(),
        **collapse.active(report),
        **collapse.carried(report),
        **PUBLISHED.get(one.cell.job.recipe.name, _UNKNOWN),
    }


def findings(units: dict[str, collapse.Units | None]) -> list[str]:
    """Compare each model that has a context with the one that has none."""
    known = {name: report for name, report in units.items() if report is not None}
    plain = next((report for report in known.values() if not report.context), None)
    if plain is None:
        return ["the model without a context is not finished; nothing to compare"]
    return [
        _compared(name, report.whole, report.without_context, plain.whole)
        for name, report in known.items()
        if report.context
    ]


def _compared(name: str, whole: UnitTotal, below: UnitTotal, plain: UnitTotal) -> str:
    """Say what a context of some units does to the others."""
    gain, added = whole.active - plain.active, below.active - plain.active
    error = math.hypot(below.active_se or 0.0, plain.active_se or 0.0)
    word = "no clear difference" if abs(added) <= 2 * error else "more" if added > 0 else "fewer"
    return (
        f"{name}: {whole.active} active units against {plain.active} without a context, "
        f"{gain:+d}; its {whole.units - below.units} own units left out, {below.active}, "
        f"{added:+d} ± {error:.1f}: {word}. {_per_unit(below)} nats per unit against "
        f"{_per_unit(plain)}, and {_per_unit(whole)} with the context's"
    )


def _per_unit(total: UnitTotal) -> str:
    return f"{total.nats_per_unit:.4f}"


ITEM = Item("table4", "active units and KL per unit, without and with a context", work, mnist)
