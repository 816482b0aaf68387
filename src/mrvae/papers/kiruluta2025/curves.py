r"""Figures of errors against what they cost: s, λ and bits.

A smaller s or λ makes the error of an inverse transform as small as one likes, so that an error
alone ranks nothing. The bound says what it costs. Its KL is the rate, the bits that code the
coefficients, and grows by a bit a coefficient with every halving of s; the rest, never
negative, codes the image once these are known. Below a step of the pixels, where little is left to
code, the bound gets worse as the error gets better. The rate is the abscissa of rate and
distortion, and the bound what models are compared by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mrvae.papers.entries import AnyResult
from mrvae.papers.outcome import Row, number


def rate(kl: object, nats: object, bits: object) -> float | None:
    """Return the KL in bits per dimension, from its columns in nats and a bound in both units.

    Example:
        >>> rate([2.0, 1.0], nats=6.0, bits=4.0)
        2.0
    """
    if not isinstance(kl, list) or not isinstance(nats, float) or not isinstance(bits, float):
        return None
    return float(sum(kl)) * bits / nats if nats else None


def rate_of(result: AnyResult) -> float | None:
    """Return the column of the rate."""
    measures = result.measures or {}
    return rate(measures.get("kl"), measures.get("nats"), measures.get("bits_per_dim"))


def rates_figure(rows: Sequence[Row], limits: Mapping[int, float]) -> Figure:
    """Draw the errors of a table against bits, one panel for each size of image.

    A row is a line from its rate, hollow, to its bound, filled. ``limits`` has the error of the
    optimum of equation 22 by the size of image, which has no bits, as a dashed line.
    """
    sizes = sorted({int(number(row, "size")) for row in rows})
    width = 5.5 * max(len(sizes), 1)
    figure = Figure(figsize=(width, 4.0), dpi=120, layout="constrained")
    panels = figure.subplots(1, max(len(sizes), 1), squeeze=False)[0]
    for axes, size in zip(panels, sizes, strict=False):
        _against_bits(axes, [row for row in rows if row["size"] == size])
        if size in limits:
            axes.axhline(limits[size], linestyle="--", color="0.6", label="optimum of eq. 22")
        axes.set_title(f"{size} × {size}", fontsize=9)
        axes.legend(frameon=False, fontsize=7)
    return figure


def noise_figure(rows: Sequence[Row], oracle: Mapping[float, float]) -> Figure:
    """Draw the errors of an ablation against s, against λ and against bits.

    ``oracle`` has the error of the optimum of equation 22, without noise, by its λ.
    """
    figure = Figure(figsize=(14.0, 4.0), dpi=120, layout="constrained")
    first, second, third = figure.subplots(1, 3)
    _against_s(first, rows)
    _against_lambda(second, rows, oracle)
    _against_bits(third, rows)
    first.set_title("dashed: s²", fontsize=9)
    second.set_title("dashed: the optimum of equation 22", fontsize=9)
    third.set_title("hollow: the rate alone; filled: the whole bound", fontsize=9)
    figure.legend(*third.get_legend_handles_labels(), loc="outside right center", fontsize=8)
    return figure


def _against_s(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw what noise adds, and the line s²."""
    scales = [scale for row in rows if (scale := number(row, "s")) > 0]
    for color, row in enumerate(rows):
        added, scale = number(row, "mse_of_noise"), number(row, "s")
        axes.plot(scale, added, "o", color=f"C{color}", label=str(row["cell"]))
    if scales:
        ends = [min(scales) / 2, max(scales) * 2]
        axes.plot(ends, [end**2 for end in ends], "--", color="0.6")
    _label(axes, "s", "MSE that the noise adds")


def _against_lambda(axes: Axes, rows: Sequence[Row], oracle: Mapping[float, float]) -> None:
    """Draw what is left without noise, and the optimum for each λ."""
    for color, row in enumerate(rows):
        left, weight = number(row, "mse_still"), number(row, "lambda")
        axes.plot(weight, left, "o", color=f"C{color}", label=str(row["cell"]))
    axes.plot(list(oracle), list(oracle.values()), "--", color="0.6")
    _label(axes, "λ", "MSE without noise")


def _against_bits(axes: Axes, rows: Sequence[Row]) -> None:
    for color, row in enumerate(rows):
        error, bits = number(row, "mse"), [number(row, n) for n in ("rate", "bits_per_dim")]
        style = f"C{color}"
        axes.plot(bits, [error] * 2, "-", color=style, linewidth=0.8)
        axes.plot(bits[:1], [error], "o", color=style, markerfacecolor="none")
        axes.plot(bits[1:], [error], "o", color=style, label=str(row["cell"]))
    axes.set_yscale("log")
    axes.set_xlabel("bits per dimension")
    axes.set_ylabel("MSE")
    axes.spines[["top", "right"]].set_visible(False)


def _label(axes: Axes, x: str, y: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
