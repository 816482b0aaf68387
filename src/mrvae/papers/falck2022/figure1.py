r"""Figure 1: U-Nets with average pooling learn a Haar wavelet basis representation of the data.

Averaging is the coarse half of a Haar step (theorem 2), so that a level at R×R pixels has of the
image what the Haar coefficients up to R/2 hold, and nothing of the finer details. Whether a trained
model has divided the image in that way is measured here: of the latents those up to R×R are taken
from the image and the finer ones from the prior's means, and the mean picture x̂_R that they give
is compared with the image, band by band, in the orthonormal Haar basis,

    explained(R, band) = 1 - Σ ‖W_band (x - x̂_R)‖² / Σ ‖W_band (x - x̄)‖²,

with x̄ the mean of the images: 1 where the band is known, 0 where x̂_R is no better than x̄. The band
s has the details between s×s and 2s×2s pixels. The picture shows one image's nested coefficients,
and the energy of each band in the images and in x̂_R.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from mrvae.models import HVAE
from mrvae.papers.engine import Item, per_entry
from mrvae.papers.entries import Entry, by_extent
from mrvae.papers.falck2022 import figure5
from mrvae.papers.outcome import Extent, Extents, Outcome, Row
from mrvae.papers.workspace import Workspace
from mrvae.resolution import Haar

_TOGETHER = 64
Bands = Mapping[int, float]


EXTENTS: Extents = {
    "smoke": Extent(default=("x1",), images=8),
    "cpu": Extent(default=("x1", "r5"), images=500),
    "paper": Extent(default=("x4", "r5", "cifar10-x4", "cifar10-r5"), images=2000),
}


# The models of figure 5.
entries = by_extent(figure5.entries, EXTENTS)


def measure(workspace: Workspace, entry: Entry) -> Outcome:
    """Measure what the latents up to each resolution know of each band."""
    workspace.log(f"bands of {entry.job.name}")
    x, pictures = _pictures(workspace, entry, workspace.model(entry.job))
    energy, own = bands_of(x), {size: bands_of(y) for size, y in pictures.items()}
    known = {size: explained(x, y) for size, y in pictures.items()}
    rows: list[Row] = [
        {
            "cell": entry.name,
            "latents_up_to": size,
            "band": band,
            "energy": energy[band],
            "energy_of_reconstruction": own[size][band],
            "explained": known[size][band],
        }
        for size in known
        for band in energy
    ]
    figure = _figure(x[0], energy, own, known)
    return Outcome(rows, list(_findings(entry.name, known)), {f"figure1-{entry.name}": figure})


def _pictures(workspace: Workspace, entry: Entry, model: HVAE) -> tuple[Tensor, dict[int, Tensor]]:
    """Return images on [0, 1] and x̂_R for each R, padded to the network's size."""
    images = workspace.images(entry.job, EXTENTS[workspace.budget].images)
    x = images.tensor()
    device = next(model.parameters()).device
    sizes = [height for _, height, _ in model.latent_shapes]
    keeps = {size: index + 1 for index, size in enumerate(sizes)}
    means: dict[int, list[Tensor]] = {size: [] for size in keeps}
    with torch.inference_mode():
        for part in torch.split(x, _TOGETHER):
            latents = model.encode(part.to(device))
            for size, keep in keeps.items():
                means[size].append(model.likelihood(latents[:keep]).mean().cpu())
    return _padded(x, model), {size: _padded(torch.cat(p), model) for size, p in means.items()}


def _padded(x: Tensor, model: HVAE) -> Tensor:
    """Return pixels on [0, 1], in the middle of black ones of the network's size."""
    return model.frame.pad(x.double() / (model.frame.bins - 1), black=0.0)


def bands_of(x: Tensor) -> dict[int, float]:
    """Return the mean energy of each band of images (N, C, S, S), S a power of two.

    The band 0 is the coarsest approximation, one pixel; the band s the details between s×s and
    2s×2s. They add up to the energy Σ x² of an image.

    Example:
        >>> bands_of(torch.tensor([[[[3.0, 1.0], [3.0, 1.0]]]]))
        {0: 16.0, 1: 4.0}
    """
    haar, found, size = Haar(), {}, x.shape[-1]
    while size > 1:
        x, details = haar.analysis(x)
        size //= 2
        found[size] = float(details.square().flatten(1).sum(dim=1).mean())
    found[0] = float(x.square().flatten(1).sum(dim=1).mean())
    return dict(sorted(found.items()))


