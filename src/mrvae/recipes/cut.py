"""What a recipe may say of pictures that are larger than its model's images."""

from __future__ import annotations

from mrvae.recipes.validation import WIDEST, Choice, bounded, require, within


class Whole(Choice, frozen=True, tag="whole"):
    """Every picture is an image."""


class Patches(Choice, frozen=True, tag="patches"):
    """Photographs of any size are cut into images; ``source`` is a folder of RGB pictures.

    In training their corners are ``stride`` pixels apart along both axes, otherwise they lie side
    by side. Picture i, in the order of names, is for the test if i mod ``folds`` = ``fold``; of the
    others a tenth, at least one, is for validation.
    """

    stride: int = 16
    folds: int = 2
    fold: int = 0

    def __post_init__(self) -> None:
        bounded(self, WIDEST, "stride", "folds")
        require(self.folds > 1, f"folds is {self.folds}; two or more leave pictures to train on")
        within(self, 0, self.folds - 1, "fold")


Cut = Whole | Patches
