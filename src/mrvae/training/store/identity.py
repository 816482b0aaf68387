"""What a checkpoint belongs to: the recipe, the seed and the data of its run.

Two runs with equal identities compute the same weights at every step. The total number of steps and
the ways to fit a step into memory are not part of it: they may change when a run is resumed.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated

import msgspec
import torch

from mrvae.data import Images
from mrvae.recipes.schema import Recipe
from mrvae.recipes.serial import to_json, without_added

_WHOLE = 1 << 28
"""Bytes of images in memory up to which every pixel is part of the digest (256 MiB)."""

_SAMPLED = 256
"""Images of a larger set, evenly spaced, that are part of the digest."""

_MAY_DIFFER = ("steps", "accumulate", "activation_checkpointing", "overcommit")

Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]


class DataIdentity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Training images: their number, their shape (C, H, W), and a digest of the pixels.

    The digest includes the validation images, on which the choice of the best weights depends. Of a
    set that is too large to compare every pixel, ``files`` is a digest of the names and sizes of
    its files, where it has several; checkpoints of older versions have none.
    """

    count: Count
    shape: tuple[Count, Count, Count]
    digest: str
    files: str = ""

    def is_of(self, other: DataIdentity) -> bool:
        """Whether two identities are of the same images, as far as both know."""
        one, same = (msgspec.structs.replace(x, files="") for x in (self, other))
        return one == same and (self.files == other.files or not (self.files and other.files))

    def __str__(self) -> str:
        channels, height, width = self.shape
        digest = (self.files + self.digest)[:8]
        return f"{self.count} images of {channels}×{height}×{width} ({digest})"


class RunIdentity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The digest of a recipe, the seed, and the data."""

    recipe: str
    seed: Count
    data: DataIdentity


def identity(recipe: Recipe, seed: int, training: Images, validation: Images) -> RunIdentity:
    """Return what the checkpoints of a run belong to.

    Example:
        >>> from mrvae.data import images_for
        >>> from mrvae.recipes import override, recipe
        >>> digits = recipe("digits-vdvae")
        >>> images = images_for(digits, "train"), images_for(digits, "validation")
        >>> one, longer, other = (
        ...     identity(override(digits, [change]), 0, *images)
        ...     for change in ("training.steps=9", "training.steps=10", "training.batch=8")
        ... )
        >>> one == longer, one == other
        (True, False)
    """
    # Runs that began before a key was added go on.
    whole = without_added(recipe)
    values = {name: whole[name] for name in ("data", "model", "training")}
    values["training"] = {
        key: value for key, value in to_json(recipe.training).items() if key not in _MAY_DIFFER
    }
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    pixels = hashlib.sha256()
    for images in (training, validation):
        pixels.update(f"{len(images)} {images.shape} {images.bins} ".encode())
        pixels.update(_compared(images).contiguous().numpy().data)
    files = "" if _is_whole(training) else training.files
    data = DataIdentity(len(training), training.shape, pixels.hexdigest(), files)
    return RunIdentity(digest, seed, data)


def _is_whole(images: Images) -> bool:
    """Whether every pixel is compared."""
    return isinstance(images.pixels, torch.Tensor) and images.pixels.numel() <= _WHOLE


def _compared(images: Images) -> torch.Tensor:
    """Return the images that are compared: all of a set in memory, or an even sample."""
    if isinstance(images.pixels, torch.Tensor) and _is_whole(images):
        return images.pixels
    places = torch.arange(min(_SAMPLED, len(images))) * len(images) // min(_SAMPLED, len(images))
    return images.take(places)
