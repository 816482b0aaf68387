"""Which units a codec codes: those that carry information of some images, best those of training.

A unit's share of the bound is KL(q ‖ p) in bits, its mean over the images. In direct coding a coded
unit costs most of a bit even where it carries none; below ``MIN_DIRECT_BITS`` it is left at its
prior's mean. In bits-back coding a unit costs its KL, but borrows bits for a draw; the units of the
smallest KL, which together hold the share ``DROPPED_SHARE`` of all KL, are drawn from the prior.
That share is of all latents together: by a threshold for each unit, a model of more units would
drop more of its KL.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from mrvae.compression.codec import Codec
from mrvae.compression.coding.latents import units_of
from mrvae.compression.network import CodingNetwork
from mrvae.data import NAMES, data_folder, images_for, normal
from mrvae.models.hierarchy.walk import from_posterior
from mrvae.recipes import Recipe

DIRECT_STEP, BITS_BACK_STEP = 32, 4
"""Steps of the two codes, in sixteenths of a prior standard deviation: 2 and ¼."""

MIN_DIRECT_BITS = 0.3
DROPPED_SHARE = 0.002
_CALIBRATION_IMAGES = 256


def training_images(recipe: Recipe, data_dir: Path | None) -> Tensor | None:
    """Return some of the training images of a recipe, uint8 (N, C, H, W).

    Nothing is downloaded: the result is None if the images are not on this machine.

    Example:
        >>> import mrvae
        >>> training_images(mrvae.recipe("digits-vdvae"), None).shape
        torch.Size([256, 1, 8, 8])
    """
    source = recipe.data.source
    remote = source.startswith("hf:") or (source in NAMES and source != "digits")
    if source.startswith("hf:") or (remote and data_folder(data_dir) is None):
        return None
    try:
        images = images_for(recipe, "train", data_dir)
    except (ValueError, OSError):
        return None
    if recipe.data.binary:
        images = images.binarised(0)
    return images.take(torch.arange(min(_CALIBRATION_IMAGES, len(images))))


def codec_for(network: CodingNetwork, x: Tensor) -> Codec:
    """Return the codec whose coded units carry information of images x, uint8 (N, C, H, W)."""
    kl = bits_per_unit(network, x)
    return Codec(
        network,
        units_of([bits > MIN_DIRECT_BITS for bits in kl], DIRECT_STEP),
        units_of(informative_units(kl), BITS_BACK_STEP),
    )


@torch.no_grad()
def bits_per_unit(network: CodingNetwork, x: Tensor) -> tuple[Tensor, ...]:
    """Return the mean KL of every unit over images x, uint8 (N, C, H, W), in bits.

    Returns:
        For each latent float64 (C, H, W), estimated with one draw of the latents per image.
    """
    sums = [torch.zeros(shape, dtype=torch.float64) for shape in network.shapes]
    batch = network.batch()
    for start in range(0, len(x), batch):
        part = x[start : start + batch]
        indices = range(start, start + len(part))
        noise = normal(0, 0, indices, network.noise_size, dtype=torch.float64)
        choices = [from_posterior()] * len(sums)
        trace = network.trace(network.observe(part), choices, noise)
        for total, step in zip(sums, trace.steps, strict=True):
            if step.posterior is not None:
                total += step.prior.kl_from(step.posterior, step.z).sum(0)
    return tuple(total / (len(x) * math.log(2)) for total in sums)


def informative_units(bits: Sequence[Tensor]) -> list[Tensor]:
    """Return the fewest units that hold all bits but the share ``DROPPED_SHARE``, as masks.

    Example:
        >>> informative_units([torch.tensor([5.0, 0.004]), torch.tensor([0.01, 3.0, 0.0])])
        [tensor([ True, False]), tensor([False,  True, False])]
    """
    # A model that is a context only has no units.
    flat = torch.cat([torch.zeros(0, dtype=torch.float64), *(unit.flatten() for unit in bits)])
    falling, order = flat.sort(descending=True, stable=True)
    before = falling.cumsum(0) - falling
    mask = torch.zeros_like(flat, dtype=torch.bool)
    mask[order] = before < (1 - DROPPED_SHARE) * falling.sum()
    parts = torch.split(mask, [unit.numel() for unit in bits])
    return [part.view_as(unit) for part, unit in zip(parts, bits, strict=True)]
