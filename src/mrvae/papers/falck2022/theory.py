"""Section 2 of Falck et al. 2022: every definition and theorem as a check, in one table.

Each row compares two sides, and compares them again with an operator replaced by a wrong one. A
property has to hold, and to fail with the wrong operator; an observation shows what training did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mrvae.papers.checks import Check, counted
from mrvae.papers.engine import Item
from mrvae.papers.entries import Entry
from mrvae.papers.falck2022.autoencoder import Snapshot
from mrvae.papers.falck2022.check_bridge import checks_of_bridge
from mrvae.papers.falck2022.check_cells import checks_of_cells
from mrvae.papers.falck2022.check_compression import (
    Trainings,
    checks_of_bottlenecks,
    checks_of_theorem_3,
    checks_of_training,
    train_all,
)
from mrvae.papers.falck2022.check_spaces import checks_of_spaces
from mrvae.papers.falck2022.check_start import training_finding
from mrvae.papers.outcome import Budget, Outcome
from mrvae.papers.workspace import Workspace
from mrvae.reports.figures import empty_figure


@dataclass(frozen=True)
class Effort:
    """How much is spent on the checks.

    Args:
        steps: updates of each autoencoder.
        halvings: h, to measure them at steps/2^h, …, steps/2, steps, and before.
        width: channels inside its networks.
        measured: digits on which it is measured.
        paths: over which the strong order is taken.
        functions: in each sample of theorem 3.
        images: encoded and sampled by the VDVAE.
    """

    steps: int
    halvings: int
    width: int
    measured: int
    paths: int
    functions: int
    images: int


EFFORTS: dict[Budget, Effort] = {
    "smoke": Effort(32, 2, width=8, measured=60, paths=2_000, functions=60, images=6),
    "cpu": Effort(1_600, 5, width=16, measured=300, paths=10_000, functions=300, images=100),
    "paper": Effort(25_600, 9, width=16, measured=300, paths=20_000, functions=600, images=200),
}


def make(workspace: Workspace, entries: Sequence[Entry]) -> Outcome:
    """Check definitions 1 and 2, equations 1 and 2, and theorems 1 to 5.

    Source: Falck et al. 2022, section 2.
    """
    effort = EFFORTS[workspace.budget]
    checks: list[Check] = []
    for title, found in (
        ("definition 1 and theorem 2", checks_of_spaces()),
        ("definition 2 and theorem 1", checks_of_bridge(effort.paths)),
        ("equations 1 and 2", checks_of_bottlenecks()),
        ("theorem 3", checks_of_theorem_3(effort.functions)),
        ("theorems 4 and 5", checks_of_cells(effort.images)),
    ):
        workspace.log(title)
        checks.extend(found)
    at = [0, *(effort.steps >> k for k in reversed(range(effort.halvings + 1)))]
    trainings = train_all(at, effort.width, effort.measured, workspace.log)
    checks.extend(checks_of_training(trainings))
    return Outcome(
        [check.row() for check in checks],
        [*findings(checks), *_training_findings(trainings)],
        {"theorem3": sides_figure(trainings), "details": details_figure(trainings)},
    )


def findings(checks: Sequence[Check]) -> tuple[str, ...]:
    """Return how many properties hold, each that does not, and what is not true as printed.

    Example:
        >>> findings([Check("theorem 2", "residual", "level 1", 0.0, 1e-12, "subsampling", 0.3)])
        ('1 of 1 laws hold, and fail with their wrong operator',)
    """
    return (*counted(checks), *_literal(checks), *training_finding(checks))


def _training_findings(trainings: Trainings) -> Iterator[str]:
    """Yield what the three trainings show of theorem 3 as the paper uses it."""
    for title, s in (
        ("trained with B near F⁻¹", trainings.inverse),
        ("trained on reconstruction alone", trainings.free),
        ("trained with skip connections", trainings.skipped),
    ):
        yield (
            f"{title}: discarded energy {_change(sum(s[0].discarded), sum(s[-1].discarded))},"
            f" W₂² {_change(s[0].right, s[-1].right)}; left ≤ W₂² at {_count(s[1:])} steps measured"
        )


def sides_figure(trainings: Trainings) -> Figure:
    """Draw both sides of theorem 3 over training: left solid, W₂² dashed."""
    figure, axes = empty_figure(width=7.0)
    for color, (label, snapshots) in enumerate(_labelled(trainings)):
        steps = [one.step for one in snapshots]
        axes.plot(steps, [one.left for one in snapshots], "o-", color=f"C{color}", label=label)
        axes.plot(steps, [one.right for one in snapshots], "o--", color=f"C{color}", markersize=3)
    _label(axes, trainings, "left side (solid), W₂² (dashed)")
    axes.legend(frameon=False)
    return figure


def details_figure(trainings: Trainings) -> Figure:
    """Draw the energy that each projection discards over training, a line for each Haar band."""
    figure, axes = empty_figure(width=7.0)
    for color, (label, snapshots) in enumerate(_labelled(trainings)):
        steps = [one.step for one in snapshots]
        for level, style in zip(range(len(snapshots[0].discarded)), ("-", "--", ":"), strict=False):
            energies = [one.discarded[level] for one in snapshots]
            name = f"{label}, U_{level}"
            axes.plot(steps, energies, style, color=f"C{color}", label=name)
    _label(axes, trainings, "‖proj_U y‖², discarded")
    axes.legend(frameon=False, fontsize="small")
    return figure


def _labelled(trainings: Trainings) -> tuple[tuple[str, tuple[Snapshot, ...]], ...]:
    return (
        ("B near F⁻¹", trainings.inverse),
        ("reconstruction alone", trainings.free),
        ("skip connections", trainings.skipped),
    )


def _label(axes: Axes, trainings: Trainings, y: str) -> None:
    axes.set_xscale("symlog", linthresh=trainings.inverse[1].step)
    axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel(y)


def _literal(checks: Iterable[Check]) -> tuple[str, ...]:
    """Return what the counter-example shows of theorem 3 as printed."""
    return tuple(
        f"theorem 3 as printed does not hold: in the counter-example its left side is"
        f" {check.wrong_left:.6g} and W₂² is {check.right:.6g}"
        for check in checks
        if check.at.startswith("counter-example") and not check.wrong_holds
    )


def _change(before: float, after: float) -> str:
    return f"{before:.4f} → {after:.4f}"


def _count(snapshots: Sequence[Snapshot]) -> str:
    return f"{sum(one.left <= one.right for one in snapshots)} of {len(snapshots)}"


ITEM = Item("theory", make)
