"""Data: uint8 images of shape (N, C, H, W), where they come from, and in which order they are used.

Pixels are integers 0 … n-1, with n the number of bins; only :mod:`mrvae.distributions` maps them
to [-1, 1]. The images of a split are fixed, the order in which training visits them is a function
of (seed, step), and so is every random draw. Files are untrusted: nothing in them is run, a
declared size is checked before memory is allocated, and an error is one line that names the file.

    images, rows            a set of images, in memory or read on demand
    framing                 cropping and padding to a size
    stream, prefetch        training batches as a function of the step
    randomness, splits      noise, and which images are held out
    prepare, loading        from a recipe, or a source's name, to images
    inputs                  images that a user names beside a trained model
    location                the data folder
    sources/                data sets by name: digits, MNIST, OMNIGLOT, CIFAR-10, the hub
    files/                  image files and their conversion, folders, arrays, shards, galleries,
                            patches
"""

from mrvae.data.files.conversion import Conversion
from mrvae.data.files.gallery import Picture, gallery
from mrvae.data.framing import Crop, Pad
from mrvae.data.images import Images, all_batches
from mrvae.data.inputs import Inputs, Sizes, read_inputs, read_whole
from mrvae.data.loading import NAMES, load
from mrvae.data.location import data_folder
from mrvae.data.prefetch import Prefetch
from mrvae.data.prepare import images_for
from mrvae.data.randomness import Purpose, generator, normal, whole
from mrvae.data.rows import Rows
from mrvae.data.splits import SPLITS
from mrvae.data.stream import Stream

__all__ = [
    "NAMES",
    "SPLITS",
    "Conversion",
    "Crop",
    "Images",
    "Inputs",
    "Pad",
    "Picture",
    "Prefetch",
    "Purpose",
    "Rows",
    "Sizes",
    "Stream",
    "all_batches",
    "data_folder",
    "gallery",
    "generator",
    "images_for",
    "load",
    "normal",
    "read_inputs",
    "read_whole",
    "whole",
]
