"""The codec: pictures to files whose size is the model's bound, and back, exactly.

A :class:`Codec` is (push, pop) on a :class:`Stack` of bits, and drives the decoder's one walk. A
file is a header and chunks (docs/format.md); :func:`pack` writes one, :func:`unpack` reads it.
"""

from __future__ import annotations

from mrvae.compression.codec import Codec
from mrvae.compression.coder import Rounded, Stack, Standard, Table
from mrvae.compression.container import Container, Header, read_container
from mrvae.compression.identity import Known, find, note, open_model
from mrvae.compression.network import Network
from mrvae.compression.packing import Packed, Pictures, pack
from mrvae.compression.seen import training_images
from mrvae.compression.unpacking import unpack

__all__ = [
    "Codec",
    "Container",
    "Header",
    "Known",
    "Network",
    "Packed",
    "Pictures",
    "Rounded",
    "Stack",
    "Standard",
    "Table",
    "find",
    "note",
    "open_model",
    "pack",
    "read_container",
    "training_images",
    "unpack",
]