def explained(x: Tensor, y: Tensor) -> dict[int, float]:
    """Return the share of each band of images x that the pictures y explain, both (N, C, S, S).

    A band in which the images do not differ has nothing to explain, and its share is 1.

    Example:
        >>> x = torch.tensor([[[[4.0, 2.0], [4.0, 2.0]]], [[[1.0, 3.0], [1.0, 3.0]]]])
        >>> explained(x, x.mean(dim=(2, 3), keepdim=True).expand_as(x))
        {0: 1.0, 1: 0.0}
    """
    spread, missed = bands_of(x - x.mean(dim=0)), bands_of(x - y)
    return {band: 1 - missed[band] / spread[band] if spread[band] else 1.0 for band in spread}


def _findings(model: str, known: Mapping[int, Bands]) -> Iterator[str]:
    """Yield for each R how much is known of the bands that R×R pixels have, and of finer ones."""
    for size, shares in known.items():
        coarse = _shares([share for band, share in shares.items() if band < size])
        fine = _shares([share for band, share in shares.items() if band >= size])
        yield (
            f"{model}, latents up to {size}×{size}: explained of the bands below {size}: {coarse}; "
            f"of the finer ones: {fine}"
        )


def _shares(shares: Sequence[float]) -> str:
    return ", ".join(f"{share:.0%}" for share in shares) or "there are none"


def _figure(
    x: Tensor, energy: Bands, own: Mapping[int, Bands], known: Mapping[int, Bands]
) -> Figure:
    """Draw one image's nested coefficients, and energy and explained share of the bands."""
    figure = Figure(figsize=(14.0, 3.6), dpi=120, layout="constrained")
    picture, coefficients, left, right = figure.subplots(1, 4, width_ratios=(1, 1, 1.3, 1.3))
    places = nested(x.mean(dim=0))
    limit = float(places.abs().flatten().kthvalue(int(0.98 * places.numel())).values) or 1.0
    picture.imshow(x.mean(dim=0).numpy(), cmap="gray")
    picture.set_title("image")
    coefficients.imshow(places.numpy(), cmap="RdBu", vmin=-limit, vmax=limit)
    coefficients.set_title("its Haar coefficients, nested")
    for axes in (picture, coefficients):
        axes.set_axis_off()
    _curves(left, own)
    left.plot([str(band) for band in energy], list(energy.values()), "ko-", label="images")
    left.set(yscale="log", xlabel="band", ylabel="energy per image")
    _curves(right, known)
    right.set(ylim=(-0.3, 1.05), xlabel="band", ylabel="explained")
    right.legend(frameon=False, title="latents", fontsize=8)
    return figure


def _curves(axes: Axes, values: Mapping[int, Bands]) -> None:
    """Draw a value of every band, a curve for each R."""
    for number, (size, bands) in enumerate(values.items()):
        at, color = [str(band) for band in bands], f"C{number}"
        axes.plot(at, list(bands.values()), ".-", color=color, label=f"up to {size}²")
    axes.spines[["top", "right"]].set_visible(False)


def nested(x: Tensor) -> Tensor:
    """Return the Haar coefficients of an image (S, S) at their usual places in a square (S, S).

    The approximation is in the corner; to its right are the details at vertical edges, below it
    those at horizontal edges, and at diagonal ones between them.

    Example:
        >>> nested(torch.tensor([[3.0, 1.0], [3.0, 1.0]]))
        tensor([[4., 2.],
                [0., 0.]])
    """
    if x.shape[-1] == 1:
        return x
    coarse, (horizontal, vertical, diagonal) = Haar().analysis(x)
    top = torch.cat([nested(coarse), vertical], dim=1)
    return torch.cat([top, torch.cat([horizontal, diagonal], dim=1)], dim=0)


ITEM = Item("figure1", per_entry(measure), entries)
