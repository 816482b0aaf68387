r"""Figure 10 (appendix H): how robust the top latents are to attacks.

The paper attacks the top m latents of 50 test images from 5 starts each, and shows the similarity
(MS-SSIM) of the reconstructions before and after, against m: the DCT-VAE is less affected than the
VDVAE, most clearly at m = 2. It gives neither a radius nor the optimiser, but for a reference to
Kuzina et al. (2022); we take that paper's optimiser and its radii, 0.05, 0.1 and 0.2, and projected
ascent along the sign as the stronger attack. ``paper`` has the 50 images and 5 starts; ``cpu`` has
the same radii, latents and steps on the first 8 images from 2 starts each, five minutes of one
core for a model. The reconstructions are those of the m attacked latents, with the prior's means
below, so that each m has its own reference. A context is one of the m, and part of what is
climbed: see :mod:`mrvae.evaluation.robustness.attack`. So the two optimisers are compared by what
both climb.

The paper's figure is a picture without numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from mrvae.evaluation import PlainGradient, SignGradient, attack
from mrvae.papers.engine import Item
from mrvae.papers.entries import Entry, by_default, measured
from mrvae.papers.kuzina2023 import runs
from mrvae.papers.outcome import Budget, Outcome, Row, Value, number
from mrvae.papers.workspace import Workspace
from mrvae.reports.figures import empty_figure

_CLEAR = 2.0
_EQUAL = 1e-3
_RADII = (0.05, 0.1, 0.2)


@dataclass(frozen=True)
class AttackBudget:
    """How much is attacked: numbers of attacked latents, radii, images, starts, and steps.

    ``steps`` are those of the published optimiser; the sign takes twice as many.
    """

    latents: tuple[int, ...]
    radii: tuple[float, ...]
    images: int
    restarts: int
    steps: int


ATTACKS: dict[Budget, AttackBudget] = {
    "smoke": AttackBudget((1, 2), (0.1,), images=2, restarts=2, steps=3),
    "cpu": AttackBudget((1, 2, 4, 8), _RADII, images=8, restarts=2, steps=50),
    "paper": AttackBudget((1, 2, 4, 8), _RADII, images=50, restarts=5, steps=50),
}


entries = by_default(runs.mnist, "vdvae", "dct")


def make(workspace: Workspace, entries: Sequence[Entry]) -> Outcome:
    """Attack each model by both optimisers at every radius and number of latents."""
    parts = measured(workspace, entries, lambda *place: list(_rows(*place)))
    rows = [row for part in parts.values() for row in part]
    radii = ATTACKS[workspace.budget].radii
    figures = {f"figure10-radius{radius:g}": figure(rows, radius) for radius in radii}
    return Outcome(rows, findings(rows), figures)


def _rows(workspace: Workspace, entry: Entry) -> Iterator[Row]:
    budget, model = ATTACKS[workspace.budget], workspace.model(entry.job)
    images = workspace.images(entry.job, budget.images)
    for radius in budget.radii:
        for name, ascent in ascents(budget.steps).items():
            for keep in budget.latents:
                workspace.log(f"attack {entry.name}: top {keep}, radius {radius:g}, {name}")
                report = attack(
                    model, images, ascent, radius=radius, keep=keep, restarts=budget.restarts
                )
                yield {
                    "cell": entry.name,
                    "latents": keep,
                    "radius": radius,
                    "optimizer": name,
                    **report.summary(),
                }


def ascents(steps: int) -> dict[str, PlainGradient | SignGradient]:
    """Return both optimisers by name, the sign with twice the steps."""
    return {"published": PlainGradient(steps), "pgd": SignGradient(2 * steps)}


def findings(rows: Sequence[Row]) -> list[str]:
    """Return where a context is the more robust, and where the sign reaches more.

    Example:
        >>> row = {"latents": 2, "radius": 0.1, "optimizer": "pgd", "similarity_se": 0.01}
        >>> rows = [{**row, "cell": "vdvae", "similarity": 0.5}]
        >>> rows.append({**row, "cell": "dct", "similarity": 0.6})
        >>> findings(rows)[0]
        'radius 0.1, pgd, top 2: dct is more robust than vdvae, 0.600 against 0.500'
    """
    found: dict[tuple[Value, ...], Row] = {
        (r["cell"], r["optimizer"], r["radius"], r["latents"]): r for r in rows
    }
    sentences = []
    for (cell, *setting), row in found.items():
        optimizer, radius, latents = setting
        plain = found.get(("vdvae", *setting))
        if cell != "vdvae" and plain is not None:
            sentences.append(
                f"radius {radius}, {optimizer}, top {latents}: {_compared(row, plain)}"
            )
    return sentences + list(_optimizers(found))


def _compared(row: Row, plain: Row) -> str:
    """Return which of two models is the more robust, if by two standard errors."""
    (a, b), (da, db) = (
        [number(r, k, 0.0) for r in (row, plain)] for k in ("similarity", "similarity_se")
    )
    if abs(a - b) <= _CLEAR * float((da**2 + db**2) ** 0.5):
        verdict = "about as robust as"
    else:
        verdict = "more robust than" if a > b else "less robust than"
    return f"{row['cell']} is {verdict} vdvae, {a:.3f} against {b:.3f}"


def _optimizers(found: dict[tuple[Value, ...], Row]) -> Iterator[str]:
    """Compare what both optimisers reached of what they climb, at each radius."""
    ratios: dict[Value, list[float]] = defaultdict(list)
    for (cell, optimizer, *rest), row in found.items():
        plain = found.get((cell, "published", *rest))
        if optimizer == "pgd" and plain is not None:
            sign, published = (number(each, "objective") for each in (row, plain))
            if published > 0:
                ratios[row["radius"]].append(sign / published)
    for radius, each in ratios.items():
        more, less = sum(r > 1 + _EQUAL for r in each), sum(r < 1 - _EQUAL for r in each)
        yield (
            f"radius {radius}: of the objective the sign reaches more than the published optimiser "
            f"in {more} of {len(each)} settings, less in {less}, and within {_EQUAL:.1%} as much "
            f"in the others; the ratio is {min(each):.3f} … {max(each):.3f}"
        )


def figure(rows: Sequence[Row], radius: float) -> Figure:
    """Draw the similarity of reconstructions against the number of attacked latents."""
    drawn, axes = empty_figure(width=6.0)
    here = [row for row in rows if row["radius"] == radius]
    names = list(dict.fromkeys(row["cell"] for row in here))
    for optimizer, style in (("published", "o--"), ("pgd", "o-")):
        for colour, name in enumerate(names):
            part = [r for r in here if r["cell"] == name and r["optimizer"] == optimizer]
            axes.errorbar(
                [number(r, "latents") for r in part],
                [number(r, "similarity") for r in part],
                [number(r, "similarity_se", 0.0) for r in part],
                fmt=style,
                color=f"C{colour}",
                label=f"{name}, {optimizer}",
                markersize=4,
            )
    axes.set(
        xlabel="attacked top latents m", ylabel="similarity of reconstructions", ylim=(0, 1.02)
    )
    axes.set_xticks(sorted({int(number(row, "latents")) for row in here}))
    axes.set_title(f"radius {radius:g}", fontsize=10)
    axes.legend(frameon=False)
    return drawn


ITEM = Item("figure10", make, entries)
