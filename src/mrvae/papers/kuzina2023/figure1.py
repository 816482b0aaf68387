r"""Figure 1 (section 3.2): the empirical CDF of the KL per unit, for 4, 6, 8 and 10 latents.

In the paper close to 60 % of the units have "almost zero" KL. A CDF over a logarithmic axis shows
what is behind these words: how small the KL is of the units that carry least. A context's units
have no KL of their own and are not in it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mrvae.papers.engine import Item
from mrvae.papers.entries import Entry, measured
from mrvae.papers.kuzina2023.collapse import IDLE, UnitCounts, units
from mrvae.papers.kuzina2023.runs import depths
from mrvae.papers.outcome import Outcome, Row
from mrvae.papers.workspace import Workspace
from mrvae.reports.figures import cdf_figure

_BELOW = (0.0001, 0.001, 0.01, 0.1)
_LEVELS = (0.1, 0.5, 0.9)


def make(workspace: Workspace, entries: Sequence[Entry]) -> Outcome:
    """Measure the KL of every unit of each model."""
    found = measured(workspace, entries, units)
    return Outcome(
        [_row(name, counts) for name, counts in found.items()],
        [finding(name, counts) for name, counts in found.items()],
        {"figure1": cdf_figure({name: counts.kl for name, counts in found.items()})},
    )


def _row(name: str, counts: UnitCounts) -> Row:
    quantiles = np.quantile(counts.kl, _LEVELS).tolist()
    return {
        "cell": name,
        "latents": counts.latents,
        "units": len(counts.kl),
        "images": counts.images,
        "draws": counts.draws,
        "kl_per_unit": counts.without_context.nats_per_unit,
        **{f"share_below_{nats}": counts.share_below(nats) for nats in _BELOW},
        **{f"quantile_{q}": nats for q, nats in zip(_LEVELS, quantiles, strict=True)},
    }


def finding(name: str, counts: UnitCounts) -> str:
    """Return how many units have almost no KL."""
    return (
        f"{name}: {100 * counts.share_below(IDLE):.1f} % of {len(counts.kl)} units have less than "
        f"{IDLE} nats; in the paper's models close to 60 % have almost none"
    )


ITEM = Item("figure1", make, depths)
