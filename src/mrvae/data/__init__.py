"""Data: uint8 images of shape (N, C, H, W), where they come from, and in which order they are used.

The values that leave this room are levels, 0 … n-1; only :mod:`mrvae.distributions` knows how they
lie on [-1, 1]. Which images a split holds is fixed for ever, the order in which training visits
them is a function of (seed, step), and so is every random draw. Files are read as if they were
hostile: nothing in them is run, nothing is allocated on their word, and what is wrong with them is
said in one line.
"""

from mrvae.data.gallery import Picture, gallery
from mrvae.data.images import Images, all_batches
from mrvae.data.prefetch import Prefetch
from mrvae.data.prepare import images_for
from mrvae.data.randomness import Purpose, generator, normal, whole
from mrvae.data.rows import Rows
from mrvae.data.sources import NAMES, data_folder, load
from mrvae.data.splits import SPLITS
from mrvae.data.stream import Stream

__all__ = [
    "NAMES",
    "SPLITS",
    "Images",
    "Picture",
    "Prefetch",
    "Purpose",
    "Rows",
    "Stream",
    "all_batches",
    "data_folder",
    "gallery",
    "generator",
    "images_for",
    "load",
    "normal",
    "whole",
]
