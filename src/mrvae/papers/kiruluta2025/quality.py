r"""How good a model's reconstructions and samples are: the columns of the paper's table 1.

An image is decoded from the noisy coefficients c̃ = c + s ε, as in the paper's loss; without noise,
from c, in columns called ``still``. Errors are those of the decoder's image x̂ on [0, 1]; what lies
outside is cut to it, but not in the ablation, where the noise alone is to be seen. The noise of an
image is a function of its place in the set, that of :func:`mrvae.evaluation.evaluate`.

The oracle of equation 22 with squared errors needs no model: with W orthonormal and free
coefficients its minimum is the soft threshold at λ/2 of the details of W u
(:func:`mrvae.models.soft_threshold`). No encoder can be better by that loss.

``band_frechet`` is the proxy of :class:`mrvae.evaluation.BandFeatures`, between the measured images
and as many samples or reconstructions. It is not the FID.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mrvae.data import Images, all_batches, normal
from mrvae.evaluation import (
    PSNR,
    SSIM,
    BandFeatures,
    cross_entropy,
    frechet_distance,
    squared_error,
)
from mrvae.evaluation.memory import rows_within
from mrvae.evaluation.statistics import standard_error
from mrvae.models import HVAE, soft_threshold
from mrvae.models.heads.image_head import image_of
from mrvae.models.hierarchy.walk import from_posterior
from mrvae.papers.entries import Entry
from mrvae.papers.kiruluta2025.runs import MEASURED, penalty
from mrvae.papers.workspace import Measures, Workspace
from mrvae.recipes.wavelet import WaveletVAE
from mrvae.resolution import Wavelet

_SAMPLES_SEED = 0


def quality(workspace: Workspace, entry: Entry) -> Measures:
    """Return the errors of a trained entry's reconstructions and the distance of its samples."""
    limit = entry.limit(MEASURED[workspace.budget].images)
    return workspace.kept(
        f"quality-n{limit or 'all'}", entry.job, lambda: _quality(workspace, entry)
    )


def _quality(workspace: Workspace, entry: Entry) -> Measures:
    workspace.log(f"reconstructions and samples of {entry.job.name}")
    images, model = measured_images(workspace, entry), workspace.model(entry.job)
    real = originals(images)
    measures = _reconstructed(real, reconstructions(model, images, 1.0))
    features = BandFeatures(images.shape)
    distance = frechet_distance([real], samples(model, len(images)), features)
    return {**measures, "band_frechet": distance}


def oracle(workspace: Workspace, entry: Entry) -> Measures | None:
    """Return the same of the soft thresholds at an entry's λ; None if it has no such optimum.

    It has no noise, no samples and no bits.
    """
    model = entry.job.recipe.model
    real = originals(measured_images(workspace, entry))
    result = thresholded(real, model) if isinstance(model, WaveletVAE) else None
    return None if result is None else {**_reconstructed(real, result), "band_frechet": None}


def _reconstructed(real: Tensor, result: Tensor) -> Measures:
    """Return the errors of reconstructions, and their distance as a set."""
    result = result.clamp(0, 1)
    _, *shape = real.shape
    features = BandFeatures((shape[0], shape[1], shape[2]))
    distance = frechet_distance([real], [result], features)
    return {**errors(real, result), "band_frechet_reconstructed": distance}


def measured_images(workspace: Workspace, entry: Entry) -> Images:
    """Return the test images that an entry is measured on."""
    return workspace.images(entry.job, entry.limit(MEASURED[workspace.budget].images))


def thresholded(
    u: Tensor, model: WaveletVAE, weights: tuple[float, ...] | None = None
) -> Tensor | None:
    """Return the images of the coefficients at which equation 22 is least; None if not known.

    ``weights`` has λ of each level of details, coarse to fine; by default the model's.
    """
    wavelet = Wavelet(model.wavelet)
    if not wavelet.orthogonal:
        return None
    return wavelet.synthesis(
        soft_threshold(u, wavelet, penalty(model) if weights is None else weights)
    )


def errors(x: Tensor, y: Tensor) -> Measures:
    """Return mean and standard error over the images of MSE, PSNR of its mean, BCE and SSIM.

    Example:
        >>> x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)).clamp(0.2, 0.8)
        >>> found = errors(x, x + 0.1)
        >>> round(found["mse"], 4), round(found["psnr"], 2)
        (0.01, 20.0)
    """
    found: Measures = {}
    for name, measure in (
        ("mse", squared_error),
        ("psnr", PSNR()),
        ("bce", cross_entropy),
        ("ssim", SSIM()),
    ):
        values = measure(x, y).double()
        found[name] = float(values.mean())
        found[f"{name}_se"] = standard_error(values)
    return found


def originals(images: Images) -> Tensor:
    """Return all images on [0, 1], (N, C, H, W)."""
    return images.tensor().float() / (images.bins - 1)


def reconstructions(model: HVAE, images: Images, temperature: float) -> Tensor:
    """Return x̂ of all images, (N, C, H, W), with noise of ``temperature`` times s, on the CPU."""
    with torch.no_grad():
        return torch.cat(list(_decoded(model, images, temperature)))


def _decoded(model: HVAE, images: Images, temperature: float) -> Iterator[Tensor]:
    weight, choose = next(model.parameters()), from_posterior(temperature)
    for indices, x in all_batches(images, rows_within(1 << 30, model)):
        noise = normal(0, 0, indices, model.noise_size, weight.device, weight.dtype)
        yield image_of(model.trace(model.observe(x.to(weight.device)), choose, noise)).cpu()


def samples(model: HVAE, count: int) -> Iterator[Tensor]:
    """Yield ``count`` samples of the prior, means of their pixels, on [0, 1]."""
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(_SAMPLES_SEED)
    for start in range(0, count, 128):
        with torch.no_grad():
            pixels = model.draw(min(128, count - start), 1.0, generator).mean()
        yield (pixels / (model.frame.bins - 1)).clamp(0, 1).cpu()
