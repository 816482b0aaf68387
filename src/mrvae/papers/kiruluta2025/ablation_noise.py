r"""Section 4.5: what the scale of the noise costs, fixed or learnt.

The paper finds that a fixed s = 0.01 has an MSE about 8 % above a learnt one. For an orthonormal W,
of x̂ = W⁻¹(c + s ε),

    E ‖u - x̂‖²/n = ‖u - W⁻¹ c‖²/n + s²,

whatever u and c are: the error without noise and s², 0.0001 for s = 0.01, a quarter of a percent of
the paper's 0.038. Each row has the three of them, with x̂ not cut to [0, 1], and the error of the
optimum for its λ, which no training can change. Encoders that have to find the coefficients
(``found``) have an error of their own, beside which s is small or not.

The figure has three panels: what noise adds against s, with s²; what is left without it against λ,
with the optimum of equation 22 for all λ; and the error against bits. Only the last is a comparison
of models: s and λ are set by hand, and the first two say what they are set to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from mrvae.papers.entries import Entry, Result, result
from mrvae.papers.item import Item
from mrvae.papers.kiruluta2025.curves import noise_figure, number, rate
from mrvae.papers.kiruluta2025.quality import (
    measured_images,
    originals,
    reconstructions,
    thresholded,
)
from mrvae.papers.kiruluta2025.runs import IMAGES, ablation, penalty, wavelet_vae
from mrvae.papers.outcome import Outcome, Row
from mrvae.papers.workspace import Measures, Workspace
from mrvae.recipes.wavelet import Sparse

_PAIRS = (
    ("learnt", "fixed-0.01"),
    ("learnt-lambda-0.1", "fixed-0.01-lambda-0.1"),
    ("found-learnt", "found-fixed-0.01"),
)
_LAMBDAS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


def work(workspace: Workspace) -> Outcome:
    """Train each, and measure its errors with noise and without."""
    found = result(workspace, ablation(workspace.budget), limit=IMAGES[workspace.budget])
    rows = [_row(workspace, one) for one in found if one.measures is not None]
    if not rows:
        return Outcome((), tuple(findings(rows)))
    best = oracles(workspace, found[0].cell)
    said = [*findings(rows), *_oracle_findings(best)]
    return Outcome(tuple(rows), tuple(said), {"ablation_noise": noise_figure(rows, best)})


def oracles(workspace: Workspace, cell: Entry) -> dict[float, float]:
    """Return by λ the error of the optimum of equation 22, without noise, over the test images.

    Empty where a cell's transform has no such optimum.
    """
    found: dict[float, float] = {}
    spec, u = wavelet_vae(cell), originals(measured_images(workspace, cell))
    if spec is None:
        return found
    for weight in _LAMBDAS:
        best = thresholded(u, replace(spec, loss=Sparse(weights=(weight,))))
        if best is not None:
            found[weight] = float((best - u).double().square().mean())
    return found


def _oracle_findings(errors: Mapping[float, float]) -> list[str]:
    each = ", ".join(f"{error:.1e} at λ = {weight:g}" for weight, error in errors.items())
    return [f"the optimum of equation 22 has an MSE without noise of {each}"] if errors else []


def _row(workspace: Workspace, one: Result) -> Row:
    limit = IMAGES[workspace.budget]
    job = one.cell.job
    kept = workspace.kept(f"noise-n{limit or 'all'}", job, lambda: _measure(workspace, one.cell))
    return {
        "cell": one.cell.name,
        **{k: v if isinstance(v, int | float) else None for k, v in kept.items()},
        **one.course(),
        "rate": rate(*((one.measures or {}).get(k) for k in ("kl", "nats", "bits_per_dim"))),
    }


def _measure(workspace: Workspace, cell: Entry) -> Measures:
    """Return λ, s, and the mean squared errors of all test images."""
    from mrvae.models.wavelet.encoder import WaveletEncoder

    workspace.say(f"noise of {cell.job.name}")
    spec, model = wavelet_vae(cell), workspace.model(cell.job)
    if spec is None or not isinstance(model.encoder, WaveletEncoder):
        raise ValueError(f"{cell.name} has no wavelet coefficients; give a wavelet VAE")
    images = measured_images(workspace, cell)
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
            a, b = (number(known[name], "mse") for name in (learnt, fixed))
            more = 100 * (b / a - 1) if a else math.inf
            said.append(
                f"{fixed}: MSE {b:.6f} against {a:.6f} of {learnt}, {more:+.1f} %; paper about +8 %"
            )
    off = [abs(number(r, "mse_of_noise") / number(r, "s_squared") - 1) for r in rows]
    if off:
        said.append(f"noise adds s² to the MSE, to within {100 * max(off):.1f} % of it")
    scales = {n: number(row, "s") for n, row in known.items() if "learnt" in n}
    said += [f"{name}: s ends at {scale:.6f}" for name, scale in scales.items()]
    return said + _bits_findings([row for row in rows if row.get("bits_per_dim") is not None])


def _bits_findings(rows: Sequence[Row]) -> list[str]:
    """Say which row has the least error and which the fewest bits, and each one's other number."""
    if not rows:
        return []
    exact, short = (min(rows, key=lambda row: number(row, n)) for n in ("mse", "bits_per_dim"))
    (a, x), (b, y) = ((number(r, "mse"), number(r, "bits_per_dim")) for r in (exact, short))
    return [
        f"the least MSE is that of {exact['cell']}, {a:.6f} at {x:.3f} bits/dim; the fewest bits "
        f"are those of {short['cell']}, {y:.3f} bits/dim at an MSE of {b:.6f}"
    ]


ITEM = Item("ablation_noise", "MSE against the scale of the noise and λ", work, ablation)
