r"""Other wavelets and depths (section 6, the paper's future work): five families at L = 1 … 4.

Each is the model with the bound and independent Laplace details, so that bits per dimension say
which transform leaves the fewest bits; the paper's loss would measure only the noise. Depth
changes the encoder's size with it. Runs are short, a third of the table's steps.
"""

from __future__ import annotations

from collections.abc import Sequence

from mrvae.papers.columns import COURSE, ENTRY, PARAMETERS, own
from mrvae.papers.engine import Columns, Item
from mrvae.papers.entries import AnyResult, Entry, with_bounds
from mrvae.papers.kiruluta2025.quality import quality
from mrvae.papers.kiruluta2025.runs import MEASURED, at_budget, wavelet_vae
from mrvae.papers.outcome import Budget, Outcome, Row, number
from mrvae.papers.workspace import Job, Workspace
from mrvae.recipes import override

FAMILIES = ("haar", "db2", "db4", "sym4", "bior2.2")
_DEPTHS = (1, 2, 3, 4)
_SMOKE = (("haar", 1), ("bior2.2", 2))
_SHORT = ("training.steps=500",)


def entries(budget: Budget) -> list[Entry]:
    """Return an entry for each wavelet and number of levels.

    Example:
        >>> [entry.name for entry in entries("smoke")]
        ['haar-L1', 'bior2.2-L2']
    """
    pairs = _SMOKE if budget == "smoke" else [(w, d) for w in FAMILIES for d in _DEPTHS]
    return [_entry(wavelet, depth, budget) for wavelet, depth in pairs]


def _entry(wavelet: str, depth: int, budget: Budget) -> Entry:
    whole = at_budget("wavelet-elbo", budget)
    short = _SHORT if budget == "cpu" else ()
    name = f"{wavelet}-L{depth}"
    changed = override(whole, [f"model.wavelet={wavelet}", f"model.depth={depth}", *short])
    return Entry(name, Job(changed, variation=f"family-{name}"))


def _wavelet(result: AnyResult) -> str | None:
    model = wavelet_vae(result.entry)
    return model.wavelet if model else None


def _levels(result: AnyResult) -> int | None:
    model = wavelet_vae(result.entry)
    return model.depth if model else None


COLUMNS: Columns = {
    **ENTRY,
    "wavelet": _wavelet,
    "levels": _levels,
    **PARAMETERS,
    **own("mse", "mse_se", "ssim", "ssim_se", "band_frechet"),
    **COURSE,
}


def make(workspace: Workspace, entries: Sequence[Entry]) -> Outcome:
    """Train and measure each; one whose training diverges has no row."""
    found = with_bounds(workspace, entries, MEASURED[workspace.budget], quality)
    known = [result for result in found if result.value is not None]
    rows = [{name: of(result) for name, of in COLUMNS.items()} for result in known]
    return Outcome(rows, findings(rows))


def findings(rows: Sequence[Row]) -> list[str]:
    """Return which wavelet has the fewest bits at each number of levels.

    Example:
        >>> pairs = (("haar", 5.0), ("db2", 4.0))
        >>> findings([{"levels": 1, "wavelet": w, "bits_per_dim": b} for w, b in pairs])
        ['L = 1: db2 has the fewest bits, 4.000 per dimension; haar 5.000']
    """
    sentences = []
    for depth in sorted({int(number(row, "levels")) for row in rows}):
        known = sorted(
            (float(bits), str(row["wavelet"]))
            for row in rows
            if row["levels"] == depth and isinstance(bits := row["bits_per_dim"], float)
        )
        if len(known) > 1:
            (least, best), *others = known
            rest = ", ".join(f"{name} {bits:.3f}" for bits, name in others)
            sentences.append(
                f"L = {depth}: {best} has the fewest bits, {least:.3f} per dimension; {rest}"
            )
    return sentences or ["no two wavelets are finished at one depth; nothing to compare"]


ITEM = Item("families", make, entries)
