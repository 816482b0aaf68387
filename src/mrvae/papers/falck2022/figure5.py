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

from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mrvae.papers.bounds import nats_after
from mrvae.papers.columns import COURSE, ENTRY, PARAMETERS, depth
from mrvae.papers.compare import compared, error, verdict
from mrvae.papers.engine import Columns, Item, bounded
from mrvae.papers.entries import AnyResult, Entry
from mrvae.papers.outcome import Budget, Extent
from mrvae.papers.workspace import Job
from mrvae.recipes import override, recipe

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

EXTENTS: dict[Budget, Extent] = {
    "smoke": Extent(_SMOKE, ("x1", "r3"), images=16),
    "cpu": Extent(_CPU, ("x1", "x2", "x4", "r3", "r5", "r10", *_SECOND)),
    "paper": Extent((*_PUBLISHED, *_LONG), _ALL),
}


def entries(budget: Budget) -> list[Entry]:
    """Return every entry of the figure, the second seeds last, with x1 of its data for a base.

    Example:
        >>> [entry.name for entry in entries("cpu") if entry.default]
        ['x1', 'x2', 'x4', 'r3', 'r5', 'r10', 'x1-seed1', 'r5-seed1']
    """
    return [_entry(name, budget) for name in (*_ALL, *_SECOND)]


def _entry(name: str, budget: Budget) -> Entry:
    model, _, seed = name.partition("-seed")
    colour, extent = model.startswith("cifar10-"), EXTENTS[budget]
    known = recipe(f"falck2022-{model}" if colour else f"falck2022-mnist-{model}")
    full = ("training.precision=float32",) if colour and budget == "smoke" else ()
    job = Job(override(known, (*extent.changes, *full)), int(seed or 0))
    bases = ("x1-seed1", "x1") if seed else ("x1", "x1-seed1")
    return Entry(name, job, name in extent.default, bases=("cifar10-x1",) if colour else bases)


def _data(run: AnyResult) -> str:
    return run.entry.job.recipe.data.source


def _model(run: AnyResult) -> str:
    return run.entry.job.recipe.name.rpartition("-")[2]


def _parameters_of(model: str) -> str:
    """Return the model whose parameters a model has."""
    return "x1" if model.startswith("r") else model


def at_equal_flops(run: AnyResult, x1: AnyResult) -> float | None:
    """Return validation −ELBO when ``run`` had spent the operations of all of x1's steps."""
    share = x1.cost.flops_per_image / run.cost.flops_per_image
    return nats_after([(v.step, v.nats) for v in run.curve], x1.steps * share)


def at_equal_seconds(run: AnyResult, x1: AnyResult) -> float | None:
    """Return validation −ELBO when ``run`` had been trained for the seconds of x1."""
    if x1.seconds is None:
        return None
    return nats_after([(v.seconds, v.nats) for v in run.curve], x1.seconds)


def _to_x1(
    of: Callable[[AnyResult, AnyResult], float | None],
) -> Callable[[AnyResult], float | None]:
    """Return a column that needs x1, without a value where x1 is not finished."""
    return lambda run: None if run.base is None else of(run, run.base)


COLUMNS: Columns = {
    **ENTRY,
    "data": _data,
    **PARAMETERS,
    "paper_parameters": lambda run: _PAPER.get(f"{_data(run)}-{_parameters_of(_model(run))}"),
    "depth": depth,
    "flops_per_image": lambda run: run.cost.flops_per_image,
    "flops_over_x1": _to_x1(lambda run, x1: run.cost.flops_per_image / x1.cost.flops_per_image),
    **COURSE,
    "paper_nats": lambda run: None,
    "validation_nats": lambda run: run.curve[-1].nats if run.curve else None,
    "validation_nats_at_flops_of_x1": _to_x1(at_equal_flops),
    "validation_nats_at_seconds_of_x1": _to_x1(at_equal_seconds),
}


def findings(runs: Sequence[AnyResult]) -> list[str]:
    """Compare each model that repeats with x1, and with those of more parameters.

    A difference counts beyond two combined standard errors of the images; that of a second seed is
    not in them.
    """
    sentences = []
    for run in runs:
        x1 = run.base
        if _model(run).startswith("r") and x1 is not None and _seed(x1) == _seed(run):
            sentences += [_at_equal_steps(run, other) for other in runs if _rivals(run, other)]
            sentences += _at_equal_compute(run, x1)
    return sentences


def _seed(run: AnyResult) -> int:
    return run.entry.job.seed


def _rivals(run: AnyResult, other: AnyResult) -> bool:
    """Return whether ``other`` has its own blocks where ``run`` repeats, all else being equal."""
    same = _data(run) == _data(other) and _seed(run) == _seed(other)
    return same and _model(other).startswith("x")


def _at_equal_steps(run: AnyResult, other: AnyResult) -> str:
    size = "equal" if _model(other) == "x1" else "more"
    pair = f"{run.name} against {other.name} ({size} parameters), equal steps"
    return f"{pair}: {compared(run, other)}"


def _at_equal_compute(run: AnyResult, x1: AnyResult) -> list[str]:
    """Compare on the validation images, whose errors are larger, there being fewer."""
    last = x1.curve[-1].nats if x1.curve else None
    unsure = error(run, x1, images=_VALIDATED)
    pair = f"{run.name} against x1, equal"
    return [
        f"{pair} operations, validation: {verdict(at_equal_flops(run, x1), last, unsure)}",
        f"{pair} seconds, validation: {verdict(at_equal_seconds(run, x1), last, unsure)}",
    ]


def figures(runs: Sequence[AnyResult]) -> Mapping[str, Figure]:
    """Draw −ELBO against parameters and against repeats, a row of pictures for each data set."""
    sets = sorted({_data(run) for run in runs}, reverse=True)
    figure = Figure(figsize=(9.0, 3.6 * len(sets)), dpi=120, layout="constrained")
    for data, (left, right) in zip(
        sets, figure.subplots(len(sets), 2, squeeze=False, sharey="row"), strict=True
    ):
        shown = [run for run in runs if _data(run) == data and run.measures is not None]
        _points(left, [run for run in shown if _model(run).startswith("x")], "C0", _thousands)
        _points(left, [run for run in shown if _model(run).startswith("r")], "C1", _thousands)
        _points(right, [run for run in shown if _repeats(run)], "C1", _repeats)
        left.set(xlabel="thousand parameters", ylabel="test −ELBO in nats", title=data)
        right.set(xlabel="times that each block is applied", title="the parameters of x1")
    return {"figure5": figure}


def _points(
    axes: Axes, shown: Sequence[AnyResult], color: str, at: Callable[[AnyResult], float]
) -> None:
    """Draw −ELBO ± 2 standard errors of each model, with its name."""
    for run in shown:
        nats, se = run.bound("nats") or 0.0, run.bound("nats_se") or 0.0
        axes.errorbar([at(run)], [nats], yerr=[2 * se], fmt="o", color=color, capsize=3)
        axes.annotate(
            run.name, (at(run), nats), xytext=(6, 4), textcoords="offset points", fontsize=8
        )
    axes.spines[["top", "right"]].set_visible(False)


def _thousands(run: AnyResult) -> float:
    return run.cost.parameters / 1000


def _repeats(run: AnyResult) -> int:
    """Return how often each block is applied, in models with the parameters of x1; else 0."""
    model = _model(run)
    return 1 if model == "x1" else int(model[1:]) if model.startswith("r") else 0


ITEM = Item("figure5", bounded(EXTENTS, COLUMNS, findings, figures), entries)
