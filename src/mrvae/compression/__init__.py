"""The codec: pictures to files whose size is the model's bound, and back, exactly.

A :class:`Codec` is (push, pop) on a :class:`Stack` of bits, and drives the decoder's one walk. A
file is a header and chunks (docs/format.md); :func:`pack` writes one, :func:`pack_layers` one of
which every beginning is a coarser picture, and :func:`unpack` reads both.
"""

from __future__ import annotations

from mrvae.compression.calibration import training_images
from mrvae.compression.codec import Codec
from mrvae.compression.coder import Rounded, Stack, Standard, Table
from mrvae.compression.container import Container, Header, Mode, read_container
from mrvae.compression.identity import Known, find, note, open_model
from mrvae.compression.layers import Layers
from mrvae.compression.network import Network
from mrvae.compression.packing import Packed, Pictures, pack
from mrvae.compression.progressive import PackedLayers, pack_layers
from mrvae.compression.searching import ROUNDS, search
from mrvae.compression.unpacking import unpack

__all__ = [
    "ROUNDS",
    "Codec",
    "Container",
    "Header",
    "Known",
    "Layers",
    "Mode",
    "Network",
    "Packed",
    "PackedLayers",
    "Pictures",
    "Rounded",
    "Stack",
    "Standard",
    "Table",
    "find",
    "note",
    "open_model",
    "pack",
    "pack_layers",
    "read_container",
    "search",
    "training_images",
    "unpack",
]
