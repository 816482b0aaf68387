"""``mrvae inspect RUN latents`` and ``partial``: the KL of latents, and what they reconstruct."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mrvae.cli.tables import table
from mrvae.reports.figures import keep_figure, latents_figure
from mrvae.sizes import simplest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mrvae.cli.runs import Run
    from mrvae.data import Images
    from mrvae.evaluation import Partial, UnitReport, UnitTotal
    from mrvae.reports.image_grid import Pixels

_EXAMPLES = 4
_COLUMNS = 5
_EXPLAINED = """\
active: units whose posterior mean varies over images by more than 0.01, the noise of the latents
above subtracted; active −2 SE: by more than 0.01 even two standard errors lower; at means: counted
with the latents above at their means, without a draw; layers are counted from 1, coarse to fine"""

# The values of ``--json``, what draws a figure, and a text.
Measurement = tuple[dict[str, object], Callable[[], "Figure"], str]


def latents(
    run: Run, images: Images, draws: int, seed: int, progress: Callable[[int], None]
) -> Measurement:
    """Measure the nats and the active units of each layer, and the nats of each unit."""
    from mrvae.evaluation import latent_units, unit_report

    report = unit_report(run.model, images, draws=draws, seed=seed, progress=progress)
    at_means = latent_units(run.model, images)
    sizes = [simplest(shape[1:]) for shape in report.shapes]
    kl = [layer.nats for layer in report.layers]
    values = {**report.summary(), "sizes": sizes, "active_at_means": list(at_means.active)}
    text = f"{_layers(report, at_means.active)}\n\n{_spread(report)}"
    return values, lambda: latents_figure(kl, sizes, report.kl.tolist()), text


def partial(run: Run, images: Images, how: Partial, progress: Callable[[int], None]) -> Measurement:
    """Measure the similarity of images and their partial reconstructions."""
    from mrvae.evaluation import partial_report

    curves = partial_report(run.model, images, how, progress=progress).summary()
    panels = {name: {run.recipe.name: (c["mean"], c["se"])} for name, c in curves.items()}
    values: dict[str, object] = {"keep": list(range(1, run.model.stochastic_depth + 1)), **curves}
    head = ["latents", *(part for name in curves for part in (name, "se"))]
    rows = [
        [
            m + 1,
            *(f"{c[part][m]:.4f}" for c in curves.values() for part in ("mean", "se")),
        ]
        for m in range(run.model.stochastic_depth)
    ]

    def draw() -> Figure:
        title, picture = examples(run, images, how)
        return keep_figure(panels, {title: picture})

    return values, draw, table([head, *rows])


def examples(run: Run, images: Images, how: Partial) -> tuple[str, Pixels]:
    """Return a row for each of a few images: the image and its partial reconstructions."""
    import torch

    from mrvae.reports.image_grid import arrange

    keep = spaced(run.model.stochastic_depth, _COLUMNS)
    x = images.first(_EXAMPLES).tensor()
    columns = [y.cpu().double() for y in how.images(run.model, x, range(len(x)), keep)]
    rows = torch.stack([x / (run.levels - 1), *columns], dim=1).flatten(0, 1)
    # Values on [0, 1] are the two ends of a scale of two levels, and what lies between.
    picture = arrange(rows.numpy(), bins=2, columns=1 + len(keep))
    return f"image, and by its top {', '.join(map(str, keep))} latents", picture


def spaced(last: int, count: int) -> list[int]:
    """Return at most ``count`` whole numbers from 1 to ``last``, both among them.

    Example:
        >>> spaced(9, 5), spaced(2, 5)
        ([1, 3, 5, 7, 9], [1, 2])

    """
    steps = min(count, last) - 1
    return [1 + round(i * (last - 1) / max(steps, 1)) for i in range(steps + 1)]


def _layers(report: UnitReport, at_means: tuple[int, ...]) -> str:
    """Write a line for each layer, and the totals."""
    counts = ["active", "active −2 SE", "at means", "units"]
    head = ["layer", "shape", "nats", "nats per unit", *counts]
    rows = [
        _line(name, "×".join(map(str, shape)), layer, still)
        for name, shape, layer, still in zip(
            _names(report), report.shapes, report.layers, at_means, strict=True
        )
    ]
    rows.append(_line("all", "", report.whole, sum(at_means)))
    if report.contexts:
        still = sum(at_means[report.contexts :])
        rows.append(_line("without context", "", report.without_context, still))
    return table([head, *rows])


def _names(report: UnitReport) -> list[str]:
    numbers = [str(number) for number in range(1, len(report.shapes) + 1)]
    contexts = [f"{number} (context)" for number in numbers[: report.contexts]]
    return contexts + numbers[report.contexts :]


def _line(name: str, shape: str, total: UnitTotal, at_means: int) -> list[object]:
    nats, each = f"{total.nats:.3f}", f"{total.nats_per_unit:.5f}"
    return [name, shape, nats, each, total.active, total.surely_active, at_means, total.units]


def _spread(report: UnitReport) -> str:
    """Write the standard errors of the totals, and the distribution of nats over units."""
    whole = report.whole
    few = "0.0001", "0.001", "0.01", "0.1"
    parts = ", ".join(f"{report.share_below(float(nats)):.1%} below {nats}" for nats in few)
    errors = (
        f"{whole.active:,} of {whole.units:,} units are active, {whole.share:.1%}"
        + ("" if whole.active_se is None else f", ± {whole.active_se:.1f} units")
        + f"; {whole.nats_per_unit:.5f} nats per unit"
        + ("" if whole.nats_se is None else f", ± {whole.nats_se / whole.units:.5f}")
    )
    return f"{errors}\nKL of the units that cells draw, in nats: {parts}\n{_EXPLAINED}"
