r"""Table 1 (section 3.2): hierarchies of equal size, and the more latents the fewer of them used.

Four models of about 650 thousand parameters have 4, 6, 8 and 10 latents, 490 to 1225 units. In the
paper no more than 40 % of the units are active, and active units and KL per unit fall with the
number of latents while the likelihood improves. Its NLL is that of the published estimator, which
is no bound; ours is the importance-weighted one, and should be compared within our own column.
"""

from __future__ import annotations

from collections.abc import Sequence

from mrvae.papers import columns
from mrvae.papers.columns import COURSE, ENTRY, PARAMETERS, bound
from mrvae.papers.engine import Columns, Item, bounded
from mrvae.papers.entries import Result
from mrvae.papers.kuzina2023 import collapse
from mrvae.papers.kuzina2023.runs import MEASURED, depths
from mrvae.papers.outcome import Row

PUBLISHED: dict[str, Row] = {
    f"L{depth}": {
        "paper_size": size,
        "paper_latent_space": units,
        "paper_active_percent": active,
        "paper_kl_per_unit": kl,
        "paper_nll": nll,
    }
    for depth, size, units, active, kl, nll in (
        (4, "676K", 490, 38.3, 0.047, 79.6),
        (6, "624K", 735, 37.9, 0.031, 78.8),
        (8, "657K", 980, 33.5, 0.022, 78.3),
        (10, "651K", 1225, 33.6, 0.018, 77.9),
    )
}
COLUMNS: Columns = {
    **ENTRY,
    **PARAMETERS,
    "latents": columns.depth,
    "latent_space": lambda result: result.cost.latents,
    **COURSE,
    **collapse.COLUMNS,
    "importance_samples": bound("importance_samples"),
    "nll": bound("importance_nats"),
    "nll_se": bound("importance_nats_se"),
    **columns.published(PUBLISHED),
}


def findings(results: Sequence[Result[collapse.UnitCounts]]) -> list[str]:
    """State whether active units and KL per unit fall with the size of the latent space."""
    known = [(result.name, result.value) for result in results if result.value is not None]
    known.sort(key=lambda pair: pair[1].whole.units)
    if len(known) < 2:
        return ["fewer than two depths are finished; nothing to compare"]
    names = ", ".join(name for name, _ in known)
    shares = [100 * report.whole.share for _, report in known]
    nats = [report.whole.nats_per_unit for _, report in known]
    return [
        f"from {names}, in order of latent space: active units {_course(shares, '.1f')} %: "
        f"{_falls(shares)}",
        f"from {names}: nats per unit {_course(nats, '.4f')}: {_falls(nats)}",
        f"the largest share of active units is {max(shares):.1f} %; the paper has at most 40 %",
    ]


def _course(values: Sequence[float], form: str) -> str:
    return ", ".join(format(value, form) for value in values)


def _falls(values: Sequence[float]) -> str:
    """Return in words whether values fall.

    Example:
        >>> _falls([3.0, 2.0, 1.0]), _falls([3.0, 1.0, 2.0])
        ('falls throughout', 'falls from the first to the last, not throughout')
    """
    if list(values) == sorted(set(values), reverse=True):
        return "falls throughout"
    if values[-1] < values[0]:
        return "falls from the first to the last, not throughout"
    return "does not fall"


ITEM = Item("table1", bounded(MEASURED, COLUMNS, findings, measure=collapse.units), depths)
