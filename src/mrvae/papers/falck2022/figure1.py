r"""Figure 1: U-Nets with average pooling learn a Haar wavelet basis representation of the data.

Averaging is the coarse half of a Haar step (theorem 2), so that a level at R×R pixels knows of the
image what the Haar coefficients up to R/2 tell, and nothing of the finer details. Whether a trained
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
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrvae.papers.entries import Entry, chosen, with_defaults
from mrvae.papers.falck2022 import figure5
from mrvae.papers.item import Item
from mrvae.papers.outcome import Budget, Outcome, Row
from mrvae.papers.workspace import Workspace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from mrvae.models import HVAE

_TOGETHER = 64
Bands = Mapping[int, float]


@dataclass(frozen=True)
class Plan:
    """What a budget allows: models looked at unasked, and test images."""

    default: tuple[str, ...]
    images: int


PLANS: dict[Budget, Plan] = {
    "smoke": Plan(("x1",), images=8),
    "cpu": Plan(("x1", "r5"), images=500),
    "paper": Plan(("x4", "r5", "cifar10-x4", "cifar10-r5"), images=2000),
}


def cells(budget: Budget) -> list[Entry]:
    """Return the models of figure 5, those of the plan by default."""
    return with_defaults(figure5.cells(budget), PLANS[budget].default)


def work(workspace: Workspace) -> Outcome:
    """Measure what the latents up to each resolution know of each band."""
    rows: list[Row] = []
    said: list[str] = []
    figures = {}
    for cell in chosen(cells(workspace.budget), workspace.only):
        workspace.trained(cell.job)
        workspace.say(f"bands of {cell.job.name}")
        model = workspace.model(cell.job)
        x, pictures = _pictures(workspace, cell, model)
        energy, own = bands_of(x), {size: bands_of(y) for size, y in pictures.items()}
        known = {size: explained(x, y) for size, y in pictures.items()}
        part = _rows(cell.name, energy, own, known)
        rows += part
        said += findings(part)
        figures[f"figure1-{cell.name}"] = _figure(x[0], energy, own, known)
    return Outcome(tuple(rows), tuple(said), figures)


def _pictures(workspace: Workspace, cell: Entry, model: HVAE) -> tuple[Tensor, dict[int, Tensor]]:
    """Return images on [0, 1] and x̂_R for each R, padded to the network's size."""
    import torch

    images = workspace.images(cell.job.recipe, "test", PLANS[workspace.budget].images)
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
    """Return levels on [0, 1], in the middle of black pixels of the network's size."""
    from torch.nn import functional

    before = (model.frame.network_size - model.frame.size) // 2
    after = model.frame.network_size - model.frame.size - before
    return functional.pad(x.double() / (model.frame.bins - 1), (before, after, before, after))


def bands_of(x: Tensor) -> dict[int, float]:
    """Return the mean energy of each band of images (N, C, S, S), S a power of two.

    The band 0 is the coarsest approximation, one pixel; the band s the details between s×s and
    2s×2s. They add up to the energy Σ x² of an image.

    Example:
        >>> import torch
        >>> bands_of(torch.tensor([[[[3.0, 1.0], [3.0, 1.0]]]]))
        {0: 16.0, 1: 4.0}
    """
    from mrvae.resolution import Haar

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
        >>> import torch
        >>> x = torch.tensor([[[[4.0, 2.0], [4.0, 2.0]]], [[[1.0, 3.0], [1.0, 3.0]]]])
        >>> explained(x, x.mean(dim=(2, 3), keepdim=True).expand_as(x))
        {0: 1.0, 1: 0.0}
    """
    spread, missed = bands_of(x - x.mean(dim=0)), bands_of(x - y)
    return {band: 1 - missed[band] / spread[band] if spread[band] else 1.0 for band in spread}


def _rows(
    model: str, energy: Bands, own: Mapping[int, Bands], known: Mapping[int, Bands]
) -> list[Row]:
    return [
        {
            "cell": model,
            "latents_up_to": size,
            "band": band,
            "energy": energy[band],
            "energy_of_reconstruction": own[size][band],
            "explained": known[size][band],
        }
        for size in known
        for band in energy
    ]


def findings(rows: Sequence[Row]) -> list[str]:
    """Say for each R how much is known of the bands that R×R pixels have, and of the finer ones."""
    return list(_findings(rows))


def _findings(rows: Sequence[Row]) -> Iterator[str]:
    for model, size in dict.fromkeys((row["cell"], row["latents_up_to"]) for row in rows):
        mine = [r for r in rows if (r["cell"], r["latents_up_to"]) == (model, size)]
        coarse = _shares([r for r in mine if _number(r["band"]) < _number(size)])
        fine = _shares([r for r in mine if _number(r["band"]) >= _number(size)])
        yield (
            f"{model}, latents up to {size}×{size}: explained of the bands below {size}: {coarse}; "
            f"of the finer ones: {fine}"
        )


def _shares(rows: Sequence[Row]) -> str:
    return ", ".join(f"{_number(row['explained']):.0%}" for row in rows) or "there are none"


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _figure(
    x: Tensor, energy: Bands, own: Mapping[int, Bands], known: Mapping[int, Bands]
) -> Figure:
    """Draw one image's nested coefficients, and energy and explained share of the bands."""
    from matplotlib.figure import Figure

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
        >>> import torch
        >>> nested(torch.tensor([[3.0, 1.0], [3.0, 1.0]]))
        tensor([[4., 2.],
                [0., 0.]])
    """
    import torch

    from mrvae.resolution import Haar

    if x.shape[-1] == 1:
        return x
    coarse, (horizontal, vertical, diagonal) = Haar().analysis(x)
    top = torch.cat([nested(coarse), vertical], dim=1)
    return torch.cat([top, torch.cat([horizontal, diagonal], dim=1)], dim=0)


ITEM = Item("figure1", "what the latents of each resolution know of each Haar band", work, cells)
