r"""Table 1: reconstructions and samples of a VAE, the Wavelet-VAE, and ours with a bound.

The paper reports a "recon loss", SSIM and FID for its two models at 128 × 128. Here they have MSE,
PSNR, BCE and SSIM per image, a proxy for the FID, and bits per dimension of the bound, by which
models of unequal rate can be compared: an inverse transform as decoder gives any image back
from its coefficients (:mod:`mrvae.papers.kiruluta2025.curves`, the figure). The oracle is
what no encoder of equation 22 can surpass. The paper's numbers stand beside rows of its size only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from mrvae.papers.columns import COURSE, published
from mrvae.papers.engine import Columns, Item
from mrvae.papers.entries import AnyResult, Entry, with_bounds
from mrvae.papers.kiruluta2025 import runs
from mrvae.papers.kiruluta2025.curves import rate_of, rates_figure
from mrvae.papers.kiruluta2025.quality import oracle, quality
from mrvae.papers.outcome import Outcome, Row, number
from mrvae.papers.workspace import Measures, Workspace

PUBLISHED: Mapping[str, Row] = {
    "vae": {"paper_recon_loss": 0.045, "paper_ssim": 0.70, "paper_fid": 32.5},
    "wavelet": {"paper_recon_loss": 0.038, "paper_ssim": 0.79, "paper_fid": 28.1},
}
_SIZE = 128


def make(workspace: Workspace, entries: Sequence[Entry]) -> Outcome:
    """Train and measure each model, and the oracle beside the paper's."""
    rows: list[Row] = []
    for result in with_bounds(workspace, entries, runs.MEASURED[workspace.budget], quality):
        if result.value is not None:
            rows.append(_row(result, result.name, result.cost.parameters, result.value))
        best = oracle(workspace, result.entry) if _kind(result.entry) == "wavelet" else None
        if best is not None:
            row = _row(result, result.name.replace("wavelet", "oracle"), 0, best)
            rows.append({**row, **dict.fromkeys([*_BOUND, *_PAPER])})
    return Outcome(rows, findings(rows), figures(rows))


def _row(result: AnyResult, name: str, parameters: int, measures: Measures) -> Row:
    return {
        "cell": name,
        "size": result.entry.job.recipe.model.sides[0],
        "parameters": parameters,
        "images": int(result.bound("images") or 0),
        **{k: v if isinstance(v, int | float) else None for k, v in measures.items()},
        **{name: of(result) for name, of in {**_BOUND, **_PAPER}.items()},
    }


def figures(rows: Sequence[Row]) -> dict[str, Figure]:
    """Return the errors of all rows against their bits; none where nothing is finished."""
    coded = [row for row in rows if row["bits_per_dim"] is not None]
    limits = {int(number(row, "size")): number(row, "mse") for row in rows if row not in coded}
    return {"table1": rates_figure(coded, limits)} if coded else {}


def _kind(entry: Entry) -> str:
    return entry.name.removesuffix(f"-{_SIZE}")


def printed_name(entry: Entry) -> str:
    """Return the name of an entry in the paper, which has images of one size; empty at others.

    Example:
        >>> small, *_ = runs.table("cpu")
        >>> printed_name(small), printed_name(runs.table("cpu")[-2])
        ('', 'wavelet')
    """
    return _kind(entry) if entry.job.recipe.model.size == _SIZE else ""


def _bits_error(result: AnyResult) -> float | None:
    nats, error, bits = (result.bound(name) for name in ("nats", "nats_se", "bits_per_dim"))
    return bits * error / nats if nats and bits is not None and error is not None else None


_BOUND: Columns = {
    **{name: of for name, of in COURSE.items() if name != "images"},
    "bits_per_dim_se": _bits_error,
    "rate": rate_of,
}
_PAPER = published(PUBLISHED, printed_name)


def findings(rows: Sequence[Row]) -> list[str]:
    """Return which of the paper's claims the rows show, size by size."""
    sentences = []
    for size in sorted({int(number(row, "size")) for row in rows}):
        sentences += _of_size(size, [row for row in rows if row["size"] == size])
    return sentences or ["nothing is finished; nothing to compare"]


def _of_size(size: int, rows: Sequence[Row]) -> list[str]:
    """Return what the rows of one size of image show."""
    known = {str(row["cell"]).removesuffix(f"-{size}"): row for row in rows}
    at = f"{size} × {size}"
    if not {"vae", "wavelet"} <= set(known):
        return [f"{at}: the VAE or the Wavelet-VAE is not finished; nothing to compare"]
    vae, wavelet = known["vae"], known["wavelet"]
    sentences = [
        _claim("MSE", "mse", vae, wavelet, "0.045 to 0.038", lower=True),
        _claim("SSIM", "ssim", vae, wavelet, "0.70 to 0.79", lower=False),
        _claim("proxy Fréchet of samples", "band_frechet", vae, wavelet, "32.5 to 28.1 in FID"),
    ]
    sentences += [
        f"at equal count of bits, {number(vae, 'bits_per_dim'):.3f} bits/dim for the VAE, "
        f"{number(row, 'bits_per_dim'):.3f} ± {number(row, 'bits_per_dim_se'):.3f} for {name}"
        for name, row in known.items()
        if name not in ("vae", "oracle")
    ]
    if "oracle" in known:
        sentences.append(
            f"the optimum of equation 22 has an MSE of {number(known['oracle'], 'mse'):.6f} "
            f"without noise; the trained model has {number(wavelet, 'mse'):.6f} with it"
        )
    return [f"{at}: {sentence}" for sentence in sentences]


def _claim(what: str, name: str, vae: Row, wavelet: Row, paper: str, lower: bool = True) -> str:
    """Return whether the Wavelet-VAE is better than the VAE by a number."""
    a, b = number(vae, name), number(wavelet, name)
    holds = b < a if lower else b > a
    verdict = "the claim's direction holds" if holds else "the claim does not hold"
    return f"{what}: {a:.4f} for the VAE, {b:.4f} for the Wavelet-VAE; paper {paper}: {verdict}"


ITEM = Item("table1", make, runs.table)
