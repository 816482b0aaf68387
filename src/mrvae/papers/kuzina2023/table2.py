r"""Table 2 (section 5.1): a context does not harm the likelihood, on MNIST.

Each model has the valid bounds, −ELBO and the importance-weighted one, with the context's term
of it; what of its latent space is used (table 4); and the estimator of the paper, which is no
bound, beside them. The wavelet context is ours. The paper's numbers are by its own estimator, and
after 600 epochs.

The first two of the paper's hypotheses can be read off: that a context does not harm the
likelihood, and that more units are then active, or with more nats. The third, that the top latents
hold more of the image, is that of figure 4.
"""

from __future__ import annotations

from collections.abc import Sequence

from mrvae.papers import columns
from mrvae.papers.columns import COURSE, ENTRY, PARAMETERS
from mrvae.papers.compare import comparisons
from mrvae.papers.engine import Columns, Item, bounded
from mrvae.papers.entries import Entry, Result
from mrvae.papers.kuzina2023 import collapse, defects, runs, table4
from mrvae.papers.outcome import Row, Value
from mrvae.papers.workspace import Workspace

Measured = tuple[collapse.UnitCounts, Row]


def measure(workspace: Workspace, entry: Entry) -> Measured:
    """Return the units of an entry, and the row of the published estimator."""
    *_, published = defects.estimates(workspace, entry)
    return collapse.units(workspace, entry), published


def _published(result: Result[Measured], name: str) -> Value:
    return None if result.value is None else result.value[1][name]


COLUMNS: Columns = {
    **ENTRY,
    **PARAMETERS,
    "latents": columns.depth,
    "latent_space": lambda result: result.cost.latents,
    "context": lambda result: runs.context_size(result.entry),
    **COURSE,
    **runs.IMPORTANCE,
    "context_nats": runs.context_nats,
    **collapse.COLUMNS,
    "published_estimator": lambda result: _published(result, "nats"),
    "published_estimator_se": lambda result: _published(result, "nats_se"),
    "paper_nats": lambda result: defects.PUBLISHED.get(result.name),
}
_of_bounds = comparisons(
    lambda result, _: f"{result.name} against no context, importance-weighted:",
    "importance_nats",
    runs.NO_BASELINE,
)


def findings(results: Sequence[Result[Measured]]) -> list[str]:
    """Compare every context with none, by the importance-weighted bound and by units."""
    return [*_of_bounds(results), *table4.findings(results)]


ITEM = Item("table2", bounded(runs.MEASURED, COLUMNS, findings, measure=measure), runs.mnist)
