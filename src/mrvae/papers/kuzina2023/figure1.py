r"""Figure 1 (section 3.2): the empirical CDF of the KL per unit, for 4, 6, 8 and 10 latents.

In the paper close to 60 % of the units have "almost zero" KL. A CDF over a logarithmic axis shows
what is behind these words: how small the KL is of the units that carry least. A context's units
have no KL of their own and are not in it.
"""

from __future__ import annotations

from mrvae.papers.entries import Entry, chosen
from mrvae.papers.item import Item
from mrvae.papers.kuzina2023 import collapse
from mrvae.papers.kuzina2023.runs import depths
from mrvae.papers.outcome import Outcome, Row
from mrvae.papers.workspace import Workspace
from mrvae.report import cdf_figure

_BELOW = (0.0001, 0.001, 0.01, 0.1)


def work(workspace: Workspace) -> Outcome:
    """Measure the KL of every unit of each model."""
    rows: list[Row] = []
    said: list[str] = []
    curves = {}
    for cell in chosen(depths(workspace.budget), workspace.only):
        workspace.trained(cell.job)
        report = collapse.units(workspace, cell)
        rows.append(_row(cell, report))
        said.append(finding(cell.name, report))
        curves[cell.name] = report.kl
    return Outcome(tuple(rows), tuple(said), {"figure1": cdf_figure(curves)})


def _row(cell: Entry, report: collapse.Units) -> Row:
    import numpy as np

    levels = (0.1, 0.5, 0.9)
    found = np.quantile(report.kl, levels).tolist()
    return {
        "cell": cell.name,
        "latents": report.latents,
        "units": len(report.kl),
        "images": report.images,
        "draws": report.draws,
        "kl_per_unit": report.without_context.nats_per_unit,
        **{f"share_below_{nats}": report.share_below(nats) for nats in _BELOW},
        **{f"quantile_{level}": nats for level, nats in zip(levels, found, strict=True)},
    }


def finding(name: str, report: collapse.Units) -> str:
    """Say how many units have almost no KL."""
    idle = 100 * report.share_below(collapse.IDLE)
    return (
        f"{name}: {idle:.1f} % of {len(report.kl)} units have less than {collapse.IDLE} nats; in "
        "the paper's models close to 60 % have almost none"
    )


ITEM = Item("figure1", "distribution of the KL per unit", work, depths)
