r"""Section 4.5: what the scale of the noise costs, fixed or learnt.

The paper finds that a fixed s = 0.01 has an MSE about 8 % above a learnt one. For an orthonormal W,
of x̂ = W⁻¹(c + s ε),

    E ‖u - x̂‖²/n = ‖u - W⁻¹ c‖²/n + s²,

whatever u and c are: the error without noise and s², 0.0001 for s = 0.01, a quarter of a percent of
the paper's 0.038. Each row has the three of them, with x̂ not cut to [0, 1], and the error of the
optimum for its λ, which no training can change. Encoders that have to find the coefficients
(``found``) have an error of their own, beside which s is small or not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mrvae.papers.cells import Cell, Made, made
from mrvae.papers.desk import Desk, Measures
from mrvae.papers.item import Item
from mrvae.papers.kiruluta2025.quality import originals, reconstructions, thresholded
from mrvae.papers.kiruluta2025.runs import IMAGES, ablation, penalty, wavelet_vae
from mrvae.papers.outcome import Outcome, Row

_PAIRS = (
    ("learnt", "fixed-0.01"),
    ("learnt-lambda-0.1", "fixed-0.01-lambda-0.1"),
    ("found-learnt", "found-fixed-0.01"),
)


def work(desk: Desk) -> Outcome:
    """Train each, and measure its errors with noise and without."""
    found = made(desk, ablation(desk.budget), limit=IMAGES[desk.budget])
    rows = [_row(desk, one) for one in found if one.measures is not None]
    return Outcome(tuple(rows), tuple(findings(rows)))


def _row(desk: Desk, one: Made) -> Row:
    limit = IMAGES[desk.budget]
    job = one.cell.job
    kept = desk.kept(f"noise-n{limit or 'all'}", job, lambda: _measure(desk, one.cell))
    return {
        "cell": one.cell.name,
        **{k: v if isinstance(v, int | float) else None for k, v in kept.items()},
        **one.course(),
    }


def _measure(desk: Desk, cell: Cell) -> Measures:
    """Return λ, s, and the mean squared errors of all test images."""
    from mrvae.models.wavelet_vae import WaveletEncoder

    desk.say(f"noise of {cell.job.name}")
    spec, model = wavelet_vae(cell), desk.model(cell.job)
    if spec is None or not isinstance(model.encoder, WaveletEncoder):
        raise ValueError(f"{cell.name} has no wavelet coefficients; give a wavelet VAE")
    images = desk.images(cell.job.recipe, "test", IMAGES[desk.budget])
    u = originals(images)
    still, noisy = (
        float((reconstructions(model, images, t) - u).double().square().mean()) for t in (0.0, 1.0)
    )
    best = thresholded(u, spec)
    return {
        "lambda": penalty(spec)[-1],
        "s": float(model.encoder.noise(0).detach().exp().mean()),
        "mse": noisy,
        "mse_still": still,
        "mse_of_noise": noisy - still,
        "s_squared": float(model.encoder.noise(0).detach().exp().square().mean()),
        "mse_oracle": None if best is None else float((best - u).double().square().mean()),
    }


def findings(rows: Sequence[Row]) -> list[str]:
    """Say what fixed noise costs, and whether noise adds s².

    Example:
        >>> row = {"s_squared": 1e-4, "mse_of_noise": 1.01e-4, "s": 0.01}
        >>> learnt = {**row, "cell": "learnt", "mse": 0.0002}
        >>> findings([learnt, {**row, "cell": "fixed-0.01", "mse": 0.000216}])[0]
        'fixed-0.01: MSE 0.000216 against 0.000200 of learnt, +8.0 %; paper about +8 %'
    """
    known = {str(row["cell"]): row for row in rows}
    said = []
    for learnt, fixed in _PAIRS:
        if learnt in known and fixed in known:
            a, b = (_number(known[name], "mse") for name in (learnt, fixed))
            more = 100 * (b / a - 1) if a else math.inf
            said.append(
                f"{fixed}: MSE {b:.6f} against {a:.6f} of {learnt}, {more:+.1f} %; paper about +8 %"
            )
    off = [abs(_number(r, "mse_of_noise") / _number(r, "s_squared") - 1) for r in rows]
    if off:
        said.append(f"noise adds s² to the MSE, to within {100 * max(off):.1f} % of it")
    scales = {n: _number(row, "s") for n, row in known.items() if "learnt" in n}
    said += [f"{name}: s ends at {scale:.6f}" for name, scale in scales.items()]
    return said


def _number(row: Row, name: str) -> float:
    value = row[name]
    return float(value) if isinstance(value, int | float) else math.nan


ITEM = Item("ablation_noise", "MSE against the scale of the noise and λ", work, ablation)
