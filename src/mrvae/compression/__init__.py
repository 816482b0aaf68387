"""The codec: pictures to files whose size is the model's bound, and back, exactly.

From the bits up: :mod:`~mrvae.compression.coding` codes symbols, latents and contexts on a
:class:`Stack` of bits; a :class:`Codec` pushes and pops batches of images by a model's one top-down
walk; :mod:`~mrvae.compression.chunks` and :mod:`~mrvae.compression.progressive` make payloads of
them; :mod:`~mrvae.compression.format` makes files of payloads (docs/format.md). :func:`pack` writes
a file, :func:`pack_layers` one of which every beginning is a coarser picture, and :func:`unpack`
reads both.
"""

from __future__ import annotations

from mrvae.compression.calibration import codec_for, training_images
from mrvae.compression.codec import Codec
from mrvae.compression.coding.stack import Stack
from mrvae.compression.format.coded_files import wav_files
from mrvae.compression.format.container import Container, read_container
from mrvae.compression.format.header import FileHeader, Mode
from mrvae.compression.format.packing import PackedFile, pack
from mrvae.compression.format.pictures import Pictures, png_bytes
from mrvae.compression.format.progressive_packing import PackedProgressiveFile, pack_layers
from mrvae.compression.format.unpacking import decode_pictures, unpack
from mrvae.compression.identity import CodingModel, find_model, open_model, remember_model
from mrvae.compression.network import CodingNetwork
from mrvae.compression.progressive import ProgressiveLayers
from mrvae.compression.search import ROUNDS, search

__all__ = [
    "ROUNDS",
    "Codec",
    "CodingModel",
    "CodingNetwork",
    "Container",
    "FileHeader",
    "Mode",
    "PackedFile",
    "PackedProgressiveFile",
    "Pictures",
    "ProgressiveLayers",
    "Stack",
    "codec_for",
    "decode_pictures",
    "find_model",
    "open_model",
    "pack",
    "pack_layers",
    "png_bytes",
    "read_container",
    "remember_model",
    "search",
    "training_images",
    "unpack",
    "wav_files",
]
