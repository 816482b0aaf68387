r"""Table 2 (section 5.1): a context does not harm the likelihood, on MNIST.

Each model has the valid bounds, −ELBO and the importance-weighted one, with the context's term
of it; what of its latent space is used (table 4); and the estimator of the paper, which is no
bound, beside them. The wavelet context is ours. The paper's numbers are by its own estimator, and
after 600 epochs.

The first two of the paper's hypotheses can be read off: that a context does not harm the
likelihood, and that more units are then active, or with more nats. The third, that the top latents
tell more of the image, is that of figure 4.
"""

from __future__ import annotations

from collections.abc import Sequence

from mrvae.papers.entries import Result, compared, result
from mrvae.papers.item import Item
from mrvae.papers.kuzina2023 import collapse, defects, table4
from mrvae.papers.kuzina2023.figure3 import context_nats
from mrvae.papers.kuzina2023.runs import MEASURED, context_size, mnist
from mrvae.papers.outcome import Outcome, Row
from mrvae.papers.workspace import Workspace


def work(workspace: Workspace) -> Outcome:
    """Train and measure the baseline and the three contexts."""
    plan = MEASURED[workspace.budget]
    found = result(
        workspace,
        mnist(workspace.budget),
        samples=plan.samples,
        limit=plan.limit,
        measure=defects.estimates,
    )
    units = collapse.reports(workspace, found)
    rows = tuple(_row(workspace, one, units[one.cell.name]) for one in found)
    return Outcome(rows, (*findings(found), *table4.findings(units)))


def _row(workspace: Workspace, one: Result, report: collapse.Units | None) -> Row:
    known = one.measures is not None
    published = defects.estimates(workspace, one.cell)[-1] if known else {}
    return {
        "cell": one.cell.name,
        "parameters": one.cost.parameters,
        "latents": one.cost.stochastic_depth,
        "latent_space": one.cost.latents,
        "context": context_size(one.cell),
        **one.course(),
        "importance_samples": one.measure("importance_samples"),
        "importance_nats": one.measure("importance_nats"),
        "importance_nats_se": one.measure("importance_nats_se"),
        "context_nats": context_nats(one),
        **collapse.active(report),
        **collapse.carried(report),
        "published_estimator": published.get("nats"),
        "published_estimator_se": published.get("nats_se"),
        "paper_nats": defects.PUBLISHED.get(one.cell.name),
    }


def findings(found: Sequence[Result]) -> list[str]:
    """Compare every context with none, by the importance-weighted bound of the same images."""
    by_name = {one.cell.name: one for one in found}
    baseline = by_name.pop("vdvae", None)
    if baseline is None:
        return ["the model without a context is not finished; nothing to compare"]
    return [
        f"{name} against no context, importance-weighted: "
        f"{compared(one, baseline, 'importance_nats')}"
        for name, one in by_name.items()
    ]


ITEM = Item("table2", "bounds with a context and without, and the published estimator", work, mnist)
