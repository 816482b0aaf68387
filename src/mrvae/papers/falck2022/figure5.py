r"""Figure 5 (section 3.1): whether it is better to repeat blocks than to have more of them.

Models with 1, 2, 3 and 4 blocks at each resolution (x1 … x4) stand against models with one block
that is applied 2, 3, 5, 10 and 20 times (r2 … r20) and so have the parameters of x1. The paper
reports that −ELBO falls with every repeat, and that repeating is often as good as having more.

Repeats cost no parameters, but they cost time: r5 makes about three times the operations of x1.
The paper compares after equal steps. Beside that, each row here has −ELBO on the validation images
at equal compute: when the model had spent as many operations as x1 in all its steps, and when it
had been trained for as many seconds. A constant rate and averaged weights make every prefix of a
run a run of its own, which is what allows this to be read off one curve.

The paper's figure is a picture without numbers; of it, only the parameters of the models are in the
text. Its runs had 10⁶ steps, at a batch and rate that are not known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrvae.papers.entries import Entry, Result, compared, error, nats_after, result, verdict
from mrvae.papers.item import Item
from mrvae.papers.outcome import Budget, Outcome, Row
from mrvae.papers.workspace import Job, Workspace
from mrvae.recipes import override, recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Validation is over the first thousand of the held-out images.
_VALIDATED = 1000
_PAPER = {
    "mnist-x1": 107_000,
    "mnist-x2": 140_000,
    "mnist-x3": 173_000,
    "mnist-x4": 206_000,
    "cifar10-x1": 8_700_000,
    "cifar10-x2": 13_000_000,
    "cifar10-x3": 17_300_000,
    "cifar10-x4": 21_600_000,
}
_MODELS = ("x1", "x2", "x3", "x4", "r2", "r3", "r5", "r10", "r20")


@dataclass(frozen=True)
class Plan:
    """What a budget allows.

    Attributes:
        mnist: changes to the MNIST recipes.
        cifar10: changes to the CIFAR-10 recipes.
        default: cells made without being named, in the order of the table.
        limit: number of test images; all if None.
    """

    mnist: tuple[str, ...]
    cifar10: tuple[str, ...]
    default: tuple[str, ...]
    limit: int | None = None


_COURSE = ("training.schedule=constant", "training.optimizer.rate=1e-3")
_OFTEN = ("training.validate_every=250", "training.checkpoint_every=250")
_CPU = (*_COURSE, *_OFTEN, "training.steps=3000")
_PUBLISHED = ("training.schedule=constant", "training.optimizer.rate=2e-4")
_LONG = ("training.steps=1000000", "training.validate_every=10000")
_SMOKE = (
    *("training.steps=2", "training.validate_every=1", "training.batch=100", "training.warmup=1"),
    *("training.compile=false", "training.schedule=constant", "model.width=4", "model.latent=1"),
)
_ALL = tuple(f"{data}{model}" for data in ("", "cifar10-") for model in _MODELS)
_SECOND = ("x1-seed1", "r5-seed1")

PLANS: dict[Budget, Plan] = {
    "smoke": Plan(_SMOKE, (*_SMOKE, "training.bf16=false"), ("x1", "r3"), limit=16),
    "cpu": Plan(_CPU, _CPU, ("x1", "x2", "x4", "r3", "r5", "r10", *_SECOND)),
    "paper": Plan((*_PUBLISHED, *_LONG), (*_PUBLISHED, *_LONG), _ALL),
}


def cells(budget: Budget) -> list[Entry]:
    """Return every cell of the figure at a budget, the second seeds last.

    Example:
        >>> [cell.name for cell in cells("cpu") if cell.default]
        ['x1', 'x2', 'x4', 'r3', 'r5', 'r10', 'x1-seed1', 'r5-seed1']
    """
    plan = PLANS[budget]
    return [_cell(name, plan) for name in (*_ALL, *_SECOND)]


def _cell(name: str, plan: Plan) -> Entry:
    model, _, seed = name.partition("-seed")
    colour = model.startswith("cifar10-")
    known = recipe(f"falck2022-{model}" if colour else f"falck2022-mnist-{model}")
    changed = override(known, plan.cifar10 if colour else plan.mnist)
    return Entry(name, Job(changed, int(seed or 0)), name in plan.default)


def work(workspace: Workspace) -> Outcome:
    """Train and measure the cells; compare them at equal steps and at equal compute."""
    found = result(workspace, cells(workspace.budget), limit=PLANS[workspace.budget].limit)
    rows = tuple(_row(each, _reference(each, found)) for each in found)
    return Outcome(rows, tuple(findings(found)), {"figure5": figure(found)} if found else {})


def _reference(one: Result, found: Sequence[Result]) -> Result | None:
    """Return x1 of the same data and seed, or of seed 0."""
    same = [result for result in found if _data(result) == _data(one) and _model(result) == "x1"]
    seed = one.cell.job.seed
    return min(
        same, key=lambda result: (result.cell.job.seed != seed, result.cell.job.seed), default=None
    )


def _data(one: Result) -> str:
    return one.cell.job.recipe.data.source


def _model(one: Result) -> str:
    return one.cell.job.recipe.name.rpartition("-")[2]


def _row(one: Result, x1: Result | None) -> Row:
    flops = one.cost.flops_per_image
    return {
        "cell": one.cell.name,
        "data": _data(one),
        "parameters": one.cost.parameters,
        "paper_parameters": _PAPER.get(f"{_data(one)}-{_parameters_of(_model(one))}"),
        "depth": one.cost.stochastic_depth,
        "flops_per_image": flops,
        "flops_over_x1": None if x1 is None else flops / x1.cost.flops_per_image,
        **one.course(),
        "paper_nats": None,
        "validation_nats": one.curve[-1].nats if one.curve else None,
        "validation_nats_at_flops_of_x1": None if x1 is None else at_equal_flops(one, x1),
        "validation_nats_at_seconds_of_x1": None if x1 is None else at_equal_seconds(one, x1),
    }


def _parameters_of(model: str) -> str:
    """Return the model whose parameters a model has."""
    return "x1" if model.startswith("r") else model


def at_equal_flops(one: Result, x1: Result) -> float | None:
    """Return validation −ELBO when ``one`` had spent the operations of all of x1's steps."""
    share = x1.cost.flops_per_image / one.cost.flops_per_image
    return nats_after([(v.step, v.nats) for v in one.curve], x1.steps * share)


