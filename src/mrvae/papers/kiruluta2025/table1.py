r"""Table 1: reconstructions and samples of a VAE, the Wavelet-VAE, and ours with a bound.

The paper reports a "recon loss", SSIM and FID for its two models at 128 × 128. Here they have MSE,
PSNR, BCE and SSIM per image, a proxy for the FID, and bits per dimension of the bound, in which
alone models of unequal rate can be compared: an inverse transform as decoder gives any image back
whose coefficients it is told (:mod:`mrvae.papers.kiruluta2025.curves`, the figure). The oracle is
what no encoder of equation 22 can surpass. The paper's numbers stand beside rows of its size alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mrvae.papers.entries import Entry, Result, result
from mrvae.papers.item import Item
from mrvae.papers.kiruluta2025.curves import number, rate, rates_figure
from mrvae.papers.kiruluta2025.quality import oracle, quality
from mrvae.papers.kiruluta2025.runs import IMAGES, table
from mrvae.papers.outcome import Outcome, Row
from mrvae.papers.workspace import Measures, Workspace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PUBLISHED: Mapping[str, Row] = {
    "vae": {"paper_recon_loss": 0.045, "paper_ssim": 0.70, "paper_fid": 32.5},
    "wavelet": {"paper_recon_loss": 0.038, "paper_ssim": 0.79, "paper_fid": 28.1},
}
_UNKNOWN: Row = dict.fromkeys(PUBLISHED["vae"])
_SIZE = 128
_COURSE = ("seed", "steps", "seconds", "nats", "nats_se", "bits_per_dim", "bits_per_dim_se")
_NOT_CODED = (*_COURSE, "rate")


def work(workspace: Workspace) -> Outcome:
    """Train and measure each model, and the oracle beside the paper's."""
    found = result(workspace, table(workspace.budget), limit=IMAGES[workspace.budget])
    rows: list[Row] = []
    for one in found:
        if one.measures is not None:
            rows.append(_row(one, quality(workspace, one.cell)))
        best = oracle(workspace, one.cell) if _kind(one.cell) == "wavelet" else None
        if best is not None:
            rows.append(_oracle_row(one, best))
    return Outcome(tuple(rows), tuple(findings(rows)), figures(rows))


def figures(rows: Sequence[Row]) -> dict[str, Figure]:
    """Return the errors of all rows against their bits; none where nothing is finished."""
    coded = [row for row in rows if row["bits_per_dim"] is not None]
    limits = {int(row["size"] or 0): number(row, "mse") for row in rows if row not in coded}
    return {"table1": rates_figure(coded, limits)} if coded else {}


def published(cell: Entry) -> Row:
    """Return what the paper says of a cell, which is of images of its size alone.

    Example:
        >>> from mrvae.papers.kiruluta2025.runs import table
        >>> small, *_ = table("cpu")
        >>> small.name, published(small)["paper_fid"], published(table("cpu")[-2])["paper_fid"]
        ('vae', None, 28.1)
    """
    known = cell.job.recipe.model.size == _SIZE
    return PUBLISHED.get(_kind(cell), _UNKNOWN) if known else _UNKNOWN


def _kind(cell: Entry) -> str:
    return cell.name.removesuffix(f"-{_SIZE}")


def _row(one: Result, measures: Measures) -> Row:
    return {
        "cell": one.cell.name,
        "size": one.cell.job.recipe.model.size,
        "parameters": one.cost.parameters,
        "images": int(one.measure("images") or 0),
        **_numbers(measures),
        **{name: _course(one)[name] for name in _COURSE},
        "rate": _rate(one),
        **published(one.cell),
    }


def _oracle_row(one: Result, measures: Measures) -> Row:
    return {
        "cell": one.cell.name.replace("wavelet", "oracle"),
        "size": one.cell.job.recipe.model.size,
        "parameters": 0,
        "images": int(one.measure("images") or 0),
        **_numbers(measures),
        **dict.fromkeys(_NOT_CODED),
        **_UNKNOWN,
    }


def _course(one: Result) -> Row:
    """Return how a run was made, with the error of its bound in bits, too."""
    nats, error, bits = (one.measure(name) for name in ("nats", "nats_se", "bits_per_dim"))
    spread = bits * error / nats if nats and bits is not None and error is not None else None
    return {**one.course(), "bits_per_dim_se": spread}


def _rate(one: Result) -> float | None:
    kept = one.measures or {}
    return rate(kept.get("kl"), kept.get("nats"), kept.get("bits_per_dim"))


def _numbers(measures: Measures) -> Row:
    return {k: v if isinstance(v, int | float) else None for k, v in measures.items()}


def findings(rows: Sequence[Row]) -> list[str]:
    """Say which of the paper's claims the rows show, size by size."""
    said = []
    for size in sorted({int(row["size"] or 0) for row in rows}):
        said += _findings(size, [row for row in rows if row["size"] == size])
    return said or ["nothing is finished; nothing to compare"]


def _findings(size: int, rows: Sequence[Row]) -> list[str]:
    """Say what the rows of one size of image show."""
    known = {str(row["cell"]).removesuffix(f"-{size}"): row for row in rows}
    at = f"{size} × {size}"
    if not {"vae", "wavelet"} <= set(known):
        return [f"{at}: the VAE or the Wavelet-VAE is not finished; nothing to compare"]
    vae, wavelet = known["vae"], known["wavelet"]
    said = [
        _claim("MSE", "mse", vae, wavelet, "0.045 to 0.038", lower=True),
        _claim("SSIM", "ssim", vae, wavelet, "0.70 to 0.79", lower=False),
        _claim("proxy Fréchet of samples", "band_frechet", vae, wavelet, "32.5 to 28.1 in FID"),
    ]
    said += [
        f"at equal count of bits, {number(vae, 'bits_per_dim'):.3f} bits/dim for the VAE, "
        f"{number(row, 'bits_per_dim'):.3f} ± {number(row, 'bits_per_dim_se'):.3f} for {name}"
        for name, row in known.items()
        if name not in ("vae", "oracle")
    ]
    if "oracle" in known:
        said.append(
            f"the optimum of equation 22 has an MSE of {number(known['oracle'], 'mse'):.6f} "
            f"without noise; the trained model has {number(wavelet, 'mse'):.6f} with it"
        )
    return [f"{at}: {sentence}" for sentence in said]


def _claim(what: str, name: str, vae: Row, wavelet: Row, paper: str, lower: bool = True) -> str:
    """Say whether the Wavelet-VAE is better than the VAE by a number."""
    a, b = number(vae, name), number(wavelet, name)
    holds = b < a if lower else b > a
    verdict = "the claim's direction holds" if holds else "the claim does not hold"
    return f"{what}: {a:.4f} for the VAE, {b:.4f} for the Wavelet-VAE; paper {paper}: {verdict}"


ITEM = Item("table1", "reconstruction, proxy Fréchet and bits of VAE and Wavelet-VAE", work, table)
