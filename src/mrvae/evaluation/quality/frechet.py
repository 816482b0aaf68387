r"""The Fréchet distance of two sets of images.

It compares the mean m and the covariance S of features f of both sets (Heusel et al. 2017,
equation 6); Kiruluta (2025, section 4.2) measures samples by it:

    d = ‖m₁ - m₂‖² + tr(S₁ + S₂ - 2 (S₁ S₂)^{1/2}).

It is the FID if f are the 2048 pooled features of one certain Inception network, whose weights are
a file of their own: :func:`inception` reads it, and never fetches it. :class:`BandFeatures` need no
file. Their distance is a proxy: it depends on colours, layout and the amount of detail at each
scale, not on objects. It is no FID, and is comparable only with itself.

Either distance is too large for few images, by an amount that shrinks with their number; so only
distances over equally many images are comparable.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from mrvae.resolution import Wavelet

_DEPTH, _LAYOUT, _QUARTERS = 3, 4, 2
_FILE = "weights-inception-2015-12-05-6726825d.pth"


class BandFeatures(nn.Module):
    """Features of an image from its Haar transform, for a distance that is no FID.

    With L = 3 levels, or as many as the side can be halved, and c_L, d_l the orthonormal
    coefficients divided by 2^L and 2^l, so that they are in the units of pixels, for each channel:

    * the means of c_L in 4 × 4 fields of the image,
    * the means of |d_l| in its 2 × 2 quarters, for each l and each of the bands cH, cV, cD,

    or for each coefficient, where there are fewer. They are float64.

    Args:
        shape: (C, H, W) of the images.

    Raises:
        ValueError: if a side is odd.

    Source: ours.

    Example:
        >>> features = BandFeatures((1, 8, 8))
        >>> features.num_features, features(torch.ones(2, 1, 8, 8))[0, :3]
        (28, tensor([1., 0., 0.], dtype=torch.float64))
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        sides = shape[1:]
        self.depth = next(
            (d for d in range(_DEPTH, 0, -1) if all(side % (1 << d) == 0 for side in sides)), 0
        )
        if not self.depth:
            raise ValueError(f"images are {sides[0]}×{sides[1]}; their sides must be even")
        self.num_features = int(self(torch.zeros(1, *shape)).shape[1])

    def forward(self, images: Tensor) -> Tensor:
        """Return features (B, num_features) of images (B, C, H, W), on [0, 1] or uint8."""
        u = images.double() / (255 if images.dtype == torch.uint8 else 1)
        coarse, details = Wavelet("haar").analysis(u, self.depth)
        fields = [_fields(coarse / (1 << self.depth), _LAYOUT)]
        for depth, detail in zip(range(self.depth, 0, -1), details, strict=True):
            fields.append(_fields(detail.flatten(1, 2).abs() / (1 << depth), _QUARTERS))
        return torch.cat(fields, dim=1)


def _fields(values: Tensor, most: int) -> Tensor:
    """Return the means of (B, C, h, w) over at most ``most`` × ``most`` fields, in a row each."""
    size = (min(most, values.shape[2]), min(most, values.shape[3]))
    return functional.adaptive_avg_pool2d(values, size).flatten(1)


class _Inception(nn.Module):
    """The network of the FID, for grey or RGB images of either type."""

    num_features = 2048

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return features (B, 2048) of images (B, 1 or 3, H, W), on [0, 1] or uint8."""
        whole = images if images.dtype == torch.uint8 else (255 * images).round().to(torch.uint8)
        features: Tensor = self.network(whole.expand(-1, 3, -1, -1))
        return features.double()


def inception(weights: Path | None = None) -> nn.Module:
    """Return the network whose features make a Fréchet distance the FID.

    Args:
        weights: the file of its weights; by default torch's cache of downloads is looked into.

    Raises:
        ValueError: if the extra ``fid`` is not installed, or there is no such file; it names both
            if both are missing.

    Source: Heusel et al. 2017, *GANs trained by a two time-scale update rule*.

    Example:
        >>> inception(Path("nowhere.pth"))
        Traceback (most recent call last):
        ValueError: the FID needs ...the Inception weights at nowhere.pth...
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / _FILE if weights is None else weights
    missing = []
    if find_spec("torch_fidelity") is None:
        missing.append("torch-fidelity (pip install 'mrvae[fid]')")
    if not path.is_file():
        missing.append(f"the Inception weights at {path} ({_FILE} of torch-fidelity)")
    if missing:
        raise ValueError(f"the FID needs {' and '.join(missing)}")
    from torchmetrics.image.fid import NoTrainInceptionV3

    name = "inception-v3-compat"
    return _Inception(NoTrainInceptionV3(name, ["2048"], str(path)))


@torch.no_grad()
def frechet_distance(real: Iterable[Tensor], made: Iterable[Tensor], features: nn.Module) -> float:
    """Return the Fréchet distance of the features of two sets of images.

    Args:
        real: batches of images, (B, C, H, W) on [0, 1] or uint8, as the network takes them.
        made: likewise.
        features: from a batch to (B, F), with an attribute ``num_features`` of F.

    Raises:
        ValueError: if a set has fewer than two images.

    Source: Heusel et al. 2017, equation 6; the mean and covariance are torchmetrics'.

    Example:
        >>> x = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> distance = frechet_distance([x], [x / 2], BandFeatures((1, 8, 8)))
        >>> distance > 0.05, frechet_distance([x], [x[:5], x[5:]], BandFeatures((1, 8, 8))) < 1e-6
        (True, True)
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric, counts = FrechetInceptionDistance(feature=features), [0, 0]
    for index, batches in enumerate((real, made)):
        for batch in batches:
            metric.update(batch, real=index == 0)
            counts[index] += len(batch)
    if min(counts) < 2:
        raise ValueError(f"the sets have {counts[0]} and {counts[1]} images; give two at least")
    return float(metric.compute())
