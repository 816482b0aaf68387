r"""Other wavelets and depths (section 6, the paper's future work): five families at L = 1 … 4.

Each is the model with the bound and independent Laplace details, so that bits per dimension say
which transform leaves the least to tell; the paper's loss would measure the noise alone. Depth
changes the encoder's size with it. Runs are short, a third of the table's steps.
"""

from __future__ import annotations

from collections.abc import Sequence

from mrvae.papers.entries import Entry, Result, result
from mrvae.papers.item import Item
from mrvae.papers.kiruluta2025.quality import quality
from mrvae.papers.kiruluta2025.runs import IMAGES, at_budget, wavelet_vae
from mrvae.papers.outcome import Budget, Outcome, Row
from mrvae.papers.workspace import Job, Workspace
from mrvae.recipes import override

FAMILIES = ("haar", "db2", "db4", "sym4", "bior2.2")
_DEPTHS = (1, 2, 3, 4)
_SMOKE = (("haar", 1), ("bior2.2", 2))
_SHORT = ("training.steps=500",)
_NUMBERS = ("mse", "mse_se", "ssim", "ssim_se", "band_frechet")


def cells(budget: Budget) -> list[Entry]:
    """Return a cell for each wavelet and number of levels.

    Example:
        >>> [cell.name for cell in cells("smoke")]
        ['haar-L1', 'bior2.2-L2']
    """
    pairs = _SMOKE if budget == "smoke" else [(w, d) for w in FAMILIES for d in _DEPTHS]
    return [_cell(wavelet, depth, budget) for wavelet, depth in pairs]


def _cell(wavelet: str, depth: int, budget: Budget) -> Entry:
    whole = at_budget("wavelet-elbo", budget)
    short = _SHORT if budget == "cpu" else ()
    name = f"{wavelet}-L{depth}"
    changed = override(whole, [f"model.wavelet={wavelet}", f"model.depth={depth}", *short])
    return Entry(name, Job(changed, variation=f"family-{name}"))


def work(workspace: Workspace) -> Outcome:
    """Train and measure each."""
    found = result(workspace, cells(workspace.budget), limit=IMAGES[workspace.budget])
    rows = [_row(workspace, one) for one in found if one.measures is not None]
    return Outcome(tuple(rows), tuple(findings(rows)))


def _row(workspace: Workspace, one: Result) -> Row:
    model, measures = wavelet_vae(one.cell), quality(workspace, one.cell)
    numbers = {k: v if isinstance(v := measures[k], float) else None for k in _NUMBERS}
    return {
        "cell": one.cell.name,
        "wavelet": model.wavelet if model else None,
        "levels": model.depth if model else None,
        "parameters": one.cost.parameters,
        **numbers,
        **one.course(),
    }


def findings(rows: Sequence[Row]) -> list[str]:
    """Say which wavelet has the fewest bits at each number of levels.

    Example:
        >>> pairs = (("haar", 5.0), ("db2", 4.0))
        >>> findings([{"levels": 1, "wavelet": w, "bits_per_dim": b} for w, b in pairs])
        ['L = 1: db2 has the fewest bits, 4.000 per dimension; haar 5.000']
    """
    said = []
    for depth in sorted({int(row["levels"] or 0) for row in rows}):
        known = sorted(
            (float(bits), str(row["wavelet"]))
            for row in rows
            if row["levels"] == depth and isinstance(bits := row["bits_per_dim"], float)
        )
        if len(known) > 1:
            (least, best), *others = known
            rest = ", ".join(f"{name} {bits:.3f}" for bits, name in others)
            said.append(
                f"L = {depth}: {best} has the fewest bits, {least:.3f} per dimension; {rest}"
            )
    return said or ["no two wavelets are finished at one depth; nothing to compare"]


ITEM = Item("families", "five wavelets at one to four levels, by bits per dimension", work, cells)
