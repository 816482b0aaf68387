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

from torch import Tensor

from mrvae.models.wavelet.encoder import WaveletEncoder
from mrvae.papers.columns import COURSE, ENTRY, own
from mrvae.papers.engine import Columns, Item
from mrvae.papers.entries import Entry, with_bounds
from mrvae.papers.kiruluta2025.curves import noise_figure, rate_of
from mrvae.papers.kiruluta2025.quality import (
    measured_images,
    originals,
    reconstructions,
    thresholded,
)
from mrvae.papers.kiruluta2025.runs import MEASURED, ablation, penalty, wavelet_vae
from mrvae.papers.outcome import Outcome, Row, number
from mrvae.papers.workspace import Measures, Workspace

_PAIRS = (
    ("learnt", "fixed-0.01"),
    ("learnt-lambda-0.1", "fixed-0.01-lambda-0.1"),
    ("found-learnt", "found-fixed-0.01"),
)
_LAMBDAS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


def make(workspace: Workspace, entries: Sequence[Entry]) -> Outcome:
    """Train each, and measure its errors with noise and without."""
    found = with_bounds(workspace, entries, MEASURED[workspace.budget], measure)
    known = [result for result in found if result.value is not None]
    rows = [{name: of(result) for name, of in COLUMNS.items()} for result in known]
    if not rows:
        return Outcome((), findings(rows))
    best = oracles(workspace, found[0].entry)
    sentences = [*findings(rows), *_oracle_findings(best)]
    return Outcome(rows, sentences, {"ablation_noise": noise_figure(rows, best)})


def oracles(workspace: Workspace, entry: Entry) -> dict[float, float]:
    """Return by λ the error of the optimum of equation 22, without noise, over the test images.

    Empty where an entry's transform has no such optimum.
    """
    spec, u = wavelet_vae(entry), originals(measured_images(workspace, entry))
    if spec is None:
        return {}
    best = {weight: thresholded(u, spec, (weight,) * spec.depth) for weight in _LAMBDAS}
    return {weight: mean_squared(image, u) for weight, image in best.items() if image is not None}


def measure(workspace: Workspace, entry: Entry) -> Measures:
    """Return λ, s, and the mean squared errors of all test images, measured or recalled."""
    limit = MEASURED[workspace.budget].images
    return workspace.kept(f"noise-n{limit or 'all'}", entry.job, lambda: _measure(workspace, entry))


def _measure(workspace: Workspace, entry: Entry) -> Measures:
    workspace.log(f"noise of {entry.job.name}")
    spec, model = wavelet_vae(entry), workspace.model(entry.job)
    if spec is None or not isinstance(model.encoder, WaveletEncoder):
        raise ValueError(f"{entry.name} has no wavelet coefficients; give a wavelet VAE")
    images = measured_images(workspace, entry)
    u = originals(images)
    still, noisy = (mean_squared(reconstructions(model, images, t), u) for t in (0.0, 1.0))
    best = thresholded(u, spec)
    scale = model.encoder.noise(0).detach().exp()
    return {
        "lambda": penalty(spec)[-1],
        "s": float(scale.mean()),
        "mse": noisy,
        "mse_still": still,
        "mse_of_noise": noisy - still,
        "s_squared": float(scale.square().mean()),
        "mse_oracle": None if best is None else mean_squared(best, u),
    }


def mean_squared(x: Tensor, y: Tensor) -> float:
    """Return the mean squared difference of two tensors, summed in float64."""
    return float((x - y).double().square().mean())


COLUMNS: Columns = {
    **ENTRY,
    **own("lambda", "s", "mse", "mse_still", "mse_of_noise", "s_squared", "mse_oracle"),
    **COURSE,
    "rate": rate_of,
}


def _oracle_findings(errors: Mapping[float, float]) -> list[str]:
    each = ", ".join(f"{error:.1e} at λ = {weight:g}" for weight, error in errors.items())
    return [f"the optimum of equation 22 has an MSE without noise of {each}"] if errors else []


def findings(rows: Sequence[Row]) -> list[str]:
    """Return what fixed noise costs, and whether noise adds s².

    Example:
        >>> row = {"s_squared": 1e-4, "mse_of_noise": 1.01e-4, "s": 0.01}
        >>> learnt = {**row, "cell": "learnt", "mse": 0.0002}
        >>> findings([learnt, {**row, "cell": "fixed-0.01", "mse": 0.000216}])[0]
        'fixed-0.01: MSE 0.000216 against 0.000200 of learnt, +8.0 %; paper about +8 %'
    """
    known = {str(row["cell"]): row for row in rows}
    sentences = []
    for learnt, fixed in _PAIRS:
        if learnt in known and fixed in known:
            a, b = (number(known[name], "mse") for name in (learnt, fixed))
            more = 100 * (b / a - 1) if a else math.inf
            sentences.append(
                f"{fixed}: MSE {b:.6f} against {a:.6f} of {learnt}, {more:+.1f} %; paper about +8 %"
            )
    off = [abs(number(r, "mse_of_noise") / number(r, "s_squared") - 1) for r in rows]
    if off:
        sentences.append(f"noise adds s² to the MSE, to within {100 * max(off):.1f} % of it")
    scales = {n: number(row, "s") for n, row in known.items() if "learnt" in n}
    sentences += [f"{name}: s ends at {scale:.6f}" for name, scale in scales.items()]
    return sentences + _bits_findings([row for row in rows if row.get("bits_per_dim") is not None])


def _bits_findings(rows: Sequence[Row]) -> list[str]:
    """Return which row has the least error and which the fewest bits, with both numbers."""
    if not rows:
        return []
    exact, short = (min(rows, key=lambda row: number(row, n)) for n in ("mse", "bits_per_dim"))
    (a, x), (b, y) = ((number(r, "mse"), number(r, "bits_per_dim")) for r in (exact, short))
    return [
        f"the least MSE is that of {exact['cell']}, {a:.6f} at {x:.3f} bits/dim; the fewest bits "
        f"are those of {short['cell']}, {y:.3f} bits/dim at an MSE of {b:.6f}"
    ]


ITEM = Item("ablation_noise", make, ablation)
