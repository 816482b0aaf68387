r"""Table 4 (section 5.2): active units and KL per unit, without a context and with one.

The paper counts the context's own units among the active ones and in the latent space; so do our
first columns, and the next ones leave them out. The paper finds a gain in active units much larger
than the context. The paper's numbers stand where data and model are its own; its count is over
batches and has the noise of the latents above in it, so that ours may be lower for the same model.
In brackets behind its KL the paper has a number that it does not explain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mrvae.evaluation import UnitTotal
from mrvae.papers import columns
from mrvae.papers.columns import COURSE, ENTRY
from mrvae.papers.engine import Columns, Item, bounded
from mrvae.papers.entries import AnyResult
from mrvae.papers.kuzina2023 import collapse
from mrvae.papers.kuzina2023.collapse import units_of
from mrvae.papers.kuzina2023.runs import MEASURED, NO_BASELINE, mnist
from mrvae.papers.outcome import Row

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
COLUMNS: Columns = {
    **ENTRY,
    "latent_space": lambda result: result.cost.latents,
    "context": lambda result: None if result.value is None else result.value.context,
    **COURSE,
    **collapse.COLUMNS,
    **columns.published(PUBLISHED, lambda entry: entry.job.recipe.name),
}


def findings(results: Sequence[AnyResult]) -> list[str]:
    """Compare the units of each model that has a context with those of the one without."""
    known = {result.name: counts for result in results if (counts := units_of(result)) is not None}
    plain = next((counts for counts in known.values() if not counts.context), None)
    if plain is None:
        return list(NO_BASELINE)
    return [
        _compared(name, counts.whole, counts.without_context, plain.whole)
        for name, counts in known.items()
        if counts.context
    ]


def _compared(name: str, whole: UnitTotal, below: UnitTotal, plain: UnitTotal) -> str:
    """Return in words what a context of some units does to the others."""
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


ITEM = Item("table4", bounded(MEASURED, COLUMNS, findings, measure=collapse.units), mnist)
