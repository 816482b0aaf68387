"""The images by which a model's units are chosen: those that it was trained on, where they are."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from mrvae.data import NAMES, data_folder, images_for
from mrvae.recipes import Recipe

_SEEN = 256


def training_images(recipe: Recipe, data_dir: Path | None) -> Tensor | None:
    """Return some of the training images of a recipe, uint8 (N, C, S, S), or None.

    Nothing is downloaded for it: images that are not on this machine are none.

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
    return images.take(torch.arange(min(_SEEN, len(images))))
