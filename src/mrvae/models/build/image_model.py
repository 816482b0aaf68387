"""What the models whose decoder makes an image have in common: frame, head and objective."""

from __future__ import annotations

from mrvae.models.heads.image_head import ImageFamily, ImageHead, gaussian_pixels, logistic_pixels
from mrvae.models.image import ImageFrame
from mrvae.models.objective import BoundObjective, Objective
from mrvae.models.wavelet.surrogate import (
    CrossEntropyError,
    Reconstruction,
    SparseLoss,
    SquaredError,
    WeightedLoss,
)
from mrvae.recipes import wavelet as spec
from mrvae.sizes import ImageSize


def image_frame(channels: int, size: ImageSize, likelihood: spec.ImageLikelihood) -> ImageFrame:
    """Return the frame in which the network sees the image on [-1, 1]."""
    half = (likelihood.bins - 1) / 2
    return ImageFrame(channels, size, size, half, half, likelihood.bins)


def image_head(
    frame: ImageFrame, likelihood: spec.ImageLikelihood, loss: spec.WaveletLoss
) -> ImageHead:
    """Return the likelihood; where the loss is no bound, the image is detached in it."""
    match loss:
        case spec.Bound():
            return ImageHead(frame, image_family(likelihood))
        case spec.Weighted() | spec.Sparse():
            squashed = isinstance(loss.reconstruction, spec.CrossEntropy)
            return ImageHead(frame, image_family(likelihood), squashed, detached=True)


def image_family(likelihood: spec.ImageLikelihood) -> ImageFamily:
    """Return the distribution of a pixel around its centre."""
    match likelihood:
        case spec.GaussianImage():
            return gaussian_pixels
        case spec.LogisticImage():
            return logistic_pixels


def make_objective(loss: spec.WaveletLoss, bins: int, depth: int) -> Objective:
    """Return the objective of a recipe for images of so many bins and a transform of this depth."""
    match loss:
        case spec.Bound():
            return BoundObjective()
        case spec.Weighted(reconstruction, beta):
            return WeightedLoss(_error(reconstruction, bins), beta)
        case spec.Sparse(reconstruction, weights):
            per_level = weights * depth if len(weights) == 1 else weights
            return SparseLoss(_error(reconstruction, bins), per_level)


def _error(reconstruction: spec.Reconstruction, bins: int) -> Reconstruction:
    match reconstruction:
        case spec.Squared():
            return SquaredError(bins)
        case spec.CrossEntropy():
            return CrossEntropyError(bins)