def at_equal_seconds(one: Result, x1: Result) -> float | None:
    """Return validation −ELBO when ``one`` had been trained for the seconds of x1."""
    if x1.seconds is None:
        return None
    return nats_after([(v.seconds, v.nats) for v in one.curve], x1.seconds)


def findings(found: Sequence[Result]) -> list[str]:
    """Say of each model that repeats how it compares with x1, and with those of more parameters.

    A difference counts beyond two combined standard errors of the images; that of a second seed is
    not in them.
    """
    said = []
    for one in found:
        x1 = _reference(one, found)
        if _model(one).startswith("r") and x1 is not None and x1.cell.job.seed == one.cell.job.seed:
            said += [_at_equal_steps(one, other) for other in found if _rivals(one, other)]
            said += _at_equal_compute(one, x1)
    return said


def _rivals(one: Result, other: Result) -> bool:
    """Tell whether ``other`` has blocks of its own where ``one`` repeats, all else being equal."""
    same = _data(one) == _data(other) and one.cell.job.seed == other.cell.job.seed
    return same and _model(other).startswith("x")


def _at_equal_steps(one: Result, other: Result) -> str:
    size = "equal" if _model(other) == "x1" else "more"
    conditioning = compared(one, other)
    return f"{one.cell.name} against {other.cell.name} ({size} parameters), equal steps: {conditioning}"


def _at_equal_compute(one: Result, x1: Result) -> list[str]:
    """Compare on the validation images, whose errors are larger, there being fewer."""
    last = x1.curve[-1].nats if x1.curve else None
    unsure = error(one, x1, images=_VALIDATED)
    pair = f"{one.cell.name} against x1, equal"
    return [
        f"{pair} operations, validation: {verdict(at_equal_flops(one, x1), last, unsure)}",
        f"{pair} seconds, validation: {verdict(at_equal_seconds(one, x1), last, unsure)}",
    ]


def figure(found: Sequence[Result]) -> Figure:
    """Draw −ELBO against parameters and against repeats, a row of pictures for each data set."""
    from matplotlib.figure import Figure

    sets = sorted({_data(one) for one in found}, reverse=True)
    figure = Figure(figsize=(9.0, 3.6 * len(sets)), dpi=120, layout="constrained")
    for data, (left, right) in zip(
        sets, figure.subplots(len(sets), 2, squeeze=False, sharey="row"), strict=True
    ):
        shown = [one for one in found if _data(one) == data and one.measures is not None]
        _points(left, [one for one in shown if _model(one).startswith("x")], "C0", _thousands)
        _points(left, [one for one in shown if _model(one).startswith("r")], "C1", _thousands)
        _points(right, [one for one in shown if _repeats(one)], "C1", _repeats)
        left.set(xlabel="thousand parameters", ylabel="test −ELBO in nats", title=data)
        right.set(xlabel="times that each block is applied", title="the parameters of x1")
    return figure


def _points(axes: Axes, shown: Sequence[Result], color: str, at: Callable[[Result], float]) -> None:
    """Draw −ELBO ± 2 standard errors of each model, with its name."""
    for one in shown:
        nats, se = one.measure("nats") or 0.0, one.measure("nats_se") or 0.0
        axes.errorbar([at(one)], [nats], yerr=[2 * se], fmt="o", color=color, capsize=3)
        axes.annotate(
            one.cell.name, (at(one), nats), xytext=(6, 4), textcoords="offset points", fontsize=8
        )
    axes.spines[["top", "right"]].set_visible(False)


def _thousands(one: Result) -> float:
    return one.cost.parameters / 1000


def _repeats(one: Result) -> int:
    """Return how often each block is applied, in models with the parameters of x1; else 0."""
    model = _model(one)
    return 1 if model == "x1" else int(model[1:]) if model.startswith("r") else 0


ITEM = Item(
    "figure5", "bounds against parameters and against repeats of shared blocks", work, cells
)
