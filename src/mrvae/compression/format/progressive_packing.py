"""From pictures to a progressive file: which layers it has, and their order.

The chunks of a layer, one for each run of patches, are adjacent, and the layers follow each other
from coarse to fine: so the first bytes of a file hold coarse versions of all pictures. The number
of layers can be limited in two ways. With M the number of latents to keep, a context counted, and X
bits per pixel, the file has the largest number n of layers with

    m_n ≤ M,        8 · bytes(n) ≤ X · pixels,

m_n being the n-th layer's latent. The bytes include header and CRCs, and the header does not hold
the units of layers that are left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from mrvae.compression.coding.unit_masks import masks_to_bytes
from mrvae.compression.format.container import (
    Container,
    frame_chunk,
    framed_size,
    front_of,
    read_container,
)
from mrvae.compression.format.header import FileHeader, Mode
from mrvae.compression.format.limits import within_limits
from mrvae.compression.format.packing import calibrated_codec, header_for, verify_exact
from mrvae.compression.format.pictures import Pictures
from mrvae.compression.format.unpacking import decode_pictures
from mrvae.compression.identity import CodingModel
from mrvae.compression.progress import Progress, no_progress, shifted
from mrvae.compression.progressive import CodedLayer, ProgressiveLayers, encode_layers
from mrvae.files import atomic


@dataclass(frozen=True)
class PackedProgressiveFile:
    """Size and content of a progressive file.

    Attributes:
        size: bytes of the file.
        pixels: of all pictures.
        patches: of all pictures, reflected parts included.
        layers: the name of each layer, and its bytes, CRCs included.
        lossless: whether the last layer makes the pictures exact.
        payload_bits: of all chunks, without header and CRCs.
        ideal_bits: -log₂ P of their symbols.
        cuts: lengths to which the file can be cut between two chunks, the last being its own.
        limited: as in :class:`~mrvae.compression.PackedFile`.
    """

    size: int
    pixels: int
    patches: int
    layers: tuple[tuple[str, int], ...]
    lossless: bool
    payload_bits: int
    ideal_bits: float
    cuts: tuple[int, ...]
    limited: bool


def pack_layers(
    model: CodingModel,
    pictures: Pictures,
    out: Path,
    keep: int | None = None,
    max_bpp: float | None = None,
    calibration: Tensor | None = None,
    verify: bool = True,
    progress: Progress = no_progress,
) -> PackedProgressiveFile:
    """Write pictures into a progressive file; all layers are in memory until it is written.

    Args:
        model: the model.
        pictures: what to write.
        out: the file, written atomically.
        keep: number of latents to keep, from the coarsest, a context counted; by default all of
            them and the pixels, without which the file is lossy.
        max_bpp: largest size of the file in bits per pixel.
        calibration: images (N, C, H, W) by which units are chosen; by default some of the patches.
        verify: whether to decode the file before it gets its name. A lossless one is compared with
            the pictures, a lossy one must decode.
        progress: called with patches and bytes; those that are decoded follow those encoded.

    Raises:
        ValueError: if a pixel has no bin of the model, the first layer is too large already, or the
            file does not decode.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from PIL import Image
        >>> from mrvae.compression import open_model
        >>> model = open_model("digits-vdvae")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.fromarray(np.eye(8, dtype=np.uint8)).save(f"{folder}/eye.png")
        ...     pictures = Pictures((Path(folder, "eye.png"),), model.network)
        ...     packed = pack_layers(model, pictures, Path(folder, "eye.mrv"))
        >>> packed.lossless, packed.layers[-1][0]
        (True, 'pixels')
    """
    network = model.network
    mark = None if keep is None else network.model.check_keep(keep)
    all_layers = ProgressiveLayers(calibrated_codec(pictures, calibration), True)
    layers = all_layers if mark is None else all_layers.upto(mark)
    if not layers.marks:
        raise ValueError(
            f"keep is {keep}, and of the first {keep} latents nothing is coded; the first layer of "
            f"these pictures is {all_layers.names[0]}"
        )
    header = header_for(model, layers.codec, pictures, Mode.PROGRESSIVE)
    runs = _encode(layers, pictures, header, progress)
    draft = _Draft(header, layers, runs)
    count = len(layers.marks) if max_bpp is None else draft.fitting(max_bpp)
    with atomic(out) as temporary:
        temporary.write_bytes(draft.file(count))
        if verify:
            _verify(read_container(temporary, large=True), model, pictures, progress)
    return draft.report(count)


def _encode(
    layers: ProgressiveLayers, pictures: Pictures, header: FileHeader, progress: Progress
) -> list[Sequence[CodedLayer]]:
    """Return the coded layers of each run of patches."""
    runs: list[Sequence[CodedLayer]] = []
    first = size = 0
    for x in pictures.chunks(header.per_chunk):
        part = shifted(progress, first, size)
        runs.append(encode_layers(layers, x, header.most, part))
        first += len(x)
        size += sum(framed_size(layer.payload) for layer in runs[-1])
    return runs


@dataclass(frozen=True)
class _Draft:
    """The coded layers [run of patches][layer] of pictures, and files of the first of them.

    ``header`` is that of the file of all layers, but for their number.
    """

    header: FileHeader
    layers: ProgressiveLayers
    runs: Sequence[Sequence[CodedLayer]]

    def first(self, count: int) -> ProgressiveLayers:
        """Return the first layers."""
        return self.layers.upto(self.layers.marks[count - 1])

    def header_of(self, count: int) -> FileHeader:
        """Return the header of the file of so many layers."""
        kept = self.first(count)
        units = masks_to_bytes([units.active for units in kept.codec.direct])
        return replace(self.header, direct_units=units, layers=count, lossless=kept.lossless)

    def file(self, count: int) -> bytes:
        """Return the file of so many layers."""
        front = front_of(self.header_of(count))
        payloads = [run[layer].payload for layer in range(count) for run in self.runs]
        return front + b"".join(frame_chunk(front, *chunk) for chunk in enumerate(payloads))

    def fitting(self, max_bpp: float) -> int:
        """Return the largest number of layers of at most so many bits per pixel."""
        for count in range(len(self.layers.marks), 0, -1):
            if 8 * len(self.file(count)) / self.header.pixels <= max_bpp:
                return count
        least = 8 * len(self.file(1)) / self.header.pixels
        raise ValueError(
            f"max_bpp is {max_bpp:g}, and header and first layer, {self.layers.names[0]}, take "
            f"{least:.4g} bits per pixel; allow more"
        )

    def report(self, count: int) -> PackedProgressiveFile:
        """Return size and content of the file of so many layers."""
        header, runs = self.header_of(count), [run[:count] for run in self.runs]
        sizes = [sum(framed_size(c.payload) for c in layer) for layer in zip(*runs, strict=True)]
        coded = [layer for layers in zip(*runs, strict=True) for layer in layers]
        ends = (framed_size(layer.payload) for layer in coded)
        cuts = itertools.accumulate(ends, initial=len(front_of(header)))
        size = len(self.file(count))
        return PackedProgressiveFile(
            size,
            header.pixels,
            header.patches,
            tuple(zip(self.first(count).names, sizes, strict=True)),
            header.lossless,
            sum(8 * len(layer.payload) for layer in coded),
            sum(layer.ideal for layer in coded),
            tuple(cuts)[1:],
            within_limits(size, header),
        )


def _verify(
    container: Container, model: CodingModel, pictures: Pictures, progress: Progress
) -> None:
    """Decode a file that was just written; compare a lossless one with the pictures."""
    progress = shifted(progress, container.header.patches, container.size)
    if container.header.lossless:
        verify_exact(container, model, pictures, progress)
    elif sum(1 for _ in decode_pictures(container, model, progress)) != len(pictures.paths):
        raise ValueError("the file does not decode to all pictures; it is not written")
