"""The images that a recipe asks for: loaded, brought to its values and its shape, or refused.

Binary recipes draw their training pixels again at every step, so their training images stay grey
and the stream draws; validation and test images are drawn once, by a fixed seed, so that every
evaluation of every model sees the same binary images.
"""

from __future__ import annotations

from pathlib import Path

from mrvae.data.files.conversion import Conversion
from mrvae.data.files.patches import load_patches
from mrvae.data.framing import Crop, Framing, Pad
from mrvae.data.images import Images, check_shape
from mrvae.data.loading import load
from mrvae.data.signals.load import load_signals
from mrvae.recipes.cut import Patches
from mrvae.recipes.data import Data, SignalSpec
from mrvae.recipes.schema import Recipe

_BINARISATION_SEED = 0


def images_for(recipe: Recipe, split: str, data_dir: Path | str | None = None) -> Images:
    """Return a split of the recipe's images, with the model's channels, size and bins.

    Training images of a binary recipe are returned grey.

    Raises:
        ValueError: if the data are missing or damaged, or do not fit the recipe's model.

    Example:
        >>> import mrvae
        >>> len(images_for(mrvae.recipe("digits-vdvae"), "validation"))
        100

    """
    data, model = recipe.data, recipe.model
    expected = model.image
    if isinstance(data.signal, SignalSpec):
        bins = model.likelihood.bins
        return load_signals(data.source, split, data_dir, data.signal, expected, bins)
    conversion = conversion_of(data, *expected[1:])
    if isinstance(data.cut, Patches):
        images = load_patches(data.source, split, data_dir, data.cut, expected, conversion)
    else:
        images = load(data.source, split, data_dir, conversion, expected)
    check_shape(images.name, images.shape, expected)
    if data.binary and split == "train":
        return images
    return with_bins_of(recipe, images)


def with_bins_of(recipe: Recipe, images: Images) -> Images:
    """Return images with the values that the recipe's model sees: binarised, or its leading bits.

    Raises:
        ValueError: if a value is not one of the model's.
    """
    if recipe.data.binary:
        return images.binarised(_BINARISATION_SEED)
    if recipe.data.bits < 8:
        images = images.keep_bits(recipe.data.bits)
    # A file does not say how many bins its values have; reading it with fewer checks them all.
    bins = recipe.model.likelihood.bins
    return images if images.bins == bins else images.with_bins(bins)


def conversion_of(data: Data, height: int, width: int) -> Conversion:
    """Return how a recipe's pictures become images of its model's size."""
    framing: Framing | None = None
    if data.fit:
        framing = Crop(height, width)
    elif data.pad:
        framing = Pad(height, width)
    return Conversion(data.mode, data.alpha, framing, data.skip_unreadable)
